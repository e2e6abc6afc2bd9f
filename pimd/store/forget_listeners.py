"""Tells plugins that an identity was removed; a slow one delays neither the others nor the user for long."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from pimd.clock import Clock
from pimd.ids import NodeId
from pimd.limits import Bites, declare

log = logging.getLogger(__name__)

ANSWER_LIMIT_S = 5.0
"""How long `peers.forget` waits for plugins."""
BACKLOG = declare(
    "evicted identities that plugins are still to be told of",
    10_000,
    "identities",
    "plugins are not told of further ones",
)

ForgetListener = Callable[[NodeId], Awaitable[None]]


class ForgetListeners:
    """Async callables that are called for each removed identity, in tasks of the given group."""

    def __init__(self, clock: Clock, tasks: asyncio.TaskGroup, bites: Bites) -> None:
        self._bites = bites
        self.listeners: list[ForgetListener] = []
        self._clock = clock
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._backlog: deque[NodeId] = deque()
        self._telling = False
        self._stopped = False

    async def tell(self, peer: NodeId) -> None:
        """Call all at once; return when they returned, or after 5 s while the rest continue."""
        calls = self._call_all(peer)
        over = asyncio.Event()
        timer = self._clock.call_at(self._clock.now() + ANSWER_LIMIT_S, over.set)
        for call in calls:
            call.add_done_callback(lambda _: over.set() if all(call.done() for call in calls) else None)
        try:
            if calls:
                await over.wait()
        finally:
            timer.cancel()
        late = [call.get_name() for call in calls if not call.done()]
        if late:
            log.warning("not ready within %.0f s: %s", ANSWER_LIMIT_S, ", ".join(late))

    def tell_later(self, peer: NodeId) -> None:
        """Queue an evicted identity; the queue is worked off one by one."""
        if self._stopped or not self.listeners:
            return
        if len(self._backlog) >= BACKLOG.value:
            self._bites.count(BACKLOG)
            return
        self._backlog.append(peer)
        if not self._telling:
            self._telling = True
            self._own(self._tasks.create_task(self._tell_backlog(), name="evicted identities"))

    def stop(self) -> None:
        """Cancel running calls; later removals are not announced."""
        self._stopped = True
        for task in self._running:
            task.cancel()

    async def _tell_backlog(self) -> None:
        try:
            while self._backlog:
                calls = self._call_all(self._backlog.popleft())
                if calls:
                    await asyncio.wait(calls)
        finally:
            self._telling = False

    def _call_all(self, peer: NodeId) -> list[asyncio.Task[None]]:
        return [
            self._own(self._tasks.create_task(self._call(listener, peer), name=_name_of(listener)))
            for listener in self.listeners
        ]

    def _own(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _call(self, listener: ForgetListener, peer: NodeId) -> None:
        try:
            await listener(peer)
        # A listener is a plugin's code: its failure is logged, and the others are still called.
        except Exception:
            log.exception("telling a plugin that %s was forgotten failed", peer.abbreviated)


def _name_of(listener: ForgetListener) -> str:
    return str(getattr(listener, "__qualname__", type(listener).__name__))
