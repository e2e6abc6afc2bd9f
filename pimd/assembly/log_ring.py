"""The last log records, for `logs.subscribe`."""

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

from pimd.contract import LogRecord, rfc3339
from pimd.events import Subscription, Topic

RING_SIZE = 2048
TEXT_LIMIT = 4096
"""Characters kept of one message."""

Level = Literal["trace", "debug", "info", "warn", "error"]


def level_word(level: int) -> Level:
    """Name a level of the logging module in the words of `logs.event`."""
    if level >= logging.ERROR:
        return "error"
    if level >= logging.WARNING:
        return "warn"
    if level >= logging.INFO:
        return "info"
    return "debug" if level >= logging.DEBUG else "trace"


class LogRing(logging.Handler):
    """Keeps the last 2048 records; implements `contract.LogRing`. Call from the event loop's thread only through `bind`."""

    def __init__(self) -> None:
        super().__init__()
        self._records: deque[LogRecord] = deque(maxlen=RING_SIZE)
        self._topic: Topic[LogRecord] = Topic()
        self._from_other_threads: Any = None

    def records(self) -> Sequence[LogRecord]:
        """Oldest first."""
        return list(self._records)

    def subscribe(self) -> Subscription[LogRecord]:
        """Receive every record from now on."""
        return self._topic.subscribe()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep and publish one record; a traceback becomes its last line."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text = f"{text}: {type(error).__name__}: {error}"
        kept = LogRecord(
            ts=rfc3339(int(record.created * 1000)),
            level=level_word(record.levelno),
            source=record.name,
            message=text[:TEXT_LIMIT],
        )
        self._records.append(kept)
        self._topic.publish(kept)
