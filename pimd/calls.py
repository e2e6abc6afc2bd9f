"""Calls of foreign code: all that it raises is caught, its steps are timed, and nobody waits for it in vain."""

import asyncio
import inspect
import logging
import os
import sys
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

from pimd.faults import plain

BLOCKED_S = 0.6
"""A step that runs longer without letting others run blocks the loop."""
LEAVE_S = 1.0
"""Seconds that a call which was cancelled from outside has to end before it is left behind."""
GROUPS_LEAVE_CANCELLED = sys.version_info < (3, 13)
_GROUP_END = asyncio.TaskGroup.__aexit__.__code__

log = logging.getLogger("pimd.features")


class Stopped(Exception):  # noqa: N818 - says what is the matter
    """The owner of the call was stopped, and nothing of it runs any more."""


class _Left(BaseException):
    """Ends the steps of a call that ignored its cancellation; its coroutine goes on in a task of its own."""


@dataclass(slots=True)
class Outcome:
    """How a call ended."""

    value: Any = None
    error: BaseException | None = None
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it returned, without an exception and within its time."""
        return self.error is None and not self.timed_out


class _Call:
    """One call that runs; `deadline` is in seconds of the loop's time."""

    __slots__ = ("before", "closing", "deadline", "expired", "groups", "self_cancelled", "spared_s", "task", "what")

    def __init__(self, what: str, task: "asyncio.Task[Any]", deadline: float, spared_s: float | None = None) -> None:
        self.what = what
        self.task = task
        self.deadline = deadline
        self.spared_s = spared_s
        """Seconds that it gets once more when nothing ran at its deadline; None when that is used up."""
        self.before = task.cancelling()
        self.expired = False
        self.self_cancelled = False
        self.closing = False
        self.groups: tuple[asyncio.TaskGroup, ...] = ()
        """Whose cancellation was taken back."""

    def take_back_cancellation(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Uncancel the task when a TaskGroup at its end cancelled it because a child failed.

        Before Python 3.13 the group never does (cpython gh-116720), and the call would count as cancelled from outside.
        """
        inner: Any = coroutine if GROUPS_LEAVE_CANCELLED else None
        while inner is not None:
            if getattr(inner, "cr_code", None) is _GROUP_END and inner.cr_frame is not None:
                group = inner.cr_frame.f_locals["self"]
                if group._parent_cancel_requested and group not in self.groups:  # noqa: SLF001 - nothing public tells
                    self.groups += (group,)
                    self.task.uncancel()
            inner = getattr(inner, "cr_await", None)


class Running:
    """Whose step runs now, which the watchdog reads from its thread; and whether anything ran, as the watchdog saw it."""

    def __init__(self) -> None:
        self.owner: str | None = None
        self.blamed_s = 0.0
        """Seconds for which somebody was blamed so far; who called them is not blamed for these once more."""
        self.blocker: tuple[str, float] | None = None
        """Who was blamed last, and since when by the monotonic clock."""
        self.forked = False
        """Whether this process is a copy that foreign code made; it ends when that code returns."""
        self._looked: tuple[float, float] | None = None
        self._stood_still_at = float("-inf")

    def end_copy(self) -> None:
        """End the process if it is a copy: it shares the sockets and files of the first."""
        if self.forked:
            os._exit(1)

    def look(self) -> bool:
        """Called by the watchdog every 0.2 s; False when nothing ran since the last look, because the process was stopped."""
        now, stood_still = time.monotonic(), self._stands_still()
        if stood_still:
            self._stood_still_at = now
        self._looked = (now, time.process_time())
        return not stood_still

    def no_longer_watched(self) -> None:
        """Called by the watchdog when it ends."""
        self._looked = None

    def stood_still_since(self, began: float) -> bool:
        """Tell whether the process was stopped, or the machine slept, after `began`; False without a watchdog."""
        return self._stood_still_at >= began or self._stands_still()

    def _stands_still(self) -> bool:
        if self._looked is None:
            return False
        looked_at, worked = self._looked
        return time.monotonic() - looked_at > BLOCKED_S > time.process_time() - worked


running = Running()


class Calls:
    """The calls and tasks of one owner, with one timer for all their deadlines.

    A deadline belongs to the call: when it is reached, the call's task is cancelled once, and the caller goes on. A
    coroutine that ignores that goes on in a task of its own until it ends or `close` drops it; its result is dropped.
    Without `in_loop`, plain functions may be called in any thread.
    """

    def __init__(
        self,
        owner: str,
        blocked: Callable[[str, float], None] | None = None,
        timer: Callable[[], float] = time.monotonic,
        *,
        in_loop: bool = True,
    ) -> None:
        self._in_loop = in_loop
        self.owner = owner
        self.closed = False
        self._closing = False
        self._blocked = blocked
        self._timer = timer
        self._live: dict[_Call, None] = {}
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep_at = float("inf")
        self._drained: asyncio.Event | None = None

    def call(self, what: str, function: Callable[..., object], *args: object) -> Outcome:
        """Call a plain function within this turn; an async one is an error."""
        outcome = self._called(what, function, args)
        if _is_coroutine(outcome.value):
            outcome.value.close()
            return Outcome(error=TypeError(f"{what} is async, and is called as a plain function: write `def`"))
        return outcome

    def begin(self, what: str, function: Callable[[], object], ended: Callable[[Outcome], None]) -> None:
        """Call a plain function within this turn, or run an async one in a task; `ended` gets the outcome of either."""
        outcome = self._called(what, function, ())
        if _is_coroutine(outcome.value):
            self._own(what, outcome.value, None, ended)
        else:
            ended(outcome)

    async def run(self, what: str, function: Callable[..., Awaitable[Any]], *args: object, timeout_s: float) -> Outcome:
        """Call an async function and await it for at most `timeout_s`.

        Raises CancelledError only when the caller's own task is cancelled.
        """
        if self.closed:
            return Outcome(error=self._stopped())
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call needs a task")
        call = _Call(what, task, asyncio.get_running_loop().time() + timeout_s, timeout_s)
        self._live[call] = None
        self._arm(call.deadline)
        try:
            outcome = Outcome(await self._steps(call, _begun(what, function, args)))
        except _Left:
            outcome = Outcome(timed_out=True)
        # The seam, as above; an end of this very coroutine goes on.
        except BaseException as error:
            if call.closing:
                raise
            outcome = Outcome(error=plain(error))
        finally:
            self._forget(call)
        if call.self_cancelled:
            await _absorb_cancellation()
        if call.expired:
            task.uncancel()
            outcome = Outcome(error=self._stopped()) if self._closing else Outcome(timed_out=True)
        if task.cancelling() > call.before:
            raise asyncio.CancelledError
        return outcome

    def spawn(
        self, name: str, work: Coroutine[Any, Any, object], ended: Callable[[Outcome], None] | None = None
    ) -> "asyncio.Task[Outcome]":
        """Run a coroutine in a task that never raises; `ended` is called with its outcome.

        `Stopped` after `close`; TypeError for anything but a coroutine.
        """
        if not inspect.iscoroutine(work):
            raise TypeError(f"spawn takes a coroutine, not {type(work).__name__}: write `async def`, and call it")
        if self.closed:
            work.close()
            raise Stopped(f"{self.owner} was stopped; its task {name!r} is not started")
        return self._own(name, work, None, ended)

    async def drain(self, seconds: float) -> list[str]:
        """Wait until no call runs; return the names of those that still do after `seconds`."""
        if self._live:
            self._drained = asyncio.Event()
            await _wait(self._drained.wait(), seconds)
            self._drained = None
        return sorted(call.what for call in self._live)

    async def close(self, seconds: float) -> list[str]:
        """Cancel calls and tasks, wait at most `seconds`, and drop the rest for good; returns the names of those dropped."""
        self._closing = True
        for call in tuple(self._live):
            self._expire(call)
        await self.drain(seconds)  # a cancelled call ends, or is left behind, at once
        own = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not own]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        stuck = sorted({task.get_name() for task in tasks if not task.done()})
        self.closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        dropped = [task for task in self._tasks if task is not own]
        for task in dropped:
            task.cancel()
        if dropped:
            await asyncio.wait(dropped, timeout=seconds)
        return stuck

    @property
    def busy(self) -> list[str]:
        """Names of the calls and tasks that run."""
        return [call.what for call in self._live] + [task.get_name() for task in self._tasks]

    @property
    def in_flight(self) -> int:
        """Number of calls that run; tasks do not count."""
        return len(self._live)

    # --- inside

    def _called(self, what: str, function: Callable[..., object], args: tuple[object, ...]) -> Outcome:
        if self.closed:
            return Outcome(error=self._stopped())
        before, blamed_s = running.owner, running.blamed_s
        if self._in_loop:
            running.owner = self.owner
        began = self._timer()
        try:
            return Outcome(function(*args))
        # The seam: whatever foreign code raises ends here.
        except BaseException as error:  # noqa: BLE001
            return Outcome(error=plain(error))
        finally:
            running.end_copy()
            self._judge_step(what, began, blamed_s)
            if self._in_loop:
                running.owner = before

    @types.coroutine
    def _steps(
        self, call: _Call, coroutine: Coroutine[Any, Any, Any], waits_for: object = None
    ) -> Generator[Any, Any, Any]:
        """Run the coroutine step by step with a clock; `waits_for` is what an earlier driver was told to wait for."""
        thrown: BaseException | None = None
        fresh = waits_for is None
        while True:
            if fresh:
                task, before = call.task, call.task.cancelling()
                other, running.owner = running.owner, self.owner
                blamed_s, began = running.blamed_s, self._timer()
                try:
                    waits_for = coroutine.send(None) if thrown is None else coroutine.throw(thrown)
                except StopIteration as end:
                    return end.value
                finally:
                    running.end_copy()
                    if self._timer() - began > BLOCKED_S:
                        self._judge_step(call.what, began, blamed_s)
                    running.owner = other
                    while task.cancelling() > before:  # it cancelled the task that it runs in
                        task.uncancel()
                        call.self_cancelled = True
                if thrown is not None and self._is_to_leave(call):
                    self._own(call.what, coroutine, waits_for, None)
                    log.error("%s: %s ignores its cancellation and was left behind", self.owner, call.what)
                    raise _Left
            fresh, thrown = True, None
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is thrown into the coroutine
                thrown = error
                if issubclass(type(error), asyncio.CancelledError):
                    call.take_back_cancellation(coroutine)
            call.closing = isinstance(thrown, GeneratorExit)
            if call.closing or self.closed:
                _drop(coroutine)
                raise thrown if call.closing and thrown is not None else self._stopped()

    def _is_to_leave(self, call: _Call) -> bool:
        """Tell whether a call that went on after an exception was thrown into it is left behind now."""
        if call.task in self._tasks or call.task.cancelling() <= call.before:
            return False
        if not call.expired:
            call.deadline, call.spared_s = min(call.deadline, asyncio.get_running_loop().time() + LEAVE_S), None
            self._arm(call.deadline)
        return call.expired

    def _own(
        self,
        name: str,
        coroutine: Coroutine[Any, Any, Any],
        waits_for: object,
        ended: Callable[[Outcome], None] | None,
    ) -> "asyncio.Task[Outcome]":
        held: list[_Call] = []

        async def work() -> Outcome:
            try:
                return Outcome(await self._steps(held[0], coroutine, waits_for))
            except BaseException as error:
                if held[0].closing:
                    raise
                return Outcome(error=plain(error))

        task = asyncio.get_running_loop().create_task(work(), name=f"{self.owner}: {name}")
        held.append(_Call(name, task, float("inf")))
        self._tasks.add(task)

        def done(task: "asyncio.Task[Outcome]") -> None:
            self._tasks.discard(task)
            _drop(coroutine)  # it has ended, unless it was cancelled before its first step
            if ended is not None and not task.cancelled():
                ended(task.result())

        task.add_done_callback(done)
        return task

    def _stopped(self) -> Stopped:
        return Stopped(f"{self.owner} was stopped")

    def _forget(self, call: _Call) -> None:
        self._live.pop(call, None)
        if not self._live and self._drained is not None:
            self._drained.set()

    def _judge_step(self, what: str, began: float, blamed_s: float) -> None:
        """Blame the owner for the time that it took, without that for which somebody whom it called was blamed."""
        took = self._timer() - began - (running.blamed_s - blamed_s)
        if took > BLOCKED_S and self._blocked is not None and not running.stood_still_since(began):
            running.blamed_s += took
            running.blocker = self.owner, began
            self._blocked(what, took)

    def _expire(self, call: _Call) -> None:
        if not call.expired:
            call.expired = True
            call.deadline = float("inf")
            call.task.cancel()

    def _arm(self, deadline: float) -> None:
        if deadline < self._sweep_at:
            if self._sweeper is not None:
                self._sweeper.cancel()
            self._sweep_at = deadline
            self._sweeper = asyncio.get_running_loop().call_at(deadline, self._sweep)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        # So late, the process was stopped, or other code blocked the loop: the call did not have its time.
        is_late = now - self._sweep_at > BLOCKED_S
        self._sweeper, self._sweep_at = None, float("inf")
        for call in tuple(self._live):
            if call.deadline <= now and is_late and call.spared_s is not None:
                call.deadline, call.spared_s = now + call.spared_s, None
            elif call.deadline <= now:
                self._expire(call)
        nearest = min((call.deadline for call in self._live), default=float("inf"))
        if nearest < float("inf"):
            self._arm(nearest)


def _is_coroutine(value: object) -> bool:
    """Ask the type alone: a value of foreign code may raise when it is asked for anything."""
    return issubclass(type(value), types.CoroutineType)


async def _begun(what: str, function: Callable[..., Awaitable[Any]], args: tuple[object, ...]) -> Any:
    made = function(*args)
    if not _is_coroutine(made) and not inspect.isawaitable(made):
        raise TypeError(f"{what} is no async function: write `async def`")
    return await made


async def _absorb_cancellation() -> None:
    """Take the CancelledError that a coroutine asked for when it cancelled the task it ran in."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        return


async def _wait(work: Coroutine[Any, Any, object], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return


def _drop(coroutine: Coroutine[Any, Any, Any]) -> None:
    """End a coroutine for good; what it raises or awaits on the way is ignored."""
    chain: list[Any] = []
    inner: Any = coroutine
    while inner is not None:
        chain.append(inner)
        inner = getattr(inner, "cr_await", None)
    try:
        coroutine.close()
    # The seam: a `finally` of foreign code may raise anything.
    except BaseException:  # noqa: BLE001
        _undead.extend(one for one in chain if getattr(one, "cr_frame", None) is not None)


_undead: list[object] = []
"""Coroutines that ignore even their end. Collected outside of a running loop, one could spin in its `except` for ever."""
