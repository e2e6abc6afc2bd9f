"""Messages on disk: what a method of this class returned for survives SIGKILL."""

from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pimd.contract import MIB, Bites, Connection, Database, Limit, Row, declare
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import owing, parcel_rows
from pimd_features.messaging.absent import owe_ack
from pimd_features.messaging.lines import add_line
from pimd_features.messaging.models import PAGE_LIMIT, MessageRecord, Status, preview
from pimd_features.messaging.positions import UpTo, below, end_of_page, up_to
from pimd_features.messaging.reassigning import reassign
from pimd_features.messaging.searching import forget_all
from pimd_features.messaging.sessions.account import Account, Moment
from pimd_features.messaging.sessions.bundle import Bundle
from pimd_features.messaging.sessions.kept import load
from pimd_features.messaging.sessions.message import ACKNOWLEDGED, Kind, Plain
from pimd_features.messaging.sessions.receiving import Arrived, Outcome, What, receive
from pimd_features.messaging.sessions.sending import Draft, Leaving, acknowledged, forget_outgoing, session_of
from pimd_features.messaging.sessions.taking import take_bundle
from pimd_features.messaging.wire import ACKED_AT_ONCE, Acks, Key

PAGE_BYTES = declare(
    "bytes of messages on one page of a conversation",
    MIB,
    "bytes",
    "the page ends, and `has_more` is true; 100 messages always fit, and further ones of the last one's time are added",
)
"""Clients that do not page ask for 100 messages of at most 8 KiB, so they never get fewer."""
LATEST_MS = 2**63 - 1
"""After any time that a message can have."""

RANK: dict[str, int] = {"failed": 0, "pending": 1, "sent": 2, "kept": 3, "delivered": 4, "read": 5}
"""A status only ever rises; failed is the lowest, because a late acknowledgement overrides a failure."""


class Outgoing(NamedTuple):
    """A message that was not acknowledged yet."""

    peer: NodeId
    id: MessageId
    timestamp_ms: int
    expires_lived_ms: int
    asks_receipt: bool = False


@dataclass(frozen=True)
class Left:
    """What is to be sent of messages, encrypted on disk."""

    payloads: dict[MessageId, bytes]
    deleted: frozenset[MessageId]
    """Those that are not stored any more."""
    began: bool
    lacks_bundle: bool
    gave_up: bool = False
    """The session with unheard messages was ended."""


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


Stored = tuple[MessageRecord, Conversation]
"""A message just received, and its conversation right after that."""


@dataclass(frozen=True)
class Raised:
    """Acknowledgements that came as a message."""

    status: Status
    ids: tuple[MessageId, ...]
    changed: list[MessageId]


Content = Stored | Raised | owing.Proven
Received = tuple[Outcome, Content | None]
"""What became of a message, and what was stored of it."""

Encrypt = Callable[[Connection, NodeId, Sequence[Draft]], Leaving]
"""Encrypts messages to a peer in a job of the database."""

Renew = Callable[[Connection, NodeId, bytes], bool]
"""Ends a session with a peer; says whether it did."""

_BODY = "SELECT timestamp_ms, body, receipt FROM messages WHERE peer = ? AND id = ? AND direction = 'sent'"
_SENT = "SELECT 1 FROM messages WHERE peer = ? AND id = ? AND direction = 'sent'"
_KNOWN = (
    "SELECT 1 FROM received_ids WHERE peer = ?1 AND id = ?2"
    " UNION ALL SELECT 1 FROM messages WHERE peer = ?1 AND id = ?2 AND direction = 'sent'"
)


def record_of(row: Row) -> MessageRecord:
    """Return what the API shows of a row of `messages`."""
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
        receipt=row["receipt"],
        imported=bool(row["imported"]),
    )


