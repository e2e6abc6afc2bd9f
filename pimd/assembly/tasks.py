"""Tasks of plugins: owned, named, and contained even when the plugin swallows its cancellation."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

ABANDON_S = 1.0
"""Seconds that a cancelled call has to end before it is abandoned."""


@dataclass(frozen=True)
class Outcome:
    """How one plugin coroutine ended."""

    error: BaseException | None
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether the coroutine returned, without an exception and within its time."""
        return self.error is None and not self.timed_out


async def _guarded(work: Coroutine[Any, Any, object]) -> Outcome:
    """Run `work` and catch everything; SystemExit would otherwise stop the event loop."""
    try:
        await work
    except BaseException as error:  # noqa: BLE001 - the containment seam
        return Outcome(error)
    return Outcome(None)


class PluginTasks:
    """The tasks of one plugin.

    A TaskGroup would wait without end for a task that swallows its cancellation. This owner waits a second, then names
    the task.
    """

    def __init__(self, feature: str) -> None:
        self._feature = feature
        self._tasks: set[asyncio.Task[Outcome]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[Outcome]:
        """Start `work`; its task never raises."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(_guarded(work), name=f"{self._feature}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def run(self, name: str, work: Coroutine[Any, Any, object], timeout_s: float) -> Outcome:
        """Run `work` for at most `timeout_s`, then cancel it; a task that does not end is abandoned."""
        task = self.start(name, work)
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s)
            if done:
                return task.result()
            task.cancel()
            await asyncio.wait({task}, timeout=ABANDON_S)
        except asyncio.CancelledError:
            task.cancel()
            raise
        return Outcome(None, timed_out=True)

    async def cancel_all(self) -> list[str]:
        """Cancel what still runs; return the names of those that did not end within a second."""
        running = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        if not running:
            return []
        _, stuck = await asyncio.wait(running, timeout=ABANDON_S)
        return sorted(task.get_name() for task in stuck)
