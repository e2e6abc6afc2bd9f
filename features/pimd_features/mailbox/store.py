"""What is kept, on disk: what a method of this class returned for survives SIGKILL. All raise `DatabaseError`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pimd.contract import Connection, Database, Row
from pimd.ids import MessageId, NodeId
from pimd_features.mailbox.room import Item, Room
from pimd_features.mailbox.wire import Key, Put

KEPT_MS = 28 * 24 * 3600 * 1000
"""So long a message or a bundle is kept, in lived time."""

_ITEM = "recipient, source, brought_by, length(body) AS size"
_FIND = f"SELECT {_ITEM} FROM kept WHERE recipient = ? AND source = ? AND id = ?"  # noqa: S608 - a constant
_DROP = f"DELETE FROM kept WHERE recipient = ? AND source = ? AND id = ? RETURNING {_ITEM}"  # noqa: S608
_DROP_NODE = f"DELETE FROM kept WHERE recipient = ? RETURNING {_ITEM}"  # noqa: S608
_DROP_OLD = f"DELETE FROM kept WHERE kept_lived_ms <= ? RETURNING {_ITEM}"  # noqa: S608


@dataclass(frozen=True)
class Kept:
    """One message, to be handed over."""

    position: int
    source: NodeId
    id: MessageId
    sort: int
    body: bytes = field(repr=False)

    @property
    def key(self) -> Key:
        """What its recipient calls it by."""
        return self.source, self.id


@dataclass(frozen=True)
class Share:
    """What is kept for one recipient."""

    recipient: NodeId
    messages: int
    bytes: int
    oldest_lived_ms: int


class MailboxStore:
    """The statements, and the count of what they leave."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.room = Room()

    async def load(self) -> None:
        """Count what is kept."""
        rows = await self._database.read(
            "SELECT recipient, source, brought_by, sum(length(body)) AS size, count(*) AS times FROM kept"
            " GROUP BY recipient, source, brought_by"
        )
        for row in rows:
            self.room.add(Item(NodeId(row[0]), NodeId(row[1]), row[2], row[3]), row[4])

    async def keep(self, put: Put, source: NodeId, brought_by: str, lived_ms: int) -> None:
        """Store a message; one with the id of an earlier one of its sender takes that one's place, and its age."""

        def work(connection: Connection) -> Item | None:
            old = connection.execute(_FIND, (put.recipient, source, put.id)).fetchone()
            connection.execute(
                "INSERT INTO kept (recipient, source, id, sort, body, brought_by, kept_lived_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (recipient, source, id)"
                " DO UPDATE SET sort = excluded.sort, body = excluded.body, brought_by = excluded.brought_by",
                (put.recipient, source, put.id, put.sort, put.body, brought_by, lived_ms),
            )
            return _item(old) if old is not None else None

        old = await self._database.write("keep a message", work)
        if old is not None:
            self.room.remove(old)
        self.room.add(Item(put.recipient, source, brought_by, len(put.body)))

    async def find(self, recipient: NodeId, key: Key) -> Item | None:
        """Return what counts of a message that is kept already."""
        rows = await self._database.read(_FIND, (recipient, *key))
        return _item(rows[0]) if rows else None

    async def next_for(self, recipient: NodeId, above: int, most: int) -> list[Kept]:
        """Return the oldest messages for a node above a position."""
        rows = await self._database.read(
            "SELECT position, source, id, sort, body FROM kept WHERE recipient = ? AND position > ?"
            " ORDER BY position LIMIT ?",
            (recipient, above, most),
        )
        return [Kept(row[0], NodeId(row[1]), MessageId(row[2]), row[3], row[4]) for row in rows]

    async def drop(self, recipient: NodeId, keys: Sequence[Key]) -> None:
        """Delete what a recipient has taken; what is not kept for it is ignored."""

        def work(connection: Connection) -> list[Item]:
            gone = []
            for key in keys:
                gone += connection.execute(_DROP, (recipient, *key)).fetchall()
            return [_item(row) for row in gone]

        self._gone(await self._database.write("delete taken messages", work, forgets=True))

    async def drop_all(self, node: NodeId) -> None:
        """Delete the bundle of a node, and what is kept for it."""

        def work(connection: Connection) -> list[Item]:
            connection.execute("DELETE FROM bundles WHERE node = ?", (node,))
            gone = connection.execute(_DROP_NODE, (node,))
            return [_item(row) for row in gone.fetchall()]

        self._gone(await self._database.write("delete what is kept of a node", work, forgets=True))

    async def age(self, lived_ms: int) -> int:
        """Delete what was kept for 28 days; return the number of messages."""

        def work(connection: Connection) -> list[Item]:
            connection.execute("DELETE FROM bundles WHERE taken_lived_ms <= ?", (lived_ms - KEPT_MS,))
            gone = connection.execute(_DROP_OLD, (lived_ms - KEPT_MS,))
            return [_item(row) for row in gone.fetchall()]

        gone = await self._database.write("delete old messages", work, forgets=True)
        self._gone(gone)
        return len(gone)

    async def shares(self) -> list[Share]:
        """Return what is kept for whom, the most first."""
        rows = await self._database.read(
            "SELECT recipient, count(*), sum(length(body)), min(kept_lived_ms) FROM kept GROUP BY recipient"
            " ORDER BY 3 DESC"
        )
        return [Share(NodeId(row[0]), row[1], row[2], row[3]) for row in rows]

    # --- bundles

    async def keep_bundle(self, node: NodeId, raw: bytes, lived_ms: int, most: int) -> int:
        """Keep the newest bundle of a node; return how many of others, taken longest ago, went beyond `most`."""

        def work(connection: Connection) -> int:
            connection.execute("INSERT OR REPLACE INTO bundles VALUES (?, ?, ?)", (node, raw, lived_ms))
            return connection.execute(
                "DELETE FROM bundles WHERE node IN"
                " (SELECT node FROM bundles ORDER BY taken_lived_ms DESC, node = ? DESC LIMIT -1 OFFSET ?)",
                (node, most),
            ).rowcount

        return await self._database.write("keep a bundle", work)

    async def bundle(self, node: NodeId) -> bytes | None:
        """Return the bundle that a node left last."""
        rows = await self._database.read("SELECT raw FROM bundles WHERE node = ?", (node,))
        return bytes(rows[0][0]) if rows else None

    async def bundles(self) -> int:
        """Return how many nodes left a bundle."""
        return int((await self._database.read("SELECT count(*) FROM bundles"))[0][0])

    def _gone(self, items: Sequence[Item]) -> None:
        for item in items:
            self.room.remove(item)


def _item(row: Row) -> Item:
    return Item(NodeId(row["recipient"]), NodeId(row["source"]), row["brought_by"], row["size"])
