"""What is known of the path to one peer: its round-trip time, and how many messages it takes at once."""

FIRST_RETRY_S = 3.0
"""Before there is a sample (RFC 6298, 2.1, asks for at least one second)."""
LEAST_RETRY_S = 1.0
"""RFC 6298 (2.4); the other end commits to its disk before it acknowledges."""
FIRST_WINDOW = 16
MOST_WINDOW = 64
"""A receiver queues so many payloads of one source."""


class RoundTrip:
    """The smoothed round-trip time, in seconds (RFC 6298)."""

    def __init__(self) -> None:
        self.smoothed_s: float | None = None
        self._variation_s = 0.0

    def took(self, sample_s: float) -> None:
        """Note a sample: of a message that was sent once, since an acknowledgement does not say which copy it means."""
        if self.smoothed_s is None:
            self.smoothed_s, self._variation_s = sample_s, sample_s / 2
            return
        self._variation_s += (abs(self.smoothed_s - sample_s) - self._variation_s) / 4
        self.smoothed_s += (sample_s - self.smoothed_s) / 8

    @property
    def retry_s(self) -> float:
        """After this time without an acknowledgement a message counts as lost."""
        if self.smoothed_s is None:
            return FIRST_RETRY_S
        return max(LEAST_RETRY_S, self.smoothed_s + 4 * self._variation_s)


class Window:
    """Messages that may be on the way at once: slow start, then one more a round trip, half after trouble (RFC 5681)."""

    def __init__(self) -> None:
        self.size = FIRST_WINDOW
        self._threshold = MOST_WINDOW
        self._acknowledged = 0
        self._slowed_at = float("-inf")

    def acknowledged(self) -> None:
        """Grow: a message arrived, and met no congestion."""
        self._acknowledged += 1
        if self.size < self._threshold or self._acknowledged >= self.size:
            self._acknowledged = 0
            self.size = min(MOST_WINDOW, self.size + 1)

    def slow_down(self, now: float, round_trip_s: float) -> None:
        """Halve: congestion was met, or a message was lost; what was sent before the last time counts once."""
        if now - self._slowed_at < round_trip_s:
            return
        self._slowed_at = now
        self._acknowledged = 0
        self.size = self._threshold = max(1, self.size // 2)
