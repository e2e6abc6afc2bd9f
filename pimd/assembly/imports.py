"""The import of one feature, with its declaration and its settings: all that runs its code before its plugin is made."""

import asyncio
import contextlib
import difflib
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from pimd.assembly.choice import AssemblyError, Candidate
from pimd.assembly.declaration import check_declaration
from pimd.assembly.declared import DeclarationError, Declared
from pimd.calls import Calls
from pimd.contract import Feature
from pimd.faults import text_and_place, text_of, traceback_of
from pimd.settings.unset import without_unset

log = logging.getLogger("pimd.features")


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
    wanted: Collection[str] = ()
    """Features whose own table has `enabled = true`: these run also where they are off by default."""

    def wants(self, feature: Feature) -> bool:
        """Tell whether a feature that is not disabled runs: it may be off by default."""
        return self.enabled is not None or feature.default_enabled or feature.name in self.wanted

    def settings_of(self, feature: Feature) -> BaseModel:
        """Validate `[features.<name>]`; `AssemblyError` with one line that names every wrong key, and the place of the first."""
        table = {key: value for key, value in self.tables.get(feature.name, {}).items() if key != "enabled"}
        old = self._old_table(feature, table)
        outcome = Calls(f"feature {feature.name}", in_loop=False).call(
            "its settings", _validated, feature, {**old, **table}
        )
        if outcome.error is not None:
            told = [
                ((feature.name, *key) if key and key[0] in old else ("features", feature.name, *key), text)
                for key, text in _problems(outcome.error)
            ]
            raise AssemblyError("; ".join(f"{'.'.join(map(str, where))}: {text}" for where, text in told), told[0][0])
        settings: BaseModel = outcome.value
        return settings

    def _old_table(self, feature: Feature, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return what counts of a table at its old place; other programs may have keys of their own there."""
        given = self.old_tables.get(feature.name, {})
        known = feature.settings.model_fields if given else {}
        for key in given.keys() - known.keys():
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            log.warning("unknown key %s.%s is ignored%s", feature.name, ascii(key)[1:-1], hint)
        return {key: value for key, value in given.items() if key in known and key not in table}


class Import:
    """The import of one feature; an installed one is imported in a thread, which nobody has to wait for."""

    def __init__(self, candidate: Candidate, choice: FeatureChoice, *, in_thread: bool) -> None:
        self.candidate = candidate
        self.feature: Declared | None = None
        self.settings: BaseModel | None = None
        """What its table says; None before it was imported, and when its table is wrong."""
        self.fault: str | None = None
        """Why it cannot run."""
        self.refusal: AssemblyError | None = None
        """What is wrong in its table."""
        self._choice = choice
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
        feature, self.fault = _imported(self.candidate)
        if feature is not None:
            self._read_settings(feature)
        self.feature = feature
        with self._lock:
            self._over.set()
        for callback in self._told:
            callback()

    def _read_settings(self, feature: Declared) -> None:
        try:
            self.settings = self._choice.settings_of(feature)
        except AssemblyError as error:
            self.refusal = error
            self.fault = f"{error}; correct [features.{feature.name}] in the configuration"


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
        said = text_and_place(checked.error, candidate.package)
        return None, f"its declaration cannot be read: {said}; {_way_out(candidate)}"
    return checked.value, None


def _way_out(candidate: Candidate) -> str:
    off = f'set [features] disabled = ["{candidate.name}"]'
    return off if candidate.is_builtin else f"repair or uninstall {candidate.origin}, or {off}"


def _validated(feature: Feature, table: Mapping[str, Any]) -> BaseModel:
    model: type[BaseModel] = feature.settings
    settings = model.model_validate(without_unset(table, model))
    if not isinstance(settings, model):
        raise TypeError(f"they are {type(settings).__name__}")
    return settings


def _problems(error: BaseException) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the keys and what is wrong with them, one at least."""
    if not isinstance(error, ValidationError):
        return [((), f"its settings cannot be read: {text_of(error)}")]
    outcome = Calls("settings", in_loop=False).call(
        "its errors", lambda: error.errors(include_url=False, include_input=False)
    )
    if outcome.error is not None:
        return [((), text_of(error))]
    return [(found["loc"], found["msg"]) for found in outcome.value]
