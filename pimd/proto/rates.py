"""Bytes a second of a link, measured by samples that the link takes itself."""


class RateMeter:
    """The rate between the last two samples; before there are two, since the link began."""

    __slots__ = ("_at", "_bytes_in", "_bytes_out", "_rates", "_since")

    def __init__(self, now: float) -> None:
        self._since = self._at = now
        self._bytes_in = self._bytes_out = 0
        self._rates: tuple[float, float] | None = None

    def sample(self, bytes_in: int, bytes_out: int, now: float) -> None:
        """Take what was counted so far; called with each Ping, every 10 s."""
        if now > self._at:
            passed = now - self._at
            self._rates = (bytes_in - self._bytes_in) / passed, (bytes_out - self._bytes_out) / passed
            self._at, self._bytes_in, self._bytes_out = now, bytes_in, bytes_out

    def rates(self, bytes_in: int, bytes_out: int, now: float) -> tuple[float, float]:
        """Return bytes a second in and out, given the counts as they stand."""
        if self._rates is not None:
            return self._rates
        passed = max(1.0, now - self._since)
        return bytes_in / passed, bytes_out / passed
