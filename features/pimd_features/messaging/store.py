"""Messages on disk: what a method of this class returned for survives SIGKILL."""

from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass

from pimd.contract import MIB, Bites, Connection, Database, Row, declare
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.models import PAGE_LIMIT, MessageRecord, Status, preview
from pimd_features.messaging.positions import UpTo, below, end_of_page, up_to
from pimd_features.messaging.reassigning import reassign

DELETED_KEPT_MS = 30 * 24 * 3600 * 1000
"""How long the ids of deleted received messages are kept, so that a late copy is not shown again."""

PAGE_BYTES = declare(
    "bytes of messages on one page of a conversation",
    MIB,
    "bytes",
    "the page ends, and `has_more` is true; 100 messages always fit, and further ones of the last one's time are added",
)
"""Clients that do not page ask for 100 messages of at most 8 KiB, so they never get fewer."""
LATEST_MS = 2**63 - 1
"""After any time that a message can have."""

RANK: dict[str, int] = {"failed": 0, "pending": 1, "sent": 2, "delivered": 3, "read": 4}
"""A status only ever rises; failed is the lowest, because a late acknowledgement overrides a failure."""


@dataclass(frozen=True)
class Outgoing:
    """A message that was not acknowledged yet."""

    peer: NodeId
    id: MessageId
    timestamp_ms: int
    expires_lived_ms: int


@dataclass(frozen=True)
class Sealed:
    """The ciphertext that every attempt sends, and the key that it was made for."""

    timestamp_ms: int
    body: str
    sealed_for: bytes
    ciphertext: bytes


@dataclass(frozen=True)
class Conversation:
    """What is stored for each peer besides the messages."""

    peer: NodeId
    unread: int
    last_preview: str | None
    last_ts_ms: int | None
    received: int
    received_bytes: int
    last_position: int


Key = tuple[NodeId, MessageId]
"""The other end, and the id."""

Stored = tuple[MessageRecord, Conversation]
"""A message just received, and its conversation right after that."""

_SEALED = (
    "SELECT timestamp_ms, body, sealed_for, ciphertext FROM messages WHERE peer = ? AND id = ? AND direction = 'sent'"
)
_KNOWN = (
    "SELECT 1 FROM messages WHERE peer = ?1 AND id = ?2 UNION ALL SELECT 1 FROM deleted WHERE peer = ?1 AND id = ?2"
)


def _record(row: Row) -> MessageRecord:
    return MessageRecord(
        id=MessageId(row["id"]),
        peer_node_id=NodeId(row["peer"]),
        direction=row["direction"],
        body=row["body"],
        position=row["position"],
        timestamp_ms=row["timestamp_ms"],
        status=row["status"],
        failure_reason=row["failure_reason"],
        delivered_at_ms=row["delivered_at_ms"],
        read_at_ms=row["read_at_ms"],
    )