class MessageStore:
    """The statements; every method that changes something is one transaction. All raise `DatabaseError`."""

    def __init__(self, database: Database, bites: Bites, *, gives_receipts: bool = False) -> None:
        self._database = database
        self._bites = bites
        self._gives_receipts = gives_receipts

    # --- sent messages

    async def add_sent(
        self, message: Outgoing, body: str, encrypt: Encrypt | None = None, mailbox: bytes | None = None
    ) -> Leaving | None:
        """Store a message with the status `pending` and update its conversation, in one transaction.

        `encrypt` is given when it can leave at once; `mailbox` is as in the table.
        """
        asked = "asked" if message.asks_receipt else None

        def work(connection: Connection) -> Leaving | None:
            row = connection.execute(
                "INSERT INTO messages"
                " (peer, id, direction, body, timestamp_ms, status, expires_lived_ms, receipt, mailbox)"
                " VALUES (?, ?, 'sent', ?, ?, 'pending', ?, ?, ?) RETURNING *",
                (message.peer, message.id, body, message.timestamp_ms, message.expires_lived_ms, asked, mailbox),
            ).fetchone()
            _count(connection, row)
            return encrypt(connection, message.peer, [_draft(message.id, row)]) if encrypt is not None else None

        return await self._database.write("store a message to send", work, forgets=encrypt is not None)

    async def waiting(self) -> list[Outgoing]:
        """All that were not acknowledged and have not failed, in the order they were sent."""
        rows = await self._database.read(
            "SELECT peer, id, timestamp_ms, expires_lived_ms FROM messages"
            " WHERE direction = 'sent' AND status IN ('pending', 'sent', 'kept') ORDER BY position"
        )
        peers = {raw: NodeId(raw) for raw in {row["peer"] for row in rows}}
        return [Outgoing(peers[peer], MessageId(id_), sent_ms, expires) for peer, id_, sent_ms, expires in rows]

    async def leave(
        self, messages: Sequence[Outgoing], encrypt: Encrypt, renewal: tuple[MessageId, Renew] | None = None
    ) -> Left:
        """Encrypt messages to one peer, or find the ciphertexts of before; first end the session of an unheard one."""
        peer = messages[0].peer

        def work(connection: Connection) -> Left:
            gave_up = False
            if renewal is not None and (session := session_of(connection, peer, renewal[0])) is not None:
                gave_up = renewal[1](connection, peer, session)
            drafts = {message.id: _draft_of(connection, peer, message.id) for message in messages}
            left = encrypt(connection, peer, [draft for draft in drafts.values() if draft is not None])
            deleted = frozenset(id_ for id_, draft in drafts.items() if draft is None)
            return Left(left.payloads, deleted, left.began, left.lacks_bundle, gave_up)

        return await self._database.write("encrypt messages", work, forgets=True)

    async def reassign(self, old: NodeId, new: NodeId) -> int:
        """Move messages that `old` has not acknowledged to `new`; return their number."""
        return await reassign(self._database, old, new)

    async def raise_status(
        self, peer: NodeId, ids: Sequence[MessageId], status: Status, now_ms: int
    ) -> list[MessageId]:
        """Bring messages sent to `peer` to a higher status; return those that changed, each once."""

        def work(connection: Connection) -> list[MessageId]:
            return raise_status(connection, peer, ids, status, now_ms)

        return await self._database.write(f"mark messages {status}", work, forgets=True)

    async def fail(self, message: Outgoing, reason: str, now_ms: int) -> bool:
        """Mark a message failed; False when it was acknowledged or deleted meanwhile."""

        def work(connection: Connection) -> bool:
            done = connection.execute(
                "UPDATE messages SET status = 'failed', failure_reason = ?"
                " WHERE peer = ? AND id = ? AND direction = 'sent' AND status IN ('pending', 'sent', 'kept')",
                (reason, message.peer, message.id),
            )
            forget_outgoing(connection, message.peer, [message.id])
            of_parcels = parcel_rows.raise_status(connection, message.peer, [message.id], "failed", now_ms)
            return done.rowcount > 0 or bool(of_parcels)

        return await self._database.write("mark a message failed", work, forgets=True)

    # --- received messages

    async def known(self, arrived: Sequence[Arrived]) -> tuple[set[Key], set[Key]]:
        """Which of these were received before, even if deleted since, and which are of a session that is kept.

        One that has the id of a message sent to that peer counts as received.
        """

        def work(connection: Connection) -> tuple[set[Key], set[Key]]:
            keys = {(one.src, one.msg.message_id): one for one in arrived}
            known = {key for key in keys if connection.execute(_KNOWN, key).fetchone() is not None}
            kept = {key for key, one in keys.items() if load(connection, one.src, one.msg.session_id) is not None}
            return known, kept

        return await self._database.query(work)

    def add_received(
        self, one: Arrived, account: Account, moment: Moment, *, by_mailbox: bool = False
    ) -> "Future[Received]":
        """Open a received message and store it with its position, unless a copy is stored already.

        Those added in one turn of the event loop share a transaction, and none fails with another. The sender of one that
        a mailbox brought may be away: then it is noted that an acknowledgement is owed.
        """

        def work(connection: Connection) -> Received:
            if connection.execute(_SENT, (one.src, one.msg.message_id)).fetchone() is not None:
                return Outcome(What.KNOWN), None
            awaited = not one.is_contact and owing.awaits(connection, one.src)
            outcome = receive(connection, account, replace(one, acks=awaited), moment)
            plain, stored = outcome.plain, None
            if plain is not None:
                outcome, stored = self._keep(connection, one, (outcome, plain), account, moment)
            if outcome.account_changed:
                add_line(connection, one.src, "account_changed", moment.unix_ms)
            if by_mailbox and (outcome.what is What.KNOWN or (plain is not None and plain.kind in ACKNOWLEDGED)):
                owe_ack(connection, one.src, one.msg.message_id, moment)
            return outcome, stored

        return self._database.submit("store a received message", work, forgets=True)

    def _keep(
        self, connection: Connection, one: Arrived, opened: tuple[Outcome, Plain], account: Account, moment: Moment
    ) -> Received:
        """Store what an opened message says."""
        outcome, plain = opened
        stored: Content | None = None
        reached: tuple[Limit, ...] = ()
        match plain.kind:
            case Kind.BUNDLE:
                changed = _take_bundle(connection, one, plain, moment)
                outcome = replace(outcome, account_changed=outcome.account_changed or changed)
            case Kind.DELIVERED | Kind.READ:
                stored = _raise(connection, one, plain, moment)
            case Kind.RECEIPTS:
                stored, reached = owing.take(connection, account.node_id, one.src, plain.body)
            case Kind.GROUP:
                parcel_rows.add_received(connection, one.src, plain.body, is_stranger=not one.is_contact)
            case Kind.TEXT:
                stored = _add_text(connection, one, plain, moment)
                if stored is not None and self._gives_receipts and plain.asks_receipt:
                    reached = owing.owe(connection, one.src, one.msg.message_id, plain.body, moment)
        return replace(outcome, reached=(*outcome.reached, *reached)), stored

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
                "INSERT OR REPLACE INTO read_receipts (peer, id, until_lived_ms) VALUES (?, ?, ?)",
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

    async def parcels_of_strangers(self) -> Sequence[tuple[NodeId, int, int]]:
        """Number and bytes of the parcels that each stranger holds here."""
        return await self._database.query(parcel_rows.held_of_strangers)

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
        return [record_of(row) for row in rows]

    async def delete(self, peer: NodeId | None) -> tuple[int, int]:
        """Delete one conversation, or with None all; return the counts of deleted messages and conversations."""
        where, which = ("WHERE peer = ?", (peer,)) if peer is not None else ("", ())

        def work(connection: Connection) -> tuple[int, int]:
            if peer is None:
                forget_all(connection)
            messages = connection.execute(f"DELETE FROM messages {where}", which)  # noqa: S608
            conversations = connection.execute(f"DELETE FROM conversations {where}", which)  # noqa: S608
            connection.execute(f"DELETE FROM read_receipts {where}", which)  # noqa: S608
            connection.execute(f"DELETE FROM receipts_owed {where}", which)  # noqa: S608
            connection.execute(f"DELETE FROM outgoing {where}", which)  # noqa: S608
            connection.execute(f"DELETE FROM lines {where}", which)  # noqa: S608
            return messages.rowcount, conversations.rowcount

        return await self._database.write("delete messages", work, forgets=True)

    async def forget_old(self, lived_ms: int) -> None:
        """Delete read receipts whose time to be repeated is over."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM read_receipts WHERE until_lived_ms < ?", (lived_ms,))

        await self._database.write("forget old receipts", work)


def raise_status(
    connection: Connection, peer: NodeId, ids: Sequence[MessageId], status: Status, now_ms: int
) -> list[MessageId]:
    """Do what `MessageStore.raise_status` does, in a job of the database."""
    lower = [one for one in RANK if _rises(one, status)]
    delivered = now_ms if RANK[status] >= RANK["delivered"] else None
    read = now_ms if status == "read" else None
    which = (
        f"peer = ? AND direction = 'sent' AND id IN ({_marks(ids)}) AND status IN ({_marks(lower)})"  # two lists of `?`
    )
    rows = connection.execute(
        "UPDATE messages SET status = ?, failure_reason = NULL, delivered_at_ms = coalesce(delivered_at_ms, ?),"  # noqa: S608
        f" read_at_ms = ? WHERE {which} RETURNING id",
        (status, delivered, read, peer, *ids, *lower),
    ).fetchall()
    if delivered is not None:
        acknowledged(connection, peer, ids)
        owing.letters_had(connection, peer, ids)
    changed = {MessageId(row[0]) for row in rows}
    changed |= parcel_rows.raise_status(connection, peer, set(ids) - changed, status, now_ms)
    return [id_ for id_ in dict.fromkeys(ids) if id_ in changed]


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


def _draft_of(connection: Connection, peer: NodeId, id_: MessageId) -> Draft | None:
    row = connection.execute(_BODY, (peer, id_)).fetchone()
    return _draft(id_, row) if row is not None else parcel_rows.draft_of(connection, peer, id_)


def _draft(id_: MessageId, row: Row) -> Draft:
    asks_receipt = row["receipt"] is not None
    return Draft(id_, Plain(row["timestamp_ms"], Kind.TEXT, row["body"].encode(), asks_receipt))


def _add_text(connection: Connection, one: Arrived, plain: Plain, moment: Moment) -> Stored | None:
    row = connection.execute(
        "INSERT OR IGNORE INTO messages (peer, id, direction, body, timestamp_ms, status, delivered_at_ms)"
        " VALUES (?, ?, 'received', ?, ?, 'delivered', ?) RETURNING *",
        (one.src, one.msg.message_id, plain.body.decode(), min(plain.timestamp_ms, moment.unix_ms), moment.unix_ms),
    ).fetchone()
    return (record_of(row), _count(connection, row)) if row is not None else None


def _raise(connection: Connection, one: Arrived, plain: Plain, moment: Moment) -> Raised | None:
    try:
        acks = Acks.decode(bytes((plain.kind,)) + plain.body)
    except ValueError:
        return None
    status: Status = "read" if plain.kind == Kind.READ else "delivered"
    ids = acks.message_ids[:ACKED_AT_ONCE]
    return Raised(status, ids, raise_status(connection, one.src, ids, status, moment.unix_ms))


def _take_bundle(connection: Connection, one: Arrived, plain: Plain, moment: Moment) -> bool:
    """Return whether it names another account than before."""
    try:
        bundle = Bundle.parse(plain.body)
    except ValueError:
        return False
    if bundle.node_id != one.src or bundle.one_time:
        return False
    noted = take_bundle(connection, bundle, moment, from_itself=True, is_contact=one.is_contact)
    return noted is not None and noted.changed


def _rises(old: str, new: Status) -> bool:
    return RANK[old] < RANK[new] and (old != "failed" or RANK[new] >= RANK["delivered"])


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
