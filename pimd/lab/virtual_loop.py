"""An event loop that jumps to the next timer when nothing is ready: hours pass in seconds, reproducibly."""

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any, NoReturn

RESOLUTION_S = 1e-9
"""Timers closer together than this run in one turn."""
TURNS_AT_ONE_MOMENT = 1_000_000
"""Turns of the loop without progress of time after which a task is assumed to spin."""
NAMES_TOLD = 20


class NothingWillHappen(RuntimeError):  # noqa: N818 - says what is the matter
    """No task is ready and no timer is set, so the awaited event can never come."""


class TimeStandsStill(RuntimeError):  # noqa: N818 - says what is the matter
    """Tasks are ready again and again, so that no timer is reached."""


class VirtualTask(asyncio.Task[Any]):
    """A task with a number for a hash, so that sets of tasks have the same order in every run."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **more: Any) -> None:
        self.number = number
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class _Leap:
    """Replaces the selector of the loop: instead of waiting for sockets it advances the time."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[NoReturn]:
        """Advance the time; no events come from outside."""
        self._loop.leap(timeout)
        return []

    def close(self) -> None:
        """Nothing to release: this selector opens no file descriptor."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Sockets, processes and threads are refused: they do not follow this loop's time."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._turns = 0
        self._clock_resolution = RESOLUTION_S
        self._selector = _Leap(self)
        self._scheduled: list[asyncio.TimerHandle]
        numbers = itertools.count()
        self.set_task_factory(
            lambda loop, coro, context=None: VirtualTask(next(numbers), coro, loop=loop, context=context)
        )

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def leap(self, timeout: float | None) -> None:
        """Advance to the next timer; a timeout of zero means that a task is ready now."""
        if timeout == 0:
            self._turns += 1
            if self._turns > TURNS_AT_ONE_MOMENT:
                raise TimeStandsStill(f"{TURNS_AT_ONE_MOMENT} turns at t={self._now:.3f} s: {self._waiting()}")
            return
        self._turns = 0
        if not self._scheduled:
            raise NothingWillHappen(f"nothing will ever happen: no timer is set; waiting are {self._waiting()}")
        # The timer's own time, not the sum with `timeout`: sums of floats are inexact, and may be too low.
        self._now = max(self._now, self._scheduled[0].when())

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override] # noqa: ARG002
        """Refused, because the answer of a thread comes at no virtual time."""
        raise RuntimeError(
            f"{getattr(func, '__qualname__', func)} was to run in a thread; under virtual time nothing can: "
            "give the lab a part that does its work on the loop"
        )

    def _waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: getattr(task, "number", -1))
        names = [f"{task.get_name()} ({_place(task)})" for task in tasks[:NAMES_TOLD]]
        more = len(tasks) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "") if names else "no tasks at all"

    def _process_events(self, event_list: list[NoReturn]) -> None:
        """Nothing to do: there are no events of sockets."""

    def _write_to_self(self) -> None:
        """Nothing to do: the loop never sleeps."""


def _place(task: asyncio.Task[Any]) -> str:
    """Return the line that a task waits at, in the innermost of its coroutines."""
    coroutine: Any = task.get_coro()
    frame = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or frame
        coroutine = getattr(coroutine, "cr_await", None)
    return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}" if frame is not None else "not begun"
