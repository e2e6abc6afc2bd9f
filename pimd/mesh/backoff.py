"""When to dial again (docs/protocol.md)."""

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
JITTER = 0.25
STEADY_S = 60.0
"""A link that was up this long sets the delay back to the first."""


class Backoff:
    """1 s, doubling to 60 s, each +-25 %."""

    def __init__(self) -> None:
        self._next = FIRST_DELAY_S

    def was_up(self, seconds: float) -> None:
        """Start over when the link held for a minute."""
        if seconds >= STEADY_S:
            self._next = FIRST_DELAY_S

    def at_once(self) -> None:
        """Let the next delay be none, and start over after it."""
        self._next = 0.0

    def delay(self, random: float) -> float:
        """Return the seconds to wait; `random` is uniform in 0..1."""
        base, self._next = self._next, min(max(self._next * 2, FIRST_DELAY_S), LONGEST_DELAY_S)
        return base * (1 - JITTER + 2 * JITTER * random)
