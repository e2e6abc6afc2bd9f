"""Runs one plugin and contains its failures."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from pimd.assembly.tasks import Outcome, PluginTasks
from pimd.clock import Clock
from pimd.contract import CONGESTION_MET, DaemonPlugin, PluginContext
from pimd.ids import NodeId
from pimd.mesh.counters import Counters
from pimd.mesh.payloads import PayloadQueue

log = logging.getLogger("pimd.features")

START_S = 30.0
PAYLOAD_S = 30.0
FORGOTTEN_S = 5.0
SHUTDOWN_S = 5.0
FAILURES = 5
WINDOW_S = 60.0
"""After five failures within a minute a plugin is quarantined."""


class PluginHost:
    """One plugin from `start` to `shutdown`."""

    def __init__(
        self,
        name: str,
        plugin: DaemonPlugin,
        clock: Clock,
        counts: Counters,
        *,
        on_quarantine: Callable[[str], None],
        on_crash: Callable[[str], None],
    ) -> None:
        self.name = name
        self.plugin = plugin
        self.quarantined = False
        self.failures = 0
        """Failures since the start of the plugin."""
        self._clock = clock
        self._counts = counts
        self._on_quarantine = on_quarantine
        self._on_crash = on_crash
        self._tasks = PluginTasks(name)
        self._recent: deque[float] = deque(maxlen=FAILURES)
        self._stopping = False

    async def start(self, context: PluginContext) -> BaseException | None:
        """Return what `start` raised, a TimeoutError after 30 s, or None."""
        outcome = await self._tasks.run("start", self.plugin.start(context), START_S)
        if outcome.timed_out:
            return TimeoutError(f"its start did not return within {START_S:g} s")
        return outcome.error

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run a task of the plugin; one that crashes ends the plugin."""
        self._tasks.start(name, work).add_done_callback(lambda task: self._task_ended(name, task))

    def serve(self, queue: PayloadQueue) -> None:
        """Pass payloads to the plugin one at a time, in order of arrival, until cancelled."""
        self._tasks.start("payloads", self._hand_over(queue))

    def guard(self, what: str, call: Callable[[], None]) -> None:
        """Call a plain function of the plugin within this turn; an exception is logged and counted."""
        if self.quarantined:
            self._counts.count("dropped_quarantined")
        if self.quarantined or self._stopping:
            return
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - the containment seam
            self._judge(what, Outcome(error), PAYLOAD_S)

    async def forgotten(self, peer: NodeId) -> None:
        """Call `on_peer_forgotten`; an exception is logged and counted."""
        outcome = await self._tasks.run("on_peer_forgotten", self.plugin.on_peer_forgotten(peer), FORGOTTEN_S)
        self._judge("on_peer_forgotten", outcome, FORGOTTEN_S)

    async def shutdown(self) -> None:
        """Call the plugin's `shutdown`, at most 5 s, then end its tasks; those that refuse are named."""
        self._stopping = True
        outcome = await self._tasks.run("shutdown", self.plugin.shutdown(), SHUTDOWN_S)
        if not outcome.ok:
            self._log("shutdown", outcome, SHUTDOWN_S)
        stuck = await self._tasks.cancel_all()
        if stuck:
            log.warning("feature %s left tasks behind that ignore their cancellation: %s", self.name, ", ".join(stuck))

    async def _hand_over(self, queue: PayloadQueue) -> None:
        while True:
            delivery = await queue.get()
            if self.quarantined:
                self._counts.count("dropped_quarantined")
                continue
            CONGESTION_MET.set(delivery.congestion_met)
            work = self.plugin.handle_payload(delivery.src, delivery.kind, delivery.body)
            self._judge("handle_payload", await self._tasks.run("handle_payload", work, PAYLOAD_S), PAYLOAD_S)

    def _judge(self, what: str, outcome: Outcome, limit_s: float) -> None:
        if outcome.ok or self._stopping:
            return
        self._log(what, outcome, limit_s)
        self.failures += 1
        now = self._clock.now()
        self._recent.append(now)
        if not self.quarantined and len(self._recent) == FAILURES and now - self._recent[0] <= WINDOW_S:
            self.quarantined = True
            log.error("feature %s failed %d times within %g s and is quarantined", self.name, FAILURES, WINDOW_S)
            self._on_quarantine(f"{FAILURES} failures within {WINDOW_S:g} s, the last in {what}; the log has them")

    def _log(self, what: str, outcome: Outcome, limit_s: float) -> None:
        if outcome.timed_out:
            log.error("feature %s: %s did not return within %g s and was cancelled", self.name, what, limit_s)
        else:
            log.error("feature %s: %s failed", self.name, what, exc_info=outcome.error)

    def _task_ended(self, name: str, task: asyncio.Task[Outcome]) -> None:
        outcome = task.result()
        if self._stopping or outcome.ok:
            return
        log.error("feature %s: its task %r crashed", self.name, name, exc_info=outcome.error)
        self.failures += 1
        self._on_crash(f"its task {name!r} crashed: {type(outcome.error).__name__}; the log has the cause")
