"""Runs one plugin from `start` to `shutdown`, and ends it in order."""

import asyncio
from collections.abc import Awaitable, Callable

from pimd.assembly.guard import Guard
from pimd.assembly.threads import Threads
from pimd.assembly.timers import Timers
from pimd.calls import Outcome
from pimd.contract import CONGESTION_MET, CancellationToken, DaemonPlugin, PluginContext
from pimd.ids import NodeId
from pimd.mesh.payloads import Delivery, Ended, PayloadQueue

START_S = 30.0
PAYLOAD_S = 30.0
PAYLOADS_AT_ONCE_S = 0.001
"""Seconds of payloads in one turn of the event loop: a plugin that waits for nothing would take all that are queued."""
FORGOTTEN_S = 5.0
DRAIN_S = 2.0
"""Seconds that what runs, and what waits in the queue, has to end when the feature stops."""
SHUTDOWN_S = 3.0
TASKS_S = 1.0
STOP_S = DRAIN_S + SHUTDOWN_S + TASKS_S


class PluginHost:
    """One plugin; everything that it is called for goes through the guard of its feature."""

    def __init__(
        self, guard: Guard, plugin: DaemonPlugin, cancel: CancellationToken, timers: Timers, threads: Threads
    ) -> None:
        self.guard = guard
        self.plugin = plugin
        self._cancel = cancel
        self._timers = timers
        self._threads = threads
        self._queue: PayloadQueue | None = None
        self._pump: asyncio.Task[None] | None = None
        self._started = False

    @property
    def failures(self) -> int:
        """Failures since the start of the plugin."""
        return self.guard.failures

    @property
    def is_idle(self) -> bool:
        """Whether no payload waits and no call runs."""
        return not self._queue and not self.guard.calls.in_flight

    async def start(self, context: PluginContext) -> Outcome:
        """Call `start`, at most 30 s; its failure is the caller's to tell."""
        self._started = True
        return await self.guard.calls.run("start", self._of_plugin("start"), context, timeout_s=START_S)

    def serve(self, queue: PayloadQueue, group: asyncio.TaskGroup) -> None:
        """Pass payloads to the plugin one at a time, in order of arrival, until it stops."""
        self._queue = queue
        self._pump = group.create_task(self._hand_over(queue), name=f"payloads of {self.guard.feature}")

    async def forgotten(self, peer: NodeId) -> None:
        """Call `on_peer_forgotten`; a failure is logged and counted."""
        await self.guard.run("on_peer_forgotten", self._of_plugin("on_peer_forgotten"), peer, timeout_s=FORGOTTEN_S)

    async def stop(self, budget_s: float = STOP_S) -> None:
        """End what runs, call `shutdown` once, end the tasks; nothing of the plugin runs after that.

        Within `budget_s`, of which the three parts get their shares. No new payloads may come any more.
        """
        share = budget_s / STOP_S
        self.guard.stopping = True
        running = await self._drain(DRAIN_S * share)
        if running:
            self.guard.log.warning("feature %s stops while these run on: %s", self.guard.feature, ", ".join(running))
        self._cancel.cancel()
        if self._started:
            self._started = False
            await self.guard.run("shutdown", self._of_plugin("shutdown"), timeout_s=SHUTDOWN_S * share)
        self._timers.close()
        stuck = await self.guard.calls.close(TASKS_S * share)
        in_threads = self._threads.close()
        if in_threads:
            self.guard.log.warning(
                "feature %s was stopped while blocking work runs in %d of its threads; it cannot be ended, and its results "
                "are dropped",
                self.guard.feature,
                in_threads,
            )
        if stuck:
            self.guard.log.warning("%s: ended by force, since they ignore their cancellation", ", ".join(stuck))

    def _of_plugin(self, name: str) -> Callable[..., Awaitable[None]]:
        """Look a function of the plugin up when it is called, inside the guard: that may run its code, too."""

        def begin(*args: object) -> Awaitable[None]:
            called: Awaitable[None] = getattr(self.plugin, name)(*args)
            return called

        return begin

    async def _drain(self, seconds: float) -> list[str]:
        until = asyncio.get_running_loop().time() + seconds
        if self._queue is not None and self._pump is not None:
            self._queue.put_end()
            await asyncio.wait({self._pump}, timeout=seconds)
            self._pump.cancel()
        return await self.guard.calls.drain(until - asyncio.get_running_loop().time())

    async def _hand_over(self, queue: PayloadQueue) -> None:
        loop = asyncio.get_running_loop()
        turn_ends = 0.0
        while True:
            try:
                if loop.time() >= turn_ends:
                    await asyncio.sleep(0)
                    turn_ends = loop.time() + PAYLOADS_AT_ONCE_S
                await self._take(await queue.get())
            except Ended:
                return
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if self.guard.stopping or task is None:
                    raise
                task.uncancel()  # the plugin kept this task, and cancelled it: the next payload is its business, too
                self.guard.blame("a task of the daemon, which it cancelled,", error)

    async def _take(self, delivery: Delivery) -> None:
        CONGESTION_MET.set(delivery.congestion_met)
        take = self._of_plugin("handle_payload")
        outcome = await self.guard.calls.run(
            "handle_payload", take, delivery.src, delivery.kind, delivery.body, timeout_s=PAYLOAD_S
        )
        if not outcome.ok:
            self.guard.judge("handle_payload", outcome, PAYLOAD_S)
