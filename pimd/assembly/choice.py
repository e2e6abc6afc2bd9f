"""Which features run, and why each of the others does not."""

import difflib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from pimd import __version__
from pimd.assembly.known import KnownFeature
from pimd.contract import Feature

ENTRY_POINT_GROUP = "pimd.features"
OWN_DISTRIBUTION = "pim-daemon"
CORE_NAMESPACES = frozenset({"rpc", "features", "daemon"})


class AssemblyError(Exception):
    """The features cannot be assembled; the text names them and says what to change."""

    def __init__(self, text: str, key: tuple[str | int, ...] = ("features",)) -> None:
        super().__init__(text)
        self.key = key
        """The configuration key that is at fault."""


@dataclass(frozen=True)
class Candidate:
    """A feature that is present and could run."""

    name: str
    version: str
    origin: str
    """`built-in`, or the distribution that brought it."""
    load: Callable[[], Feature]
    """Imports the code; AssemblyError when that fails."""


@dataclass(frozen=True)
class Choice:
    """The decision about one known feature."""

    name: str
    version: str
    origin: str
    state: Literal["chosen", "disabled", "not_built"]
    reason: str
    candidate: Candidate | None


def _load_builtin(name: str) -> Feature:
    try:
        declared = importlib.import_module(f"pimd_features.{name}").FEATURE
    except ImportError as error:
        raise AssemblyError(f"feature {name} cannot be imported: {error}") from error
    if not isinstance(declared, Feature):
        raise AssemblyError(f"feature {name}: pimd_features.{name}.FEATURE is no Feature")
    return declared


def _load_installed(entry: importlib.metadata.EntryPoint, origin: str) -> Feature:
    try:
        declared = entry.load()
    except (ImportError, AttributeError) as error:
        raise AssemblyError(
            f"feature {entry.name} of {origin} cannot be imported: {error}; "
            f'uninstall {origin} or set [features] disabled = ["{entry.name}"]'
        ) from error
    if not isinstance(declared, Feature) or declared.name != entry.name:
        raise AssemblyError(f"feature {entry.name} of {origin}: {entry.value} is no Feature of that name")
    return declared


def builtin_candidates(known: Mapping[str, KnownFeature]) -> list[Candidate]:
    """The features that this build contains, in the order of its table."""
    return [
        Candidate(row.name, __version__, "built-in", lambda name=row.name: _load_builtin(name))  # type: ignore[misc]
        for row in known.values()
        if row.built
    ]


def installed_candidates() -> list[Candidate]:
    """Features of other distributions, by distribution name."""
    found: list[Candidate] = []
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        origin = entry.dist.name if entry.dist is not None else "?"
        if origin != OWN_DISTRIBUTION:
            version = entry.dist.version if entry.dist is not None else "?"
            load: Callable[[], Feature] = lambda entry=entry, origin=origin: _load_installed(entry, origin)  # type: ignore[misc] # noqa: E731
            found.append(Candidate(entry.name, version, origin, load))
    return sorted(found, key=lambda candidate: (candidate.origin, candidate.name))


def choose(
    known: Mapping[str, KnownFeature],
    candidates: Sequence[Candidate],
    enabled: Sequence[str] | None,
    disabled: Mapping[str, str],
) -> list[Choice]:
    """Decide about every feature; `disabled` maps names to reasons. AssemblyError for an unknown name."""
    present = {candidate.name: candidate for candidate in reversed(candidates)}
    everything = list(dict.fromkeys([*known, *(candidate.name for candidate in candidates)]))
    for name in enabled or ():
        if name not in present:
            raise AssemblyError(_absent_but_enabled(name, known, everything), ("features", "enabled"))
    return [_choice(name, present.get(name), enabled, disabled) for name in everything]


def _choice(
    name: str, candidate: Candidate | None, enabled: Sequence[str] | None, disabled: Mapping[str, str]
) -> Choice:
    if candidate is None:
        return Choice(name, __version__, "built-in", "not_built", "this build was made without it", None)
    chosen = Choice(name, candidate.version, candidate.origin, "chosen", "", candidate)
    if name in disabled:
        return replace(chosen, state="disabled", reason=disabled[name])
    if enabled is not None and name not in enabled:
        return replace(chosen, state="disabled", reason="not listed in [features] enabled")
    return replace(
        chosen, reason="listed in [features] enabled" if enabled is not None else f"present ({candidate.origin})"
    )


def _absent_but_enabled(name: str, known: Mapping[str, KnownFeature], everything: Iterable[str]) -> str:
    if name in known:
        return (
            f"[features] enabled names {name}, but this build was made without it; build with PIMD_FEATURES=...,{name}"
        )
    near = difflib.get_close_matches(name, list(everything), 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(everything))}"
    return f"[features] enabled names {name}, which no build and no installed package has; {hint}"


def unknown_names(
    everything: Sequence[str], disabled: Mapping[str, str], tables: Mapping[str, object]
) -> Iterator[str]:
    """Yield a line for each name in the configuration that no feature has."""
    for name in dict.fromkeys([*disabled, *tables]):
        if name not in everything:
            near = difflib.get_close_matches(name, everything, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"the configuration names a feature {name!a}, which does not exist{hint}"


def start_order(features: Mapping[str, Feature], absent: Mapping[str, str]) -> list[Feature]:
    """Sort so that what is required starts first; `absent` says of the others why they are off.

    Raises AssemblyError that names the chain for a missing requirement or a cycle, and for two owners of one namespace.
    """
    for feature in features.values():
        _check_requirements(feature, features, absent, (feature.name,))
    _check_namespaces(features.values())
    sorter = TopologicalSorter({name: sorted(feature.requires) for name, feature in features.items()})
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        raise AssemblyError(f"features require each other in a circle: {' -> '.join(error.args[1])}") from None
    # Where requirements leave the order open, the table decides: the first that can start does.
    rank = {name: index for index, name in enumerate(features)}
    ordered: list[str] = []
    waiting = sorted(order, key=rank.__getitem__)
    while waiting:
        ready = next(name for name in waiting if all(r in ordered for r in features[name].requires))
        ordered.append(ready)
        waiting.remove(ready)
    return [features[name] for name in ordered]


def _check_requirements(
    feature: Feature, features: Mapping[str, Feature], absent: Mapping[str, str], chain: tuple[str, ...]
) -> None:
    for required in feature.requires:
        if required not in features:
            why = absent.get(required, "no feature has that name")
            raise AssemblyError(
                f"{' -> '.join((*chain, required))}: {chain[0]} cannot run without {required} ({why}); "
                f"turn {required} on, or {chain[0]} off"
            )
        if required not in chain:
            _check_requirements(features[required], features, absent, (*chain, required))


def _check_namespaces(features: Iterable[Feature]) -> None:
    owners: dict[str, str] = dict.fromkeys(CORE_NAMESPACES, "the daemon")
    for feature in features:
        for namespace in feature.namespaces:
            if namespace in owners:
                raise AssemblyError(
                    f"the RPC namespace {namespace} is claimed by {owners[namespace]} and {feature.name}"
                )
            owners[namespace] = feature.name
