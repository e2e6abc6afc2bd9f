"""Time as an argument: monotonic seconds for timers, lived milliseconds for what ages, Unix milliseconds for people and cards."""

import asyncio
import heapq
import itertools
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pimd.lived_time import LivedTime, Reading

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class TimerHandle(Protocol):
    """What `Clock.call_at` returns; `asyncio.TimerHandle` is one.

    Called by who set the timer, in any turn of the event loop; twice is no error.

    Errors: none.
    """

    def cancel(self) -> None:
        """Do nothing if the timer already fired."""


class Clock(Protocol):
    """The only source of time in the daemon, so that tests can move it by hand.

    Called by everybody, in the thread of the event loop; a plugin has its own as `ctx.clock`.

    Errors: none here. What the `callback` of a plugin raises is counted, and logged the first time.
    """

    def now(self) -> float:
        """Monotonic seconds; only differences mean anything."""

    def unix_ms(self) -> int:
        """Milliseconds since 1970, for people; jumps when the machine's clock is set, so it orders and expires nothing."""

    def lived_ms(self) -> int:
        """Milliseconds that the data directory has lived, over all starts; whatever is kept for a time ends by this."""

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Run `callback` on the event loop once `now()` has reached `when`."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time."""


class LivedClock(Clock, Protocol):
    """The clock of a daemon, whose lived time goes on over its starts."""

    @property
    def lived(self) -> LivedTime:
        """The state behind `lived_ms`, which the keystore keeps on disk."""


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return uuid.uuid4().hex  # every process counts as a boot, and only a credible wall clock joins them


class SystemClock:
    """The running event loop's monotonic time, the machine's BOOTTIME, and its wall clock."""

    def __init__(self) -> None:
        self._boot = _boot_id()
        self.lived = LivedTime(self._reading)

    def _reading(self) -> Reading:
        return Reading(self._boot, time.clock_gettime_ns(_BOOTTIME) // 1_000_000, self.unix_ms())

    def now(self) -> float:
        """Seconds of `loop.time()`, which is this clock; to ask the loop costs a system call before Python 3.12."""
        return time.monotonic()

    def unix_ms(self) -> int:
        """Milliseconds since 1970 of the machine's clock, which an administrator may set back."""
        return time.time_ns() // 1_000_000

    def lived_ms(self) -> int:
        """Begin at 0; the keystore resumes what earlier starts lived."""
        return self.lived.now_ms()

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Schedule on the running loop."""
        return asyncio.get_running_loop().call_at(when, callback)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(seconds)


def since_boot() -> float:
    """Seconds since the machine started, its sleep included where the system counts it (CLOCK_BOOTTIME, Linux)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _ManualTimer:
    """A timer of a ManualClock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until `advance` is called; for tests and simulations."""

    def __init__(self, now: float = 1000.0, unix_ms: int = 1_800_000_000_000) -> None:
        self._now = now
        self._boots = 1
        self._offset_ms = unix_ms - round(now * 1000)
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._order = itertools.count()
        self.lived = LivedTime(lambda: Reading(f"boot {self._boots}", round(self._now * 1000), self.unix_ms()))

    def now(self) -> float:
        """Seconds as last set by `advance`."""
        return self._now

    def unix_ms(self) -> int:
        """Follow `now` with the offset given at construction or by `set_unix_ms`."""
        return round(self._now * 1000) + self._offset_ms

    def lived_ms(self) -> int:
        """Follow `now`; from `reboot` on, by the rules of `pimd.lived_time`."""
        return self.lived.now_ms()

    def reboot(self) -> None:
        """Let what follows be another boot of the machine."""
        self._boots += 1

    def set_unix_ms(self, unix_ms: int) -> None:
        """Jump the wall clock without moving monotonic time."""
        self._offset_ms = unix_ms - round(self._now * 1000)

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Fire during the `advance` that reaches `when`."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait for `advance` to pass `seconds`."""
        woken = asyncio.get_running_loop().create_future()
        self.call_at(self._now + seconds, lambda: None if woken.done() else woken.set_result(None))
        await woken

    def advance(self, seconds: float) -> None:
        """Move time forward, running due timers in order at their own times."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            if timer.callback is not None:
                timer.callback()
        self._now = end
