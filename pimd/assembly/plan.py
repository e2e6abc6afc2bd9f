"""Which features are to run, in what order, and what is wrong with each of the others, before anything runs."""

import asyncio
import contextlib
import difflib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import BaseModel, ValidationError

from pimd.assembly.choice import (
    CORE_NAMESPACES,
    AssemblyError,
    Candidate,
    Choice,
    builtin_candidates,
    choose,
    installed_candidates,
    unknown_names,
)
from pimd.assembly.declaration import check_declaration
from pimd.assembly.declared import DeclarationError, Declared
from pimd.assembly.known import KnownFeature, known_features
from pimd.assembly.verbs import overlap
from pimd.calls import Calls
from pimd.contract import Feature
from pimd.faults import text_and_place, text_of, traceback_of
from pimd.terminal import COMMANDS

log = logging.getLogger("pimd.features")

IMPORT_S = 1.0
"""Seconds that the plan waits for imports of installed features; those that take longer are awaited while others run."""


@dataclass(frozen=True)
class FeatureChoice:
    """What the configuration says about features."""

    enabled: Sequence[str] | None = None
    disabled: Mapping[str, str] = field(default_factory=dict)
    """Name to the reason why it is off."""
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`[features.<name>]`, unvalidated."""
    required: Sequence[str] = ()
    """Features without which the daemon does not start."""
    old_tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What stands where the table of a feature was before `[features.<name>]`, by name, unvalidated."""


