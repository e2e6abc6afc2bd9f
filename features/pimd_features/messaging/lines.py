"""Lines between the messages of a conversation: its secure session restarted."""

from dataclasses import dataclass

from pimd.contract import Connection, Database
from pimd.ids import NodeId
from pimd_features.messaging.models import ConversationLine, Restart

_TEXTS: dict[Restart, str] = {
    "account_changed": "secure session restarted: its account is another than before; it lost its messages, or somebody "
    "else has its key",
    "reset": "secure session restarted: it could not open a message; what it has not acknowledged is encrypted anew",
}
# One row tells of all restarts between two messages, so whoever restarts without end fills nothing.
_ADD = """
INSERT INTO lines (peer, position, reason, at_ms, times)
SELECT peer, last_position, ?2, ?3, 1 FROM conversations WHERE peer = ?1
ON CONFLICT (peer, position, reason) DO UPDATE SET at_ms = ?3, times = times + 1"""


LATEST = 2**63 - 1
"""After all positions."""


@dataclass(frozen=True)
class Span:
    """The positions of a page: `first` and after, before `end`."""

    first: int
    end: int


def add_line(connection: Connection, peer: NodeId, reason: Restart, unix_ms: int) -> None:
    """Add a line behind the newest message; without a conversation there is nothing to tell of."""
    connection.execute(_ADD, (peer, reason, unix_ms))


async def lines_of(database: Database, peer: NodeId, span: Span) -> list[ConversationLine]:
    """Return the lines behind the messages of a page, newest first; `DatabaseError`."""
    rows = await database.read(
        "SELECT position, reason, at_ms, times FROM lines WHERE peer = ? AND position >= ? AND position < ?"
        " ORDER BY position DESC, at_ms DESC",
        (peer, span.first, span.end),
    )
    return [
        ConversationLine(after_position=row[0], reason=row[1], at_ms=row[2], times=row[3], text=_TEXTS[row[1]])
        for row in rows
    ]
