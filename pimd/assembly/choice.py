"""Which features run, and why each of the others does not."""

import contextlib
import difflib
import importlib
import importlib.metadata
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

from pimd import __version__
from pimd.assembly.known import KnownFeature
from pimd.faults import text_of

log = logging.getLogger("pimd.features")

ENTRY_POINT_GROUP = "pimd.features"
OWN_DISTRIBUTION = "pim-daemon"
BUILTIN = "built-in"
CORE_NAMESPACES = frozenset({"rpc", "features", "daemon"})
RESERVED_NAMES = frozenset({"core", "enabled", "disabled", "required"})
"""No names of features: the owner of the daemon's own methods, and the keys of `[features]`."""


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
    load: Callable[[], object]
    """Imports the code and returns its `FEATURE`; raises whatever the code raises."""
    entry: importlib.metadata.EntryPoint | None = None
    """Of an installed one."""

    @property
    def is_builtin(self) -> bool:
        """Whether this build contains it; its code is trusted to import without delay."""
        return self.origin == BUILTIN

    @property
    def package(self) -> str:
        """Top-level name of the module that its entry point names; empty without one."""
        return self.entry.value.partition(":")[0].split(".")[0].strip() if self.entry is not None else ""


@dataclass(frozen=True)
class Choice:
    """The decision about one known feature."""

    name: str
    version: str
    origin: str
    state: Literal["chosen", "disabled", "not_built", "failed"]
    reason: str
    candidate: Candidate | None


def _load_builtin(name: str) -> object:
    return importlib.import_module(f"pimd_features.{name}").FEATURE


def builtin_candidates(known: Mapping[str, KnownFeature]) -> list[Candidate]:
    """The features that this build contains, in the order of its table."""
    return [
        Candidate(row.name, __version__, BUILTIN, lambda name=row.name: _load_builtin(name))  # type: ignore[misc]
        for row in known.values()
        if row.built
    ]


def installed_candidates() -> list[Candidate]:
    """Features of other distributions, by distribution name; one whose files cannot be read is told of, and passed over."""
    found: list[Candidate] = []
    seen: set[str] = {OWN_DISTRIBUTION}
    for dist in importlib.metadata.distributions():
        name, version = _about(dist)
        if name not in seen:
            seen.add(name)
            found += [Candidate(one.name, version, name, partial(_load, one), one) for one in _entries(dist, name)]
    return sorted(found, key=lambda candidate: (candidate.origin, candidate.name))


@cache
def installed_at_first() -> tuple[Candidate, ...]:
    """As `installed_candidates` at the first call; for simulations, since reading all metadata takes longer than a small one."""
    return tuple(installed_candidates())


def _entries(dist: importlib.metadata.Distribution, name: str) -> Iterator[importlib.metadata.EntryPoint]:
    """Yield its entry points of our group; other programs' entry points are not even parsed."""
    try:
        if ENTRY_POINT_GROUP in (dist.read_text("entry_points.txt") or ""):
            yield from dist.entry_points.select(group=ENTRY_POINT_GROUP)
    # The files are another program's, and the parser raises what its parts do.
    except Exception as error:  # noqa: BLE001
        log.warning(
            "the entry points of the distribution %s cannot be read: %s; repair or uninstall it", name, text_of(error)
        )


def _about(dist: importlib.metadata.Distribution) -> tuple[str, str]:
    """Return name and version; of a distribution whose metadata cannot be read what the name of its directory says."""
    said: tuple[object, object] = (None, None)
    with contextlib.suppress(Exception):
        said = (dist.metadata["Name"], dist.metadata["Version"])
    directory = Path(str(getattr(dist, "_path", ""))).stem.split("-")
    name, version = (one if isinstance(one, str) and one.strip() else None for one in said)
    return name or directory[0] or "?", version or "?"


def _load(entry: importlib.metadata.EntryPoint) -> object:
    if not entry.pattern.match(entry.value):
        raise ValueError(f"its entry point names no module: {entry.value!a}; write: {entry.name} = module:FEATURE")
    return entry.load()


def choose(
    known: Mapping[str, KnownFeature],
    candidates: Sequence[Candidate],
    enabled: Sequence[str] | None,
    disabled: Mapping[str, str],
) -> list[Choice]:
    """Decide about every feature; `disabled` maps names to reasons. One that nobody brings and `enabled` names is failed."""
    present = {candidate.name: candidate for candidate in reversed(candidates)}
    everything = list(dict.fromkeys([*known, *(candidate.name for candidate in candidates)]))
    choices = [_choice(name, present.get(name), enabled, disabled) for name in everything]
    return [*choices, *(_nobody_brings(name, everything) for name in enabled or () if name not in everything)]


def _choice(
    name: str, candidate: Candidate | None, enabled: Sequence[str] | None, disabled: Mapping[str, str]
) -> Choice:
    if candidate is None:
        listed = "listed in [features] enabled, but " if name in (enabled or ()) else ""
        return Choice(name, __version__, BUILTIN, "not_built", f"{listed}this build was made without it", None)
    chosen = Choice(name, candidate.version, candidate.origin, "chosen", "", candidate)
    if name in disabled:
        return replace(chosen, state="disabled", reason=disabled[name])
    if enabled is not None and name not in enabled:
        return replace(chosen, state="disabled", reason="not listed in [features] enabled")
    return replace(
        chosen, reason="listed in [features] enabled" if enabled is not None else f"present ({candidate.origin})"
    )


def _nobody_brings(name: str, everything: Sequence[str]) -> Choice:
    near = difflib.get_close_matches(name, everything, 1)
    hint = f"did you mean {near[0]}?" if near else "install what brings it, or take it off the list"
    reason = f"not installed: [features] enabled names {ascii(name)[1:-1]}, which no build and no installed package has"
    return Choice(name, "", "?", "failed", f"{reason}; {hint}", None)


def unknown_names(
    everything: Sequence[str], disabled: Mapping[str, str], tables: Mapping[str, object]
) -> Iterator[str]:
    """Yield a line for each name in the configuration that no feature has."""
    for name in dict.fromkeys([*disabled, *tables]):
        if name not in everything:
            near = difflib.get_close_matches(name, everything, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"the configuration names a feature {name!a}, which does not exist{hint}"
