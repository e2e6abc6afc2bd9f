"""The life of a feature: its states, and which may follow which."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel

from pimd.assembly.choice import AssemblyError, Candidate
from pimd.assembly.declared import Declared
from pimd.assembly.running import Built
from pimd.calls import Outcome
from pimd.faults import text_and_place, traceback_of

log = logging.getLogger("pimd.features")


class State(StrEnum):
    """What a feature is doing; the rows of `features.list` say the same words, and `disabled` for `stopped`."""

    NOT_BUILT = "not_built"
    DISABLED = "disabled"
    LOADED = "loaded"
    """Chosen, and waiting to be started."""
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    QUARANTINED = "quarantined"


MOVES: Mapping[State, frozenset[State]] = {
    State.NOT_BUILT: frozenset({State.LOADED}),
    State.DISABLED: frozenset({State.LOADED}),
    State.LOADED: frozenset({State.STARTING, State.FAILED, State.STOPPED}),
    State.STARTING: frozenset({State.RUNNING, State.FAILED, State.QUARANTINED, State.STOPPING}),
    State.RUNNING: frozenset({State.STOPPING, State.FAILED, State.QUARANTINED}),
    State.STOPPING: frozenset({State.STOPPED}),
    State.STOPPED: frozenset({State.LOADED}),
    State.FAILED: frozenset({State.LOADED, State.STOPPED}),
    State.QUARANTINED: frozenset({State.LOADED, State.STOPPED}),
}
"""A feature that fails or is quarantined keeps that state while it is stopped."""

ENDED = frozenset(State) - {State.LOADED, State.STARTING}
"""States in which what requires the feature need not wait any longer."""
SHOWN = {State.LOADED: "starting", State.STOPPED: "disabled"}


@dataclass
class Life:
    """One known feature."""

    name: str
    version: str
    origin: str
    candidate: Candidate | None
    """How it is loaded; None when nobody brings it."""
    state: State
    reason: str
    feature: Declared | None = None
    """The declaration, once it was imported."""
    settings: BaseModel | None = None
    """Those of its next start; each start has its own, read when it is imported."""
    built: Built | None = None
    """What exists while it starts, runs and stops."""
    blocked_by: str | None = None
    """The feature whose absence made this one fail; it is tried again when that one runs."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it neither waits nor starts."""

    def __post_init__(self) -> None:
        self._note()

    def to(self, state: State, reason: str) -> None:
        """Change the state; RuntimeError for a move that the table does not have."""
        if state not in MOVES[self.state]:
            raise RuntimeError(f"feature {self.name} cannot go from {self.state} to {state}")
        self.state, self.reason = state, reason
        self._note()

    def said(self, outcome: Outcome) -> str:
        """Return the error of an outcome in one line, with its place; its traceback is logged at DEBUG. Empty without one."""
        if outcome.error is None:
            return ""
        log.debug("feature %s: %s", self.name, traceback_of(outcome.error))
        if isinstance(outcome.error, AssemblyError):
            return str(outcome.error)
        return text_and_place(outcome.error, self.feature.package if self.feature is not None else "")

    def at(self, *states: State) -> bool:
        """Tell whether it is in one of these states now."""
        return self.state in states

    @property
    def shown(self) -> str:
        """The state as the rows say it."""
        return SHOWN.get(self.state, str(self.state))

    def _note(self) -> None:
        if self.state in ENDED:
            self.settled.set()
        else:
            self.settled.clear()
