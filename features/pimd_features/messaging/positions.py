"""Which position a client means, that names a message by its id or only by its time. Clocks may have been wrong and jumped."""

from dataclasses import dataclass

from pimd.contract import Connection, Database
from pimd.ids import MessageId, NodeId

_LAST = 2**63 - 1
# In `max(+position)` the sign lets SQLite search by id, and not walk down the positions.

_BELOW = f"""
SELECT coalesce(
    (SELECT max(+position) FROM messages WHERE peer = ?1 AND id = ?2),
    CASE WHEN ?3 IS NULL THEN {_LAST} END,
    (SELECT max(position) FROM messages WHERE peer = ?1 AND timestamp_ms = ?3),
    (SELECT max(position) + 1 FROM messages WHERE peer = ?1 AND (timestamp_ms < ?3 OR timestamp_ms > ?4)),
    0
)"""  # noqa: S608 - a constant

_UP_TO = f"""
SELECT coalesce(
    (SELECT max(+position) FROM messages WHERE peer = ?1 AND id = ?2),
    CASE WHEN ?3 >= ?4 THEN {_LAST} END,
    (SELECT max(position) FROM messages WHERE peer = ?1 AND timestamp_ms = ?3),
    (SELECT max(position) FROM messages WHERE peer = ?1 AND (timestamp_ms < ?3 OR timestamp_ms > ?4)),
    0
)"""  # noqa: S608

_END_OF_PAGE = """
SELECT position FROM messages AS one WHERE peer = ?1 AND position <= ?2 AND NOT EXISTS (
    SELECT 1 FROM messages AS newer
    WHERE newer.peer = ?1 AND newer.timestamp_ms = one.timestamp_ms AND newer.position > one.position
) ORDER BY position DESC LIMIT 1"""


@dataclass(frozen=True)
class UpTo:
    """The last message that a person has read: its time, and its id if the client gave it."""

    ts_ms: int
    id: MessageId | None = None


async def below(database: Database, peer: NodeId, ts_ms: int | None, id_: MessageId | None, now_ms: int) -> int:
    """Return the position below which the next page begins; LookupError for an unknown id without a time.

    For a time that no message has the page begins with the last message from before it. Times after this node's clock count
    as before, as in `up_to`.
    """
    if id_ is not None and ts_ms is None:
        known = await database.read("SELECT 1 FROM messages WHERE peer = ? AND id = ?", (peer, id_))
        if not known:
            raise LookupError(f"no message {id_} is in this conversation")
    rows = await database.read(_BELOW, (peer, id_, ts_ms, now_ms))
    return int(rows[0][0])


def up_to(connection: Connection, peer: NodeId, message: UpTo, now_ms: int) -> int:
    """Return the position of the last message that was read.

    For a time that no message has it is the last of before it. Times after this node's clock were set by a wrong one, and
    count as before.
    """
    return int(connection.execute(_UP_TO, (peer, message.id, message.ts_ms, now_ms)).fetchone()[0])


async def end_of_page(database: Database, peer: NodeId, last: int) -> int:
    """Return the next position from `last` downwards whose time no newer message has; 0 when there is none.

    A client that passes the time of the last message of a page then gets on.
    """
    rows = await database.read(_END_OF_PAGE, (peer, last))
    return int(rows[0][0]) if rows else 0
