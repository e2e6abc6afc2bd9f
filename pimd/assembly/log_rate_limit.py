"""Keeps whoever can make this node log a line from making it log without end."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from pimd.limits import Bites, RecentMap, TokenBucket, declare, declare_rate

LINES = declare_rate(
    "lines logged of one kind",
    10,
    "lines",
    "left out, and how many is told with the next; whoever causes them",
    burst=100,
    period_s=60,
)
"""Of one logger with one text, whatever stands in its places."""
KINDS = declare("kinds of logged lines remembered", 1024, "kinds", "the longest unused is forgotten, and logged anew")
_SHOWN = "pimd_shown"


@dataclass
class _Kind:
    bucket: TokenBucket
    left_out: int = 0


class LogRateLimit(logging.Filter):
    """For handlers; those that share one decide alike. What only a debugger sees is never left out."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self._bites = Bites()
        self._kinds: RecentMap[tuple[str, str], _Kind] = RecentMap(KINDS, self._bites)
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log it, with the number of those before it that were left out."""
        if record.levelno < logging.INFO:
            return True
        with self._lock:
            if _SHOWN not in record.__dict__:
                record.__dict__[_SHOWN] = self._decide(record)
        return bool(record.__dict__[_SHOWN])

    def _decide(self, record: logging.LogRecord) -> bool:
        kind = self._kind_of(record)
        if not kind.bucket.take(self._now()):
            kind.left_out += 1
            return False
        if kind.left_out:
            record.msg = f"{record.getMessage()} ({kind.left_out} such lines before this one were left out)"
            record.args = ()
            kind.left_out = 0
        return True

    def _kind_of(self, record: logging.LogRecord) -> _Kind:
        key = record.name, str(record.msg)
        kind = self._kinds.use(key)
        if kind is None:
            kind = _Kind(TokenBucket(LINES, self._now(), self._bites))
            self._kinds.put(key, kind)
        return kind
