"""How fast a counter rises."""

LEAST_S = 1.0
"""A look within this time gets the rate of the look before."""


class RateMeter:
    """The rate between two looks; the first one gets it since the beginning."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._total = 0
        self._rate = 0.0

    def rate(self, total: int, now: float) -> float:
        """Return what was added a second, given the counter as it stands now."""
        if now - self._at >= LEAST_S:
            self._rate = (total - self._total) / (now - self._at)
            self._at, self._total = now, total
        return self._rate
