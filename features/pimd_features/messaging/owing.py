"""Signed receipts on disk: those that this node owes for what it received, and those it had for what it sent."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pimd.contract import Connection, Database, Limit, declare
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.absent import PUT_AGAIN_MS
from pimd_features.messaging.receipt import Receipt, Received, digest_of
from pimd_features.messaging.receipt_wire import AT_ONCE, Came, OwedReceipt, TooManyReceipts, parsed
from pimd_features.messaging.sessions.account import Moment

OWED_FOR_MS = 28 * 24 * 3600 * 1000
"""So long, in lived time, a receipt is repeated."""
OWED = declare("receipts owed to one peer", 1000, "receipts", "the oldest is not sent any more")


def owe(connection: Connection, peer: NodeId, id_: MessageId, body: bytes, moment: Moment) -> tuple[Limit, ...]:
    """Note in the transaction that stores a message that its sender gets a receipt; return the limit if it is reached."""
    row = (peer, id_, hashlib.sha256(body).digest(), moment.unix_ms, moment.lived_ms + OWED_FOR_MS)
    connection.execute(
        "INSERT OR IGNORE INTO receipts_owed (peer, id, digest, time_ms, until_lived_ms) VALUES (?, ?, ?, ?, ?)", row
    )
    held = connection.execute("SELECT count(*) FROM receipts_owed WHERE peer = ?", (peer,)).fetchone()[0]
    if held <= OWED.value:
        return ()
    connection.execute(
        "DELETE FROM receipts_owed WHERE peer = ?1 AND id IN"
        " (SELECT id FROM receipts_owed WHERE peer = ?1 ORDER BY until_lived_ms LIMIT ?2)",
        (peer, held - OWED.value),
    )
    return (OWED,)


# --- through mailboxes


@dataclass(frozen=True)
class Letter:
    """Receipts that a message of a session is to hold."""

    id: MessageId | None
    """Of the message that held them the last time: it takes the place of that one."""
    receipts: tuple[OwedReceipt, ...]


_TO_LEAVE = "until_lived_ms > ?2 AND (kept_lived_ms IS NULL OR kept_lived_ms <= ?3)"
_FIRST_LETTER = (
    f"SELECT letter FROM receipts_owed WHERE peer = ?1 AND {_TO_LEAVE} ORDER BY letter, until_lived_ms LIMIT 1"  # noqa: S608 - a constant
)
_OF_LETTER = (
    "SELECT id, digest, time_ms FROM receipts_owed"  # noqa: S608 - a constant
    f" WHERE peer = ?1 AND letter IS ?4 AND {_TO_LEAVE} ORDER BY until_lived_ms LIMIT ?5"
)


def letter_to(connection: Connection, peer: NodeId, moment: Moment) -> Letter | None:
    """Return receipts that no mailbox of the peer keeps, or was given too long ago."""
    which = (peer, moment.lived_ms, moment.lived_ms - PUT_AGAIN_MS)
    first = connection.execute(_FIRST_LETTER, which).fetchone()
    if first is None:
        return None
    rows = connection.execute(_OF_LETTER, (*which, first[0], AT_ONCE.value)).fetchall()
    owed = tuple(OwedReceipt(MessageId(row[0]), row[1], row[2]) for row in rows)
    return Letter(MessageId(first[0]) if first[0] is not None else None, owed)


def note_left(connection: Connection, peer: NodeId, letter: MessageId, owed: Sequence[OwedReceipt], now: int) -> None:
    """Note that a mailbox says it keeps a letter; its acknowledgement by the peer ends what is owed."""
    connection.executemany(
        "UPDATE receipts_owed SET letter = ?, kept_lived_ms = ? WHERE peer = ? AND id = ?",
        [(letter, now, peer, one.message_id) for one in owed],
    )


def letters_had(connection: Connection, peer: NodeId, ids: Sequence[MessageId]) -> None:
    """Drop the receipts in those of these messages that held some: the peer has them."""
    marks = ",".join("?" * len(ids))
    connection.execute(f"DELETE FROM receipts_owed WHERE peer = ? AND letter IN ({marks})", (peer, *ids))  # noqa: S608


def awaits(connection: Connection, peer: NodeId) -> bool:
    """Whether receipts were left for a peer, which it is to acknowledge, be it a stranger."""
    left = "SELECT 1 FROM receipts_owed WHERE peer = ? AND letter IS NOT NULL LIMIT 1"
    return connection.execute(left, (peer,)).fetchone() is not None


# --- given


class Owed:
    """Receipts that this node owes; every method raises `DatabaseError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def peers(self) -> list[NodeId]:
        """Who is owed any."""
        return [NodeId(row[0]) for row in await self._database.read("SELECT DISTINCT peer FROM receipts_owed")]

    async def to(self, peer: NodeId, lived_ms: int) -> list[OwedReceipt]:
        """Return what a peer is owed, the oldest first."""
        rows = await self._database.read(
            "SELECT id, digest, time_ms FROM receipts_owed WHERE peer = ? AND until_lived_ms > ? ORDER BY until_lived_ms",
            (peer, lived_ms),
        )
        return [OwedReceipt(MessageId(row[0]), row[1], row[2]) for row in rows]

    async def had(self, peer: NodeId, ids: Sequence[MessageId]) -> None:
        """Drop what a peer says to have."""
        rows = [(peer, id_) for id_ in ids]

        def work(connection: Connection) -> None:
            connection.executemany("DELETE FROM receipts_owed WHERE peer = ? AND id = ?", rows)

        await self._database.write("drop receipts that arrived", work)

    async def forget_old(self, lived_ms: int) -> None:
        """Drop what was repeated for long enough."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM receipts_owed WHERE until_lived_ms <= ?", (lived_ms,))

        await self._database.write("forget old receipts", work)


# --- had


@dataclass(frozen=True)
class Proven:
    """Receipts that came as a message, and hold."""

    ids: list[MessageId]
    """The messages that they are of."""


def take(connection: Connection, own: NodeId, peer: NodeId, body: bytes) -> tuple[Proven, tuple[Limit, ...]]:
    """Keep receipts that came as a message, if all of them hold; return the limit if it is reached."""
    try:
        key, came = parsed(body)
        receipts = checked(key, came, wanted(connection, own, peer, came))
    except TooManyReceipts:
        return Proven([]), (AT_ONCE,)
    except ValueError:
        return Proven([]), ()
    return Proven([one.received.message_id for one in receipts if _store(connection, one)]), ()


def wanted(connection: Connection, own: NodeId, peer: NodeId, came: Sequence[Came]) -> dict[MessageId, Received]:
    """Return what those must say that were asked for and are not here."""
    found = {}
    for one in came:
        row = connection.execute(
            "SELECT body FROM messages"
            " WHERE peer = ? AND id = ? AND direction = 'sent' AND receipt = 'asked' AND NOT imported",
            (peer, one.message_id),
        ).fetchone()
        if row is not None:
            found[one.message_id] = Received(one.message_id, digest_of(row[0]), own, peer, one.time_ms)
    return found


def checked(key: bytes, came: Sequence[Came], about: dict[MessageId, Received]) -> list[Receipt]:
    """Return those that are wanted, each once; ValueError unless the recipient signed all of these."""
    return [
        Receipt.checked(received, key, one.signature) for one in came if (received := about.pop(one.message_id, None))
    ]


class Had:
    """Receipts of messages that this node sent; every method raises `DatabaseError`."""

    def __init__(self, database: Database, own: NodeId) -> None:
        self._database = database
        self._own = own

    async def wanted(self, peer: NodeId, came: Sequence[Came]) -> dict[MessageId, Received]:
        """Return what those must say that were asked for and are not here."""
        return await self._database.query(lambda connection: wanted(connection, self._own, peer, came))

    async def store(self, receipts: Sequence[Receipt]) -> list[MessageId]:
        """Keep receipts that hold; return the messages of those that are new."""

        def work(connection: Connection) -> list[MessageId]:
            return [one.received.message_id for one in receipts if _store(connection, one)]

        return await self._database.write("store receipts", work)


def _store(connection: Connection, receipt: Receipt) -> bool:
    about = receipt.received
    changed = connection.execute(
        "UPDATE messages SET receipt = 'had' WHERE peer = ? AND id = ? AND direction = 'sent' AND receipt = 'asked'",
        (about.recipient, about.message_id),
    )
    if not changed.rowcount:
        return False  # deleted meanwhile, or doubled
    connection.execute(
        "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?)",
        (about.recipient, about.message_id, about.sender, about.time_ms, receipt.ed25519_pub, receipt.signature),
    )
    return True


async def receipt_of(database: Database, id_: MessageId) -> tuple[Receipt, str] | None:
    """Return the receipt of a message and its body; `DatabaseError`."""
    rows = await database.read(
        "SELECT receipts.peer, sender, time_ms, ed25519_pub, signature, body FROM receipts JOIN messages"
        " ON messages.peer = receipts.peer AND messages.id = receipts.id AND direction = 'sent' WHERE receipts.id = ?",
        (id_,),
    )
    if not rows:
        return None
    row = rows[0]
    received = Received(id_, digest_of(row["body"]), NodeId(row["sender"]), NodeId(row["peer"]), row["time_ms"])
    return Receipt(received, row["ed25519_pub"], row["signature"]), row["body"]