class MessageStore:
    """The statements; every method that changes something is one transaction. All raise `DatabaseError`."""

    def __init__(self, database: Database, bites: Bites) -> None:
        self._database = database
        self._bites = bites

    # --- sent messages

    async def add_sent(self, message: Outgoing, body: str, sealed_for: bytes, ciphertext: bytes) -> None:
        """Store a message with the status `pending` and update its conversation, in one transaction."""

        def work(connection: Connection) -> None:
            row = connection.execute(
                "INSERT INTO messages (peer, id, direction, body, timestamp_ms, status, expires_lived_ms, sealed_for, ciphertext)"
                " VALUES (?, ?, 'sent', ?, ?, 'pending', ?, ?, ?) RETURNING *",
                (
                    message.peer,
                    message.id,
                    body,
                    message.timestamp_ms,
                    message.expires_lived_ms,
                    sealed_for,
                    ciphertext,
                ),
            ).fetchone()
            _count(connection, row)

        await self._database.write("store a message to send", work)

    async def waiting(self) -> list[Outgoing]:
        """All that were not acknowledged and have not failed, in the order they were sent."""
        rows = await self._database.read(
            "SELECT peer, id, timestamp_ms, expires_lived_ms FROM messages"
            " WHERE direction = 'sent' AND status IN ('pending', 'sent') ORDER BY position"
        )
        return [Outgoing(NodeId(r["peer"]), MessageId(r["id"]), r["timestamp_ms"], r["expires_lived_ms"]) for r in rows]

    async def sealed(self, messages: Sequence[Outgoing]) -> dict[Outgoing, Sealed]:
        """Return what to send, without those that were deleted meanwhile."""

        def work(connection: Connection) -> dict[Outgoing, Sealed]:
            found = {
                message: connection.execute(_SEALED, (message.peer, message.id)).fetchone() for message in messages
            }
            return {message: Sealed(*row) for message, row in found.items() if row is not None}

        return await self._database.query(work)

    async def seal_again(self, message: Outgoing, sealed_for: bytes, ciphertext: bytes) -> None:
        """Replace the ciphertext: the peer turned out to have another key than the imported one."""

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE messages SET sealed_for = ?, ciphertext = ? WHERE peer = ? AND id = ? AND direction = 'sent'",
                (sealed_for, ciphertext, message.peer, message.id),
            )

        await self._database.write("seal a message again", work)

    async def reassign(self, old: NodeId, new: NodeId) -> int:
        """Move messages that `old` has not acknowledged to `new`; return their number."""
        return await reassign(self._database, old, new)

    async def raise_status(
        self, peer: NodeId, ids: Sequence[MessageId], status: Status, now_ms: int
    ) -> list[MessageId]:
        """Bring messages sent to `peer` to a higher status; return those that changed, each once."""
        lower = [one for one in RANK if _rises(one, status)]
        delivered = now_ms if RANK[status] >= RANK["delivered"] else None
        read = now_ms if status == "read" else None
        which = f"peer = ? AND direction = 'sent' AND id IN ({_marks(ids)}) AND status IN ({_marks(lower)})"  # two lists of `?`

        def work(connection: Connection) -> list[MessageId]:
            rows = connection.execute(
                "UPDATE messages SET status = ?, failure_reason = NULL, delivered_at_ms = coalesce(delivered_at_ms, ?),"  # noqa: S608
                f" read_at_ms = ? WHERE {which} RETURNING id",
                (status, delivered, read, peer, *ids, *lower),
            ).fetchall()
            changed = {MessageId(row[0]) for row in rows}
            return [id_ for id_ in dict.fromkeys(ids) if id_ in changed]

        return await self._database.write(f"mark messages {status}", work)

    async def fail(self, message: Outgoing, reason: str) -> bool:
        """Mark a message failed; False when it was acknowledged or deleted meanwhile."""

        def work(connection: Connection) -> bool:
            done = connection.execute(
                "UPDATE messages SET status = 'failed', failure_reason = ?"
                " WHERE peer = ? AND id = ? AND direction = 'sent' AND status IN ('pending', 'sent')",
                (reason, message.peer, message.id),
            )
            return done.rowcount > 0

        return await self._database.write("mark a message failed", work)

    # --- received messages

    async def known(self, keys: Sequence[Key]) -> set[Key]:
        """Which of these were received before, even if deleted since; or have the id of a message sent to that peer."""

        def work(connection: Connection) -> set[Key]:
            return {key for key in keys if connection.execute(_KNOWN, key).fetchone() is not None}

        return await self._database.query(work)

    def add_received(self, message: MessageRecord) -> "Future[Stored | None]":
        """Store a received message with its position; None when a copy is stored already.

        Those added in one turn of the event loop share a transaction, and none fails with another.
        """

        def work(connection: Connection) -> Stored | None:
            row = connection.execute(
                "INSERT OR IGNORE INTO messages (peer, id, direction, body, timestamp_ms, status, delivered_at_ms)"
                " SELECT ?1, ?2, 'received', ?3, ?4, 'delivered', ?5"
                " WHERE NOT EXISTS (SELECT 1 FROM deleted WHERE peer = ?1 AND id = ?2) RETURNING *",
                (message.peer_node_id, message.id, message.body, message.timestamp_ms, message.delivered_at_ms),
            ).fetchone()
            if row is None:
                return None
            return message.model_copy(update={"position": row["position"]}), _count(connection, row)

        return self._database.submit("store a received message", work)

    async def mark_read(self, peer: NodeId, last: UpTo, now_ms: int, receipts_until_lived_ms: int) -> list[MessageId]:
        """Mark received messages read and queue their read receipts; return their ids."""

        def work(connection: Connection) -> list[MessageId]:
            rows = connection.execute(
                "UPDATE messages SET status = 'read', read_at_ms = ? WHERE peer = ? AND direction = 'received'"
                " AND status = 'delivered' AND position <= ? RETURNING id",
                (now_ms, peer, up_to(connection, peer, last, now_ms)),
            ).fetchall()
            ids = [MessageId(row[0]) for row in rows]
            connection.executemany(
                "INSERT OR REPLACE INTO read_receipts VALUES (?, ?, ?)",
                [(peer, id_, receipts_until_lived_ms) for id_ in ids],
            )
            connection.execute("UPDATE conversations SET unread = unread - ? WHERE peer = ?", (len(ids), peer))
            return ids

        return await self._database.write("mark messages read", work)

    async def read_receipts(self, peer: NodeId, lived_ms: int) -> list[MessageId]:
        """Messages of `peer` whose read receipt is still to be repeated."""
        rows = await self._database.read(
            "SELECT id FROM read_receipts WHERE peer = ? AND until_lived_ms > ? ORDER BY until_lived_ms",
            (peer, lived_ms),
        )
        return [MessageId(row["id"]) for row in rows]

    async def peers_with_receipts(self) -> list[NodeId]:
        """Peers with stored read receipts, expired ones included."""
        rows = await self._database.read("SELECT DISTINCT peer FROM read_receipts")
        return [NodeId(row["peer"]) for row in rows]

    # --- conversations

    async def conversations(self) -> list[Conversation]:
        """All conversations, the one whose newest message arrived last first."""
        rows = await self._database.read("SELECT * FROM conversations ORDER BY last_position DESC")
        return [Conversation(NodeId(row[0]), *row[1:]) for row in rows]

    async def conversation(self, peer: NodeId) -> Conversation | None:
        """Return the summary of one conversation; None when no message was ever exchanged with the peer."""
        rows = await self._database.read("SELECT * FROM conversations WHERE peer = ?", (peer,))
        return Conversation(NodeId(rows[0][0]), *rows[0][1:]) if rows else None

    async def history(
        self, peer: NodeId, before_ts_ms: int | None, before_id: MessageId | None, limit: int, now_ms: int = LATEST_MS
    ) -> tuple[list[MessageRecord], bool]:
        """One page, newest first, and whether older messages exist; LookupError for an unknown id without a time.

        `now_ms` is what this node's clock says.

        A client that pages by time gets on: up to 500 more are added, so that the page ends with a time no newer message has.
        """
        start = await below(self._database, peer, before_ts_ms, before_id, now_ms)
        page = await self._page(peer, start, 0, limit + 1)
        fit = min(limit, self._fit(page[:limit]))
        has_more = len(page) > fit
        del page[fit:]
        if has_more and before_id is None:
            end = await end_of_page(self._database, peer, page[-1].position)
            page += await self._page(peer, page[-1].position, end, PAGE_LIMIT)
            has_more = bool(await self._page(peer, page[-1].position, 0, 1))
        return page, has_more

    def _fit(self, page: Sequence[MessageRecord]) -> int:
        """Return how many messages a page may hold, one at least."""
        size = 0
        for count, message in enumerate(page):
            size += len(message.body.encode())
            if size > PAGE_BYTES.value and count:
                self._bites.count(PAGE_BYTES)
                return count
        return len(page)

    async def _page(self, peer: NodeId, below: int, down_to: int, limit: int) -> list[MessageRecord]:
        rows = await self._database.read(
            "SELECT * FROM messages WHERE peer = ? AND position < ? AND position >= ? ORDER BY position DESC LIMIT ?",
            (peer, below, down_to, limit),
        )
        return [_record(row) for row in rows]

    async def delete(self, peer: NodeId | None, lived_ms: int) -> tuple[int, int]:
        """Delete one conversation, or with None all; return the counts of deleted messages and conversations."""
        where, which = ("WHERE peer = ?", (peer,)) if peer is not None else ("", ())
        also = "AND" if where else "WHERE"

        def work(connection: Connection) -> tuple[int, int]:
            connection.execute(
                f"INSERT OR REPLACE INTO deleted SELECT peer, id, ? FROM messages {where} {also} direction = 'received'",  # noqa: S608 - two constants
                (lived_ms, *which),
            )
            messages = connection.execute(f"DELETE FROM messages {where}", which)  # noqa: S608
            conversations = connection.execute(f"DELETE FROM conversations {where}", which)  # noqa: S608
            connection.execute(f"DELETE FROM read_receipts {where}", which)  # noqa: S608
            return messages.rowcount, conversations.rowcount

        return await self._database.write("delete messages", work)

    async def forget_old(self, lived_ms: int) -> None:
        """Delete marks of deletion after 30 days, and read receipts whose time to be repeated is over."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM deleted WHERE deleted_lived_ms < ?", (lived_ms - DELETED_KEPT_MS,))
            connection.execute("DELETE FROM read_receipts WHERE until_lived_ms < ?", (lived_ms,))

        await self._database.write("forget old marks", work)


def _count(connection: Connection, message: Row) -> Conversation:
    """Bring the conversation's row up to date with a message just stored."""
    body, received = message["body"], message["direction"] == "received"
    row = connection.execute(
        "INSERT INTO conversations VALUES (?1, ?2, ?3, ?4, ?2, ?5, ?6) ON CONFLICT (peer) DO UPDATE SET"
        " unread = unread + ?2, received = received + ?2, received_bytes = received_bytes + ?5,"
        " last_preview = ?3, last_ts_ms = ?4, last_position = ?6 RETURNING *",
        (
            message["peer"],
            int(received),
            preview(body),
            message["timestamp_ms"],
            len(body.encode()) if received else 0,
            message["position"],
        ),
    ).fetchone()
    return Conversation(NodeId(row[0]), *row[1:])


def _rises(old: str, new: Status) -> bool:
    return RANK[old] < RANK[new] and (old != "failed" or RANK[new] >= RANK["delivered"])


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
