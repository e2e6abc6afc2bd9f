"""Notices that this program stood still: the machine slept, or the process was stopped."""

from collections.abc import Callable

from pimd.clock import Clock

TICK_S = 1.0
STILL_S = 2.0
"""A tick that comes later than this is told."""


async def watch_for_waking(clock: Clock, since_boot: Callable[[], float], woke: Callable[[float], None]) -> None:
    """Call `woke` with the seconds that were missed, within a second of waking, until cancelled.

    While a machine sleeps the time of timers stands still, and `since_boot` goes on. While a process is stopped both go on.
    """
    before = since_boot()
    while True:
        await clock.sleep(TICK_S)
        now = since_boot()
        missed_s = now - before - TICK_S
        before = now
        if missed_s > STILL_S:
            woke(missed_s)
