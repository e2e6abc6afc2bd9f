"""The feature under test, and how it is started."""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from pimd.assembly.assembly import IMPORT_S
from pimd.assembly.choice import BUILTIN, Candidate, builtin_candidates
from pimd.assembly.imports import FeatureChoice, Import
from pimd.assembly.known import known_features
from pimd.assembly.plan import Plan
from pimd.contract import DaemonPlugin, Feature
from pimd.faults import modules_of
from pimd.testing.alone import Alone, settings_table


class Refused(Exception):  # noqa: N818 - says what is the matter
    """The feature cannot be imported or assembled; the text is the reason that its row would show."""


class Subject:
    """One feature with its settings; a declaration is imported once."""

    def __init__(
        self,
        feature: Feature | Callable[[], object],
        settings: BaseModel | Mapping[str, Any] | None = None,
        beside: Sequence[Feature] = (),
        name: str | None = None,
    ) -> None:
        given: Any = feature
        self._load: Callable[[], object] = (lambda: given) if not callable(given) else given
        self._loaded: object = None
        self._name = name if name is not None else getattr(feature, "name", None)
        if self._name is None:
            raise TypeError("conformance takes a Feature, or a function that imports it, with name='...'")
        self.settings = settings
        self.beside = beside
        self._import: Import | None = None

    def feature(self) -> Feature:
        """Import it within 30 s; `Refused` says why it cannot be."""
        if self._import is None:
            candidate = Candidate(str(self._name), "1", "the feature under test", self._keep_loaded)
            choice = FeatureChoice(tables={candidate.name: settings_table(self.settings)})
            self._import = Import(candidate, choice, in_thread=True)
        if not self._import.wait(IMPORT_S):
            raise Refused(f"its import did not end within {IMPORT_S:g} s")
        if self._import.fault is not None or not isinstance(self._loaded, Feature):
            raise Refused(self._import.fault or "it cannot be imported")
        return self._loaded

    def refuse_faults(self) -> None:
        """Raise `Refused` unless it can be assembled beside the features of this build."""
        feature = self.feature()
        known = known_features()
        others = [one for one in builtin_candidates(known) if one.name != feature.name]
        beside = [Candidate(one.name, "1", BUILTIN, lambda one=one: one) for one in self.beside]  # type: ignore[misc]
        own = Candidate(feature.name, "1", "the feature under test", lambda: feature)
        candidates = [*others, *beside, own]
        choice = FeatureChoice(
            enabled=[one.name for one in candidates], tables={feature.name: settings_table(self.settings)}
        )
        fault = Plan(choice, known, candidates).faults.get(feature.name)
        if fault is not None:
            raise Refused(fault)

    def alone(
        self, *, plugin: type[DaemonPlugin] | None = None, beside: Sequence[Feature] = (), must_run: bool = True
    ) -> Alone:
        """Return the feature alone, not started yet; with `plugin` in place of its own, and more features beside it."""
        feature = self.feature()
        if plugin is not None:
            feature = dataclasses.replace(feature, plugin=plugin)
        return Alone(feature, settings=self.settings, beside=[*self.beside, *beside], must_run=must_run, may_fail=True)

    def _keep_loaded(self) -> object:
        self._loaded = self._load()
        return self._loaded

    def is_to_blame(self, error: BaseException) -> bool:
        """Tell whether code that is neither the daemon's nor the standard library's raised the error."""
        tops = [module.partition(".")[0] for module in modules_of(error)]
        return next((top for top in tops if top not in sys.stdlib_module_names), "pimd") != "pimd"
