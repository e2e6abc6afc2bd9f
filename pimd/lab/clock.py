"""The clock of one start of a daemon: the loop's virtual time, and a wall clock with an error."""

import asyncio
from collections.abc import Callable

from pimd.clock import TimerHandle
from pimd.lived_time import LivedTime, Reading

EPOCH_MS = 1_800_000_000_000
"""The Unix time at which every lab begins."""


class _NoTimer:
    """The handle that a stopped clock returns, so that callers need no special case."""

    def cancel(self) -> None:
        """Do nothing: a stopped clock sets no timers."""


class LabClock:
    """Implements `pimd.clock.Clock` in virtual time, with an error of the wall clock in milliseconds."""

    def __init__(self, error_ms: int = 0, boot: int = 1) -> None:
        self.error_ms = error_ms
        self._loop = asyncio.get_running_loop()
        self.lived = LivedTime(lambda: Reading(f"boot {boot}", round(self._loop.time() * 1000), self.unix_ms()))
        self._stopped = False

    def now(self) -> float:
        """Virtual seconds since the lab began."""
        return self._loop.time()

    def unix_ms(self) -> int:
        """The lab's Unix time, plus the error of this machine's clock."""
        return EPOCH_MS + self.error_ms + round(self._loop.time() * 1000)

    def lived_ms(self) -> int:
        """Milliseconds that the daemon's data has lived; virtual time counts while the machine is on."""
        return self.lived.now_ms()

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Schedule a call; ignored after `stop`, when the daemon is dead."""
        return _NoTimer() if self._stopped else self._loop.call_at(when, callback)

    async def sleep(self, seconds: float) -> None:
        """Sleep in virtual time."""
        await asyncio.sleep(seconds)

    def stop(self) -> None:
        """Set no more timers, because the daemon was killed."""
        self._stopped = True
