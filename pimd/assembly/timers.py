"""The timers of one feature: what they call goes through its guard, and none fires after its stop."""

import math
from collections.abc import Callable
from functools import partial
from types import CodeType, MethodType

from pimd.assembly.guard import Guard
from pimd.calls import Outcome
from pimd.clock import TimerHandle


class Timers:
    """Sets timers on the daemon's clock; implements `contract.CallLater` and `contract.Every`."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.clock = guard.clock
        self.live: dict[_Timer, None] = {}
        self.closed = False

    def call_at(self, when: float, function: Callable[[], object]) -> TimerHandle:
        """Call once, when the clock has reached `when`."""
        return _Timer(self, function, None, _finite(when))

    def call_later(self, delay_s: float, function: Callable[[], object]) -> TimerHandle:
        """Call once, after a delay."""
        return self.call_at(self.clock.now() + max(0.0, _finite(delay_s)), function)

    def every(self, period_s: float, function: Callable[[], object], *, at_once: bool = False) -> TimerHandle:
        """Call each period, one run at a time."""
        if not (math.isfinite(period_s) and period_s > 0):
            raise ValueError(f"a period is a finite number of seconds above 0, not {period_s}")
        return _Timer(self, function, period_s, self.clock.now() + (0.0 if at_once else period_s))

    def close(self) -> None:
        """Cancel all; from now on none is set."""
        self.closed = True
        for timer in tuple(self.live):
            timer.cancel()


def _finite(seconds: float) -> float:
    if not math.isfinite(seconds):
        raise ValueError(f"a timer takes a finite number of seconds, not {seconds}")
    return seconds


class _Timer:
    """One timer; with a period it is set again after each run."""

    __slots__ = ("_function", "_handle", "_over", "_period_s", "_timers", "_what", "_when")

    def __init__(self, timers: Timers, function: Callable[[], object], period_s: float | None, when: float) -> None:
        self._timers = timers
        self._function = function
        self._what = f"its timer {place_of(function)}"
        self._period_s = period_s
        self._handle: TimerHandle | None = None
        self._over = False
        self._set(when)

    def cancel(self) -> None:
        """Let no run begin any more; what runs goes on."""
        self._over = True
        self._timers.live.pop(self, None)
        if self._handle is not None:
            self._handle.cancel()

    def _set(self, when: float) -> None:
        if not self._over and not self._timers.closed:
            self._when = when
            self._timers.live[self] = None
            self._handle = self._timers.clock.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timers.live.pop(self, None)
        self._timers.guard.calls.begin(self._what, self._function, self._ended)

    def _ended(self, outcome: Outcome) -> None:
        self._timers.guard.judge_timer(self._what, outcome)
        if self._period_s is not None:
            late = self._timers.clock.now() - self._when
            self._set(self._when + self._period_s * max(1, math.floor(late / self._period_s) + 1))


def place_of(function: Callable[..., object]) -> str:
    """Return the name of a function with the file and line where it is defined; of another callable its type's name."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, MethodType):
        function = function.__func__
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        return f"{code.co_qualname} ({code.co_filename.rpartition('/')[2]}:{code.co_firstlineno})"
    return type(function).__qualname__
