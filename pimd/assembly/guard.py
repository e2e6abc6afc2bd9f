"""The one guard of a feature: every call into its code goes through it, and its failures are counted here."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from pimd.calls import BLOCKED_S, Calls, Outcome, Stopped
from pimd.clock import Clock
from pimd.contract import DatabaseError
from pimd.faults import text_and_place, traceback_of

FAILURES = 5
WINDOW_S = 60.0
"""After five failures within a minute a feature is quarantined."""
BLOCKS = 3
"""So is one whose steps block the loop three times within a minute."""


class GuardedTask:
    """Implements `contract.SpawnedTask`."""

    __slots__ = ("_task", "cancelled", "name")

    def __init__(self, name: str, task: "asyncio.Task[Any]") -> None:
        self.name = name
        self.cancelled = False
        """Whether the feature cancelled it, so that its CancelledError is no crash."""
        self._task = task

    @property
    def done(self) -> bool:
        """Whether it ended in any way."""
        return self._task.done()

    def cancel(self) -> None:
        """Cancel the task, once more if it was cancelled before."""
        self.cancelled = True
        self._task.cancel()

    async def wait(self) -> None:
        """Return once it is done; a caller that is cancelled leaves it as it is."""
        if self._task is asyncio.current_task():
            raise RuntimeError(f"the task {self.name!r} waits for its own end")
        await asyncio.wait({self._task})


class Guard:
    """Calls a feature's code; failures are logged in one line, counted, and quarantine it."""

    def __init__(
        self,
        feature: str,
        clock: Clock,
        *,
        package: str = "",
        quarantine: Callable[[str], None] = lambda _: None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.feature = feature
        self.package = package
        """Top-level name of its modules; an error is told with the last line of them that ran."""
        self.failures = 0
        """Failures since the feature was started."""
        self.events_dropped = 0
        """Events since then that did not fit the model of their stream."""
        self.stopping = False
        """While it stops, failures are logged and no longer counted."""
        self.quarantined = False
        self.calls = Calls(f"feature {feature}", self._blocked, timer)
        self.log = logging.getLogger(f"pimd.features.{feature}")
        self.clock = clock
        self._quarantine = quarantine
        self._told: set[str] = set()
        """Timers and streams of which a failure was logged."""
        self._recent: deque[float] = deque(maxlen=FAILURES)
        self._blocks: deque[float] = deque(maxlen=BLOCKS)

    def call(self, what: str, function: Callable[..., object], *args: object) -> Outcome:
        """Call a plain function within this turn; a failure is logged and counted."""
        outcome = self.calls.call(what, function, *args)
        self.judge(what, outcome)
        return outcome

    async def run(self, what: str, function: Callable[..., Awaitable[Any]], *args: object, timeout_s: float) -> Outcome:
        """Call an async function for at most `timeout_s`; a failure is logged and counted."""
        outcome = await self.calls.run(what, function, *args, timeout_s=timeout_s)
        self.judge(what, outcome, timeout_s)
        return outcome

    def spawn(self, name: str, work: Coroutine[Any, Any, None], crashed: Callable[[str], None]) -> "GuardedTask":
        """Run a task of the feature; `crashed` gets the reason when it ends with an exception."""

        def ended(outcome: Outcome) -> None:
            was_told = handle.cancelled and isinstance(outcome.error, asyncio.CancelledError)
            if outcome.ok or was_told or self.stopping or isinstance(outcome.error, Stopped):
                return
            self.failures += 1
            self.tell(f"its task {name!r} crashed", outcome)
            crashed(f"its task {name!r} crashed: {self.text(outcome)}")

        handle = GuardedTask(name, self.calls.spawn(name, work, ended))
        return handle

    def judge(self, what: str, outcome: Outcome, limit_s: float = 0.0) -> None:
        """Log and count an outcome that is not ok."""
        if outcome.ok or isinstance(outcome.error, Stopped):
            return
        if outcome.timed_out:
            self.log.error("feature %s: %s did not return within %g s and was cancelled", self.feature, what, limit_s)
        else:
            self.tell(f"{what} failed", outcome)
        if not self.stopping:
            self._count(what)

    def judge_timer(self, what: str, outcome: Outcome) -> None:
        """Count an outcome that is not ok, and log the first one of each `what`: a timer may fail again and again."""
        ended_by_stop = self.stopping and isinstance(outcome.error, asyncio.CancelledError)
        if outcome.ok or ended_by_stop or isinstance(outcome.error, Stopped):
            return
        if what not in self._told:
            self._told.add(what)
            self.tell(f"{what} failed (from now on that is only counted)", outcome)
        if not self.stopping:
            self._count(what)

    def drop_event(self, stream: str, what: str) -> None:
        """Count an event that was not published, and log the first one of each stream."""
        self.events_dropped += 1
        if stream not in self._told:
            self._told.add(stream)
            self.log.error("feature %s: %s; it was dropped, and further ones are only counted", self.feature, what)

    def tell(self, what: str, outcome: Outcome) -> None:
        """Log one line; the traceback only at DEBUG."""
        self.log.error("feature %s: %s: %s", self.feature, what, self.text(outcome))
        if outcome.error is not None and not isinstance(outcome.error, DatabaseError):
            self.log.debug("feature %s: %s: %s", self.feature, what, traceback_of(outcome.error))

    def text(self, outcome: Outcome) -> str:
        """Return the error of an outcome that is not ok in one line, with its place in the feature's code."""
        return text_and_place(outcome.error, self.package) if outcome.error is not None else "no answer in time"

    def blame(self, what: str, error: BaseException) -> None:
        """Log and count an error that was caught elsewhere."""
        self.judge(what, Outcome(error=error))

    # --- inside

    def _count(self, what: str) -> None:
        self.failures += 1
        now = self.clock.now()
        self._recent.append(now)
        if len(self._recent) == FAILURES and now - self._recent[0] <= WINDOW_S:
            self._recent.clear()
            self._quarantine(f"{FAILURES} failures within {WINDOW_S:g} s, the last in {what}; the log has them")

    def _blocked(self, what: str, seconds: float) -> None:
        self.failures += 1
        now = self.clock.now()
        self._blocks.append(now)
        self.log.error(
            "feature %s: %s blocked the daemon for %.1f s, more than %g s in one go; it must await more often, "
            "or do such work in a thread",
            self.feature,
            what,
            seconds,
            BLOCKED_S,
        )
        if len(self._blocks) == BLOCKS and now - self._blocks[0] <= WINDOW_S and not self.stopping:
            self._blocks.clear()
            self._quarantine(f"it blocked the daemon {BLOCKS} times within {WINDOW_S:g} s, the last time in {what}")
