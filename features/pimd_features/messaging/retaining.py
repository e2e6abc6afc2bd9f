"""How long the messages of a conversation are kept, in lived time.

Every hour the newest position is noted with the moment, and not the moment with every message: what has that position
or a lower one was stored by then.
"""

from dataclasses import dataclass

from pimd.contract import Connection, Database, Row
from pimd.ids import NodeId
from pimd_features.messaging.reassigning import show_newest

DAY_MS = 24 * 3600 * 1000
MOST_DAYS = 3650
EVERY_S = 3600.0
"""So often old messages are looked for: the index of words is rewritten whenever some were deleted."""
BATCH = 200
"""Messages that one job deletes."""

_OLD = """
SELECT position, direction, status, imported, length(CAST(body AS BLOB)) AS size FROM messages
WHERE peer = ? AND position <= ? AND NOT (direction = 'sent' AND status NOT IN ('delivered', 'read', 'failed'))
ORDER BY position LIMIT ?"""


@dataclass(frozen=True)
class Shortened:
    """The oldest messages of a conversation were deleted; those that wait to be sent stay."""

    peer: NodeId
    deleted: int
    up_to: int
    """Position."""


class Retention:
    """Deletes what is older than its conversation keeps; every method raises `DatabaseError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def days(self, peer: NodeId) -> int | None:
        """Return how many days a conversation keeps messages; None for all time."""
        rows = await self._database.read("SELECT days FROM retention WHERE peer = ?", (peer,))
        return int(rows[0][0]) if rows else None

    async def keep(self, peer: NodeId, days: int | None) -> None:
        """Keep messages of a conversation for so many days, or with None for all time; deletes nothing yet."""

        def work(connection: Connection) -> None:
            if days is None:
                connection.execute("DELETE FROM retention WHERE peer = ?", (peer,))
            else:
                connection.execute("INSERT OR REPLACE INTO retention VALUES (?, ?)", (peer, days))

        await self._database.write("set how long messages are kept", work)

    async def mark(self, lived_ms: int) -> None:
        """Note which messages are stored by now."""
        newest = await self._database.read(
            "SELECT max(position) FROM messages HAVING max(position) > (SELECT coalesce(max(position), -1) FROM moments)"
        )
        if newest:
            row = (newest[0][0], lived_ms)
            await self._database.write("mark a moment", lambda connection: _mark(connection, row))

    async def apply(self, lived_ms: int) -> list[Shortened]:
        """Delete what is too old, some messages at a time so that others get their turn."""
        shortened = []
        for row in await self._database.read("SELECT peer, days FROM retention"):
            peer, up_to = NodeId(row[0]), await self._stored_by(lived_ms - row[1] * DAY_MS)
            deleted = 0
            while count := await self._delete_some(peer, up_to):
                deleted += count
            if deleted:
                shortened.append(Shortened(peer, deleted, up_to))
        return shortened

    async def _stored_by(self, lived_ms: int) -> int:
        rows = await self._database.read(
            "SELECT coalesce(max(position), 0) FROM moments WHERE lived_ms <= ?", (lived_ms,)
        )
        return int(rows[0][0])

    async def _delete_some(self, peer: NodeId, up_to: int) -> int:
        if not await self._database.read(_OLD, (peer, up_to, 1)):
            return 0
        return await self._database.write(
            "delete old messages", lambda connection: _delete(connection, peer, up_to), forgets=True
        )


def _mark(connection: Connection, row: tuple[int, int]) -> None:
    connection.execute("INSERT OR REPLACE INTO moments VALUES (?, ?)", row)
    # The newest of those that are older than anything asks for tells all that they do.
    connection.execute(
        "DELETE FROM moments WHERE position < (SELECT max(position) FROM moments WHERE lived_ms <= ?)",
        (row[1] - MOST_DAYS * DAY_MS,),
    )


def _delete(connection: Connection, peer: NodeId, up_to: int) -> int:
    rows = connection.execute(_OLD, (peer, up_to, BATCH)).fetchall()
    connection.executemany("DELETE FROM messages WHERE position = ?", [(row["position"],) for row in rows])
    connection.execute("DELETE FROM lines WHERE peer = ? AND position <= ?", (peer, up_to))
    received = [row for row in rows if row["direction"] == "received"]
    connection.execute(
        "UPDATE conversations SET unread = max(0, unread - ?2), received = max(0, received - ?3),"
        " received_bytes = max(0, received_bytes - ?4) WHERE peer = ?1",
        (peer, *_counted(received)),
    )
    show_newest(connection, peer)
    return len(rows)


def _counted(received: list[Row]) -> tuple[int, int, int]:
    """Return how many are unread, how many count for strangers, and their bytes."""
    came = [row for row in received if not row["imported"]]
    return sum(row["status"] == "delivered" for row in received), len(came), sum(row["size"] for row in came)
