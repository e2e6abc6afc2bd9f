"""Stored messages as lines of a file, a page at a time."""

import re
from dataclasses import dataclass
from typing import Self

from pimd.contract import Connection, Database, Row
from pimd.ids import NodeId
from pimd_features.messaging.export_line import VERSION, Sum, message_fields, written

_PLACE = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})\.((?:[0-9a-f]{64})?)")
PAGE_LINES = 500
PAGE_BYTES = 512 * 1024

_PAGE = """
SELECT messages.*, sender, ed25519_pub, signature, time_ms
FROM messages LEFT JOIN receipts ON receipts.peer = messages.peer AND receipts.id = messages.id AND direction = 'sent'
WHERE {which} position > ? AND position <= ? ORDER BY position LIMIT ?"""
_ALL, _OF_PEER = _PAGE.format(which=""), _PAGE.format(which="messages.peer = ? AND")


@dataclass(frozen=True)
class Place:
    """How far an export has come; what is stored after it began is not in it."""

    after: int
    until: int
    messages: int
    digest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError unless `str` made it."""
        if (found := _PLACE.fullmatch(text)) is None:
            raise ValueError("no place in an export")
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4])

    def __str__(self) -> str:
        return f"{self.after}.{self.until}.{self.messages}.{self.digest}"


@dataclass(frozen=True)
class ExportPage:
    """Lines, and where the next ones begin; None behind the last."""

    lines: list[str]
    next: Place | None


async def export(database: Database, peer: NodeId | None, place: Place | None, begin: dict[str, object]) -> ExportPage:
    """Return one page of a conversation, or of all; `begin` has the fields of the first line. `DatabaseError`."""
    lines = []
    if place is None:
        last = (await database.read("SELECT coalesce(max(position), 0) FROM messages"))[0][0]
        place = Place(0, last, 0, "")
        lines.append(written({"kind": "begin", "version": VERSION, **begin})[0])
    total, after = Sum(place.messages, place.digest), place.after
    at = place
    rows = await database.query(lambda connection: _rows(connection, peer, at))
    size = 0
    for row in rows:
        line, sha256 = written(message_fields(row))
        total.add(sha256)
        lines.append(line)
        after, size = row["position"], size + len(line)
        if size > PAGE_BYTES:
            break
    if (rows and after != rows[-1]["position"]) or len(rows) == PAGE_LINES:
        return ExportPage(lines, Place(after, place.until, total.messages, total.digest))
    lines.append(written({"kind": "end", "messages": total.messages, "all_sha256": total.digest})[0])
    return ExportPage(lines, None)


def _rows(connection: Connection, peer: NodeId | None, place: Place) -> list[Row]:
    of_all = (place.after, place.until, PAGE_LINES)
    rows = connection.execute(_OF_PEER, (peer, *of_all)) if peer is not None else connection.execute(_ALL, of_all)
    return rows.fetchall()
