"""The Ping of a link that waits for its Pong, and the round-trip time that Pongs give."""

RTT_WEIGHT = 0.125
"""Share of a new sample in the smoothed round-trip time (RFC 6298)."""


class Pings:
    """One Ping waits at a time; a later one takes its place, and the Pong of the former is ignored."""

    def __init__(self, period_s: float, now: float) -> None:
        self._period_s = period_s
        self.next_at = now + period_s
        """When the next one is due."""
        self.rtt_s: float | None = None
        """Smoothed; None until the first Pong."""
        self.heard: int | None = None
        """The nonce of the latest Pong for a Ping that the owner of the link sent."""
        self._waiting: tuple[int, float] | None = None

    def put_off(self, now: float) -> None:
        """Let the next one be due a period from now."""
        self.next_at = now + self._period_s

    def sent(self, nonce: int, now: float) -> None:
        """Wait for the Pong with this nonce."""
        self.put_off(now)
        self._waiting = nonce, now

    def awaits(self, nonce: int) -> bool:
        """Tell whether the Ping with this nonce is the latest, and not answered."""
        return self._waiting is not None and self._waiting[0] == nonce

    def answered(self, nonce: int, now: float) -> None:
        """Take a Pong; one that is not awaited gives no sample."""
        if self._waiting is None or self._waiting[0] != nonce:
            self.heard = nonce
            return
        sample = now - self._waiting[1]
        self._waiting = None
        self.rtt_s = sample if self.rtt_s is None else self.rtt_s + RTT_WEIGHT * (sample - self.rtt_s)
