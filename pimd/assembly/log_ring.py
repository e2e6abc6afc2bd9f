"""The last log records, for `logs.subscribe`."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Literal

from pimd.contract import LogRecord, OtherKey, SameKey, rfc3339
from pimd.events import Subscription, Topic
from pimd.faults import text_of
from pimd.ids import AbbreviatedId, NodeId

RING_SIZE = 2048
TEXT_LIMIT = 4096
"""Characters kept of one message."""

Level = Literal["trace", "debug", "info", "warn", "error"]


def level_word(level: int) -> Level:
    """Name a level of the logging module as `logs.event` does."""
    if level >= logging.ERROR:
        return "error"
    if level >= logging.WARNING:
        return "warn"
    if level >= logging.INFO:
        return "info"
    return "debug" if level >= logging.DEBUG else "trace"


def peer_of(record: logging.LogRecord) -> NodeId | None:
    """Return the node that a record is about: what it has as `peer_id`, else the first id in what it says."""
    told = getattr(record, "peer_id", None)
    if isinstance(told, NodeId):
        return told
    for one in record.args if isinstance(record.args, tuple) else ():
        if isinstance(one, NodeId):
            return one
        if isinstance(one, AbbreviatedId):
            return one.node_id
        if isinstance(one, SameKey):
            return None if one.is_own else one.node_id
        if isinstance(one, OtherKey):
            return one.known
    return None


class LogRing(logging.Handler):
    """Keeps the last 2048 records; implements `contract.LogRing`. Made inside the event loop; any thread may log."""

    def __init__(self) -> None:
        super().__init__()
        self._records: deque[LogRecord] = deque(maxlen=RING_SIZE)
        self._topic: Topic[LogRecord] = Topic()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def records(self) -> Sequence[LogRecord]:
        """Return a copy of at most 2048 records, oldest first."""
        return list(self._records)

    def subscribe(self) -> Subscription[LogRecord]:
        """Receive every record from now on."""
        return self._topic.subscribe()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep and publish one record; a traceback becomes its last line."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text = f"{text}: {text_of(error)}"
        kept = LogRecord(
            ts=rfc3339(int(record.created * 1000)),
            level=level_word(record.levelno),
            source=record.name,
            # A path may have bytes that are no UTF-8; JSON cannot hold what Python makes of them.
            message=text[:TEXT_LIMIT].encode(errors="backslashreplace").decode(),
            peer_id=peer_of(record),
        )
        if threading.get_ident() == self._thread:
            self._keep(kept)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._keep, kept)

    def _keep(self, kept: LogRecord) -> None:
        self._records.append(kept)
        self._topic.publish(kept)
