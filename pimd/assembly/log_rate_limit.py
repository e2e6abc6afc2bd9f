"""Limits how often one kind of line is logged, since strangers can cause log lines."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from pimd.faults import text_of
from pimd.limits import Bites, RecentMap, TokenBucket, declare, declare_rate

LINES = declare_rate(
    "lines logged of one kind",
    10,
    "lines",
    "left out, whoever causes them; the next line of the kind states how many",
    burst=100,
    period_s=60,
)
"""A kind is what one line of code writes to one logger, whatever the text; lines of other programs' loggers count together."""
KINDS = declare("kinds of logged lines remembered", 1024, "kinds", "the one longest unused is forgotten")
_SHOWN = "pimd_shown"


@dataclass
class _Kind:
    bucket: TokenBucket
    left_out: int = 0


class LogRateLimit(logging.Filter):
    """A filter for log handlers; those that share one decide alike. DEBUG lines always pass."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self._bites = Bites()
        self._kinds: RecentMap[tuple[str, str, int], _Kind] = RecentMap(KINDS, self._bites)
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log a record; appends the number of lines left out before it."""
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
        make_writable(record)
        if kind.left_out:
            # The arguments stay, because they say whom it is about; digits and words need no formatting.
            record.msg = f"{record.msg} ({kind.left_out} such lines before this one were left out)"
            kind.left_out = 0
        return True

    def _kind_of(self, record: logging.LogRecord) -> _Kind:
        # A feature could make up loggers as it can make up texts.
        key = record.name if record.name.startswith("pimd.") else "", record.pathname, record.lineno
        kind = self._kinds.use(key)
        if kind is None:
            kind = _Kind(TokenBucket(LINES, self._now(), self._bites))
            self._kinds.put(key, kind)
        return kind


def make_writable(record: logging.LogRecord) -> None:
    """Replace the text of a record that has none by one that says so; what a feature logs may raise when it is formatted."""
    try:
        record.getMessage()
    # The seam: `__str__` of foreign code may raise anything.
    except BaseException as error:  # noqa: BLE001
        record.msg, record.args = f"a line that cannot be written ({text_of(error)}): {record.msg!a}", ()