class Import:
    """The import of one feature; an installed one is imported in a thread, which nobody has to wait for."""

    def __init__(self, candidate: Candidate, *, in_thread: bool) -> None:
        self.candidate = candidate
        self.feature: Declared | None = None
        self.fault: str | None = None
        self._over = threading.Event()
        self._told: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        if in_thread:
            threading.Thread(target=self._run, name=f"import of {candidate.name}", daemon=True).start()
        else:
            self._run()

    def wait(self, seconds: float) -> bool:
        """Block for at most `seconds`; tell whether the import is over."""
        return self._over.wait(max(0.0, seconds))

    async def over(self, seconds: float) -> bool:
        """Wait for at most `seconds` without blocking the loop; tell whether the import is over."""
        told = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(told.set)

        self._when_over(tell)
        try:
            async with asyncio.timeout(seconds):
                await told.wait()
        except TimeoutError:
            return False
        return True

    def _when_over(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._over.is_set():
                self._told.append(callback)
                return
        callback()

    def _run(self) -> None:
        self.feature, self.fault = _imported(self.candidate)
        with self._lock:
            self._over.set()
        for callback in self._told:
            callback()


def _imported(candidate: Candidate) -> tuple[Declared | None, str | None]:
    calls = Calls(f"feature {candidate.name}", in_loop=False)
    loaded = calls.call("its import", candidate.load)
    if loaded.error is not None:
        log.debug("feature %s: %s", candidate.name, traceback_of(loaded.error))
        return None, f"it cannot be imported: {text_and_place(loaded.error, candidate.package)}; {_way_out(candidate)}"
    checked = calls.call("its declaration", check_declaration, loaded.value, candidate.name)
    if isinstance(checked.error, DeclarationError):
        return None, str(checked.error)
    if checked.error is not None:
        log.debug("feature %s: %s", candidate.name, traceback_of(checked.error))
        return (
            None,
            f"its declaration cannot be read: {text_and_place(checked.error, candidate.package)}; {_way_out(candidate)}",
        )
    return checked.value, None


def _way_out(candidate: Candidate) -> str:
    off = f'set [features] disabled = ["{candidate.name}"]'
    return off if candidate.is_builtin else f"repair or uninstall {candidate.origin}, or {off}"


class Plan:
    """The features that the configuration chooses; making one imports them.

    What is wrong with one feature is in `faults`. Raises `AssemblyError` for a wrong value in the table of a built-in
    feature, and for a fault of a required one.
    """

    def __init__(
        self,
        choice: FeatureChoice,
        known: Mapping[str, KnownFeature],
        candidates: Sequence[Candidate],
        patience_s: float | None = None,
    ) -> None:
        self.known = known
        self.choice = choice
        for name, owners in _twice(candidates).items():
            log.warning("feature %s is brought by %s; the first is used", name, " and by ".join(owners))
        self.choices = choose(known, candidates, choice.enabled, choice.disabled)
        for doubt in unknown_names([one.name for one in self.choices], choice.disabled, choice.tables):
            log.warning("%s", doubt)
        self.imports = {
            one.name: Import(one.candidate, in_thread=not one.candidate.is_builtin)
            for one in self.choices
            if one.state == "chosen" and one.candidate is not None
        }
        until = time.monotonic() + (IMPORT_S if patience_s is None else patience_s)
        for each in self.imports.values():
            each.wait(until - time.monotonic())
        self.features = {name: each.feature for name, each in self.imports.items() if each.feature is not None}
        if choice.enabled is None:
            self.choices = [self._default(one) for one in self.choices]
        self._checked: dict[str, tuple[Feature, BaseModel]] = {}
        """Settings that no start has taken yet; the next start of a feature gets new ones."""
        self.faults = self._faults()
        self._refuse_wrong()

    @classmethod
    def of_this_build(cls, choice: FeatureChoice, patience_s: float | None = None) -> Self:
        """Plan with the features of this build and of installed distributions."""
        known = known_features()
        return cls(choice, known, [*builtin_candidates(known), *installed_candidates()], patience_s)

    def settings_of(self, feature: Feature, now: FeatureChoice | None = None) -> BaseModel:
        """Validate `[features.<name>]`, for a first start only once; `AssemblyError` with one line for the first wrong key.

        `now` is what the configuration says by now, if that was read anew.
        """
        checked, choice = self._checked.pop(feature.name, None), now or self.choice
        if checked is not None and checked[0] is feature and now is None:
            return checked[1]
        table = {key: value for key, value in choice.tables.get(feature.name, {}).items() if key != "enabled"}
        old = _old_table(feature, table, choice.old_tables.get(feature.name, {}))
        outcome = Calls(f"feature {feature.name}", in_loop=False).call(
            "its settings", feature.settings.model_validate, {**old, **table}
        )
        if outcome.error is not None:
            key, text = _first_problem(outcome.error)
            where = (feature.name, *key) if key and key[0] in old else ("features", feature.name, *key)
            raise AssemblyError(f"{'.'.join(map(str, where))}: {text}", where)
        if not isinstance(outcome.value, feature.settings):
            where = ("features", feature.name)
            raise AssemblyError(f"{'.'.join(where)}: its settings are {type(outcome.value).__name__}", where)
        settings: BaseModel = outcome.value
        return settings

    def unfinished(self) -> set[str]:
        """Return the features whose import had not ended when the plan was made."""
        return {name for name, each in self.imports.items() if name not in self.features and each.fault is None}

    # --- inside

    def _default(self, one: Choice) -> Choice:
        feature = self.features.get(one.name)
        if feature is not None and not feature.default_enabled:
            del self.features[one.name], self.imports[one.name]
            return replace(one, state="disabled", reason="off by default; list it in [features] enabled")
        return one

    def _faults(self) -> dict[str, str]:
        faults = {one.name: one.reason for one in self.choices if one.state == "failed"}
        faults |= {name: each.fault for name, each in self.imports.items() if each.fault is not None}
        builtin = {one.name for one in self.choices if one.candidate is not None and one.candidate.is_builtin}
        for name, feature in self.features.items():
            try:
                self._checked[name] = feature, self.settings_of(feature)
            except AssemblyError as error:
                if name in builtin:
                    raise
                faults[name] = f"{error}; correct [features.{name}] in the configuration"
        absent = {one.name: f"{one.state}: {one.reason}" for one in self.choices if one.name not in self.imports}
        pending = self.unfinished()
        faults = clashes(self.features) | faults
        return missing(self.features, pending, absent | faults) | faults

    def _refuse_wrong(self) -> None:
        off = {one.name: f"{one.state}: {one.reason}" for one in self.choices if one.name not in self.imports}
        for name in self.choice.required:
            reason = self.faults.get(name) or off.get(name)
            if reason is None and name not in self.imports:
                reason = "not installed: no build and no installed package has it"
            if reason is not None:
                raise AssemblyError(
                    f"feature {ascii(name)[1:-1]}, which [features] required names, failed: {reason}",
                    ("features", "required"),
                )


def _old_table(feature: Feature, table: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts of a table at its old place; other programs may have keys of their own there."""
    known = feature.settings.model_fields
    for key in given.keys() - known.keys():
        near = difflib.get_close_matches(key, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        log.warning("unknown key %s.%s is ignored%s", feature.name, ascii(key)[1:-1], hint)
    return {key: value for key, value in given.items() if key in known and key not in table}


def _first_problem(error: BaseException) -> tuple[tuple[str | int, ...], str]:
    if not isinstance(error, ValidationError):
        return (), f"its settings cannot be read: {text_of(error)}"
    outcome = Calls("settings", in_loop=False).call(
        "its errors", lambda: error.errors(include_url=False, include_input=False)
    )
    return ((), text_of(error)) if outcome.error is not None else (outcome.value[0]["loc"], outcome.value[0]["msg"])


def _twice(candidates: Sequence[Candidate]) -> dict[str, list[str]]:
    owners: dict[str, list[str]] = {}
    for candidate in candidates:
        owners.setdefault(candidate.name, []).append(candidate.origin)
    return {name: origins for name, origins in owners.items() if len(origins) > 1}


def clashes(features: Mapping[str, Declared]) -> dict[str, str]:
    """Return what claims a namespace, payload kind or terminal command of one before it; `features` come by rank."""
    namespaces: dict[str, str] = dict.fromkeys(CORE_NAMESPACES, "the daemon")
    kinds: dict[str, str] = {}
    verbs: dict[tuple[str, ...], str] = {(word,): "pim itself" for word in COMMANDS}
    faults: dict[str, str] = {}
    for name, feature in features.items():
        for what, claims, owners in (
            ("RPC namespace", feature.namespaces, namespaces),
            ("payload kind", feature.payload_kinds, kinds),
        ):
            taken = next((claim for claim in claims if claim in owners), None)
            if taken is not None:
                faults[name] = (
                    f"the {what} {taken} belongs to {owners[taken]}, which comes first; "
                    f"let {name} claim another, or turn one of the two off"
                )
        taken_verb = _taken_verb(feature, verbs)
        if taken_verb is not None:
            faults[name] = taken_verb
        if name not in faults:
            namespaces |= dict.fromkeys(feature.namespaces, name)
            kinds |= dict.fromkeys(feature.payload_kinds, name)
            verbs |= {verb.words: name for verb in feature.verbs}
    return faults


def _taken_verb(feature: Feature, owners: Mapping[tuple[str, ...], str]) -> str | None:
    for verb in feature.verbs:
        other = next((words for words in owners if overlap(words, verb.words)), None)
        if other is not None:
            return (
                f"the terminal command `{' '.join(verb.words)}` cannot be told from `{' '.join(other)}` of {owners[other]}, "
                f"which comes first; give it other words, such as `{feature.name} {' '.join(verb.words[-1:])}`"
            )
    return None


def missing(features: Mapping[str, Feature], pending: set[str], absent: Mapping[str, str]) -> dict[str, str]:
    """Return those whose requirements cannot all run, each with the chain; `absent` says of the others why they do not."""
    faults = {}
    for name in features:
        chain = _broken_chain(name, features, pending, absent, (name,))
        if chain is not None:
            faults[name] = chain
    return faults


def _broken_chain(
    name: str, features: Mapping[str, Feature], pending: set[str], absent: Mapping[str, str], chain: tuple[str, ...]
) -> str | None:
    for required in features[name].requires:
        way = (*chain, required)
        if required in chain:
            return f"features require each other in a circle: {' -> '.join(way)}; turn one of them off"
        if required in absent or (required not in features and required not in pending):
            why = absent.get(required, "no feature has that name")
            return without(way, why)
        if required in features:
            broken = _broken_chain(required, features, pending, absent, way)
            if broken is not None:
                return broken
    return None


def without(chain: Sequence[str], why: str) -> str:
    """Say that the first of a chain cannot run because the last does not."""
    first, last = chain[0], chain[-1]
    return f"{' -> '.join(chain)}: {first} cannot run without {last} ({why}); turn {last} on, or {first} off"


def levels(features: Mapping[str, Feature]) -> list[list[str]]:
    """Sort names so that each level requires only names of earlier ones."""
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 0  # ends a circle
            depth[name] = max((of(r) + 1 for r in features[name].requires if r in features), default=0)
        return depth[name]

    for name in features:
        of(name)
    return [[name for name in features if depth[name] == level] for level in sorted(set(depth.values()))]
