"""One log for all daemons of a lab, in virtual time; each record also enters its daemon's ring."""

import asyncio
import logging
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from pimd.assembly.log_rate_limit import make_writable
from pimd.assembly.log_ring import peer_of
from pimd.faults import text_of
from pimd.lab.clock import EPOCH_MS

RECORDS_KEPT = 100_000


class Speaker(Protocol):
    """The daemon whose code runs in a context; its name stands in the log."""

    name: str
    alive: bool

    def keep(self, record: logging.LogRecord) -> None:
        """Put a record into the daemon's own ring."""


speaker: ContextVar[Speaker | None] = ContextVar("speaker", default=None)
"""Set in the context that a daemon's code runs in."""


@dataclass(frozen=True, slots=True)
class LabRecord:
    """One log record with its virtual time; `str` formats it as a line."""

    at_s: float
    daemon: str
    """Empty for records of the lab itself."""
    level: str
    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.at_s:10.4f} {self.daemon or '-':<6} {self.level:<7} {self.source}: {self.text}"


class LabLog(logging.Handler):
    """Keeps the last 100 000 records; those of killed daemons are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.records: deque[LabRecord] = deque(maxlen=RECORDS_KEPT)
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with the time, and the name of the daemon whose context it is."""
        who = speaker.get()
        if who is not None and not who.alive:
            return
        at_s = self._loop.time()
        make_writable(record)
        text = record.getMessage()
        record.peer_id = peer_of(record)
        record.msg, record.args = text, ()  # whoever keeps the record keeps no object of a daemon
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {text_of(record.exc_info[1])}"
        self.records.append(LabRecord(at_s, who.name if who is not None else "", record.levelname, record.name, text))
        if who is not None:
            record.created = EPOCH_MS / 1000 + at_s
            who.keep(record)
