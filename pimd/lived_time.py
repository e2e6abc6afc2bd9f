"""Lived time: how long a data directory has existed, whatever its machine's wall clock says.

Within one boot the difference of CLOCK_BOOTTIME counts, so sleep counts and a jump of the wall clock does not. Across boots
the difference of the wall clock counts, between two moments at which the clock was credible; without them nothing counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

BUILD_DATE = datetime(2026, 11, 25, tzinfo=UTC)
"""A wall clock before this is certainly wrong; raised with each release."""
STEADY_MS = 10 * 60 * 1000
"""So long the wall clock has to run without a step before it is credible."""
STEP_MS = 2000
"""A difference of wall clock and BOOTTIME that changed by more is a step; one leap second is none."""
_BUILD_MS = round(BUILD_DATE.timestamp() * 1000)


@dataclass(frozen=True)
class Reading:
    """The clocks of a machine at one moment, in milliseconds."""

    boot: str
    """An id of this boot."""
    boottime_ms: int
    """CLOCK_BOOTTIME: since the boot, sleep included."""
    wall_ms: int

    @property
    def offset_ms(self) -> int:
        """What only a step of the wall clock changes: NTP slews both clocks."""
        return self.wall_ms - self.boottime_ms


@dataclass(frozen=True)
class Credible:
    """The newest moment at which the wall clock was credible."""

    boot: str
    lived_ms: int
    wall_ms: int


@dataclass(frozen=True)
class LivedState:
    """What is kept on disk."""

    lived_ms: int
    at: Reading
    steady_since: Reading
    """The first reading of the boot, or after the last step of the wall clock."""
    credible: Credible | None = None


def advance(state: LivedState, now: Reading) -> LivedState:
    """Return the state at a later reading."""
    # A restored snapshot of a machine has the old boot id, and an earlier BOOTTIME.
    if now.boot != state.at.boot or now.boottime_ms < state.at.boottime_ms:
        return replace(state, at=now, steady_since=now)
    state = replace(state, lived_ms=state.lived_ms + now.boottime_ms - state.at.boottime_ms, at=now)
    if abs(now.offset_ms - state.steady_since.offset_ms) > STEP_MS:
        # A step says that this boot's clock was wrong before it, or is now; of earlier boots it says nothing.
        earlier = state.credible if state.credible is not None and state.credible.boot != now.boot else None
        return replace(state, steady_since=now, credible=earlier)
    if now.boottime_ms - state.steady_since.boottime_ms < STEADY_MS or now.wall_ms < _BUILD_MS:
        return state
    lived_ms, before = state.lived_ms, state.credible
    if before is not None and before.boot != now.boot:
        lived_ms = max(lived_ms, before.lived_ms + now.wall_ms - before.wall_ms)
    return replace(state, lived_ms=lived_ms, credible=Credible(now.boot, lived_ms, now.wall_ms))


class LivedTime:
    """The lived time of one process; it never goes backwards."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read
        first = read()
        self._state = LivedState(0, first, first)

    def state(self) -> LivedState:
        """Return the state of this moment, to be kept on disk."""
        self._state = advance(self._state, self._read())
        return self._state

    def now_ms(self) -> int:
        """Milliseconds lived."""
        return self.state().lived_ms

    def resume(self, kept: LivedState) -> None:
        """Continue from what an earlier process kept."""
        own_ms = self.now_ms()
        self._state = kept
        self._state = replace(self.state(), lived_ms=max(own_ms, self._state.lived_ms))
