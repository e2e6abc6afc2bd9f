"""Work that the daemon owns on a plugin's behalf: tasks, timers, and threads for what blocks."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from pimd.clock import TimerHandle

T = TypeVar("T")


class SpawnedTask(Protocol):
    """A task that `spawn` started.

    Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never in
    a thread.

    Errors: only that of `wait`; what the task itself raised ends the plugin, and is not raised here.
    """

    @property
    def name(self) -> str:
        """The name given to `spawn`, which log lines about it carry."""

    @property
    def done(self) -> bool:
        """Whether it ended: it returned, raised, or was cancelled."""

    def cancel(self) -> None:
        """Raise CancelledError where it waits; ending by that is no failure. Without effect once it is done."""

    async def wait(self) -> None:
        """Return once it is done, however it ended; RuntimeError within the task itself, which would wait for ever."""


class Spawn(Protocol):
    """Starts a task that the daemon owns."""

    def __call__(self, name: str, work: Coroutine[Any, Any, None]) -> SpawnedTask:
        """Run `work` until it ends or the plugin is shut down; TypeError for anything but a coroutine.

        What it raises is logged and ends this plugin (state `failed`, until it is enabled again), and nothing else.

        Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never
        in a thread. The daemon runs `work` in a task of the event loop, beginning after this turn.

        Errors: TypeError, and after the stop of the feature an error that says so; `work` is closed then and never
        runs.
        """


class CallLater(Protocol):
    """Calls a function once, after a while."""

    def __call__(self, delay_s: float, function: Callable[[], object]) -> TimerHandle:
        """Call `function`, plain or async, after `delay_s` seconds; a negative delay is none. ValueError for NaN and infinity.

        What it raises is counted, and logged the first time. An async one runs as a task; `cancel` ends none that runs.

        Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never
        in a thread. The daemon calls `function` in a turn of its own of the event loop.

        Errors: ValueError, and no timer is set.
        """


class Every(Protocol):
    """Calls a function again and again."""

    def __call__(self, period_s: float, function: Callable[[], object], *, at_once: bool = False) -> TimerHandle:
        """Call `function`, plain or async, each `period_s` seconds; first after one period, or with `at_once` in the next turn.

        Runs never overlap: those that would are left out. What one raises is counted, and logged the first time, and the
        next run comes. `cancel` lets no further run begin. ValueError unless `period_s` is finite and above 0.

        Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never
        in a thread. The daemon calls `function` in a turn of its own of the event loop, or in a task when it is
        async.

        Errors: ValueError, and no timer is set.
        """


class RunBlocking(Protocol):
    """Runs in a thread what would block the event loop."""

    async def __call__(self, function: Callable[[], T]) -> T:
        """Call a plain function in a thread, and return its result; what it raises is raised here.

        Four threads serve one feature; what finds none waits. A thread cannot be ended: when the caller is cancelled, or the
        feature stops, the function goes on and its result is dropped. A long one looks at `ctx.cancel.is_cancelled`. Nothing
        else of the context may be used in a thread. In the lab it runs in the turn of the loop.

        Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never
        in a thread. `function` runs in a thread.

        Errors: those of `function`, also SystemExit and the like; TypeError when it is async. They are failures only
        where the plugin lets them through.
        """
