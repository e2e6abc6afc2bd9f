"""Which features are to run, in what order, and what is wrong with each of the others, before anything runs."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

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
from pimd.assembly.declared import Declared
from pimd.assembly.imports import FeatureChoice, Import
from pimd.assembly.known import KnownFeature, known_features
from pimd.assembly.verbs import overlap
from pimd.contract import Feature
from pimd.terminal import COMMANDS

log = logging.getLogger("pimd.features")

IMPORT_S = 1.0
"""Seconds that the plan waits for imports of installed features; those that take longer are awaited while others run."""


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
            one.name: Import(one.candidate, choice, in_thread=not one.candidate.is_builtin)
            for one in self.choices
            if one.state == "chosen" and one.candidate is not None
        }
        until = time.monotonic() + (IMPORT_S if patience_s is None else patience_s)
        for each in self.imports.values():
            each.wait(until - time.monotonic())
        self.features = {name: each.feature for name, each in self.imports.items() if each.feature is not None}
        self.choices = [self._default(one) for one in self.choices]
        self.faults = self._faults()
        self._refuse_wrong()

    @classmethod
    def of_this_build(cls, choice: FeatureChoice, patience_s: float | None = None) -> Self:
        """Plan with the features of this build and of installed distributions."""
        known = known_features()
        return cls(choice, known, [*builtin_candidates(known), *installed_candidates()], patience_s)

    def unfinished(self) -> set[str]:
        """Return the features whose import had not ended when the plan was made."""
        return {name for name, each in self.imports.items() if name not in self.features and each.fault is None}

    # --- inside

    def _default(self, one: Choice) -> Choice:
        feature = self.features.get(one.name)
        if feature is not None and not self.choice.wants(feature):
            del self.features[one.name], self.imports[one.name]
            return replace(one, state="disabled", reason="off by default; list it in [features] enabled")
        return one

    def _faults(self) -> dict[str, str]:
        faults = {one.name: one.reason for one in self.choices if one.state == "failed"}
        faults |= {name: each.fault for name, each in self.imports.items() if each.fault is not None}
        builtin = {one.name for one in self.choices if one.candidate is not None and one.candidate.is_builtin}
        for name in self.features:
            refusal = self.imports[name].refusal
            if refusal is not None and name in builtin:
                raise refusal
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
