"""What is known of peers that cannot be reached: their mailboxes, what these keep, and what is owed. Jobs of the database."""

from collections.abc import Iterable
from dataclasses import dataclass

from pimd.contract import Connection
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions.account import Moment
from pimd_features.messaging.sessions.bundle import node_ids
from pimd_features.messaging.sessions.schema import DAY_MS, KEPT_MS

PUT_AGAIN_MS = DAY_MS
"""What a mailbox keeps is put there again so often, since it may have lost it, or lied."""
ACK_AGAIN_MS = DAY_MS
"""A message that comes again is acknowledged through mailboxes again after this, lest copies cause one each."""


@dataclass(frozen=True)
class Boxes:
    """Where messages for a peer may be left, and who may know its bundle."""

    named: tuple[NodeId, ...]
    """By its newest bundle; no others keep messages for it."""
    asked: tuple[NodeId, ...]
    """By the user, for messages that wait."""
    is_known: bool
    """Whether there ever was a bundle of the peer; one that came with its first message may be lost."""
    are_doubtful: bool
    """Something was left a day ago and not acknowledged: the peer may have lost its files, and have another account."""


@dataclass(frozen=True)
class Owed:
    """Ids of messages of a peer that are to be acknowledged through its mailboxes."""

    delivered: tuple[MessageId, ...]
    read: tuple[MessageId, ...]


def boxes(connection: Connection, peer: NodeId, moment: Moment) -> Boxes:
    """Return the mailboxes of a peer."""
    row = connection.execute("SELECT mailboxes FROM correspondents WHERE peer = ?", (peer,)).fetchone()
    bundle = connection.execute("SELECT 1 FROM peer_bundles WHERE peer = ? LIMIT 1", (peer,)).fetchone()
    named = node_ids(row[0]) if row is not None else ()
    asked = connection.execute(
        "SELECT DISTINCT mailbox FROM messages WHERE peer = ? AND direction = 'sent'"
        " AND status IN ('pending', 'sent', 'kept') AND length(mailbox) = 16",
        (peer,),
    ).fetchall()
    doubtful = connection.execute(
        "SELECT 1 FROM kept_at WHERE peer = ? AND kept_lived_ms <= ? LIMIT 1", (peer, moment.lived_ms - PUT_AGAIN_MS)
    ).fetchone()
    return Boxes(named, tuple(NodeId(row[0]) for row in asked), bundle is not None, doubtful is not None)


def is_correspondent(connection: Connection, peer: NodeId) -> bool:
    """Whether an account of the peer is known, so that it can be answered."""
    return connection.execute("SELECT 1 FROM correspondents WHERE peer = ?", (peer,)).fetchone() is not None


def next_to_put(connection: Connection, peer: NodeId, mailbox: NodeId, moment: Moment, most: int) -> list[MessageId]:
    """Return the oldest messages that a mailbox of the peer does not keep, or was given too long ago."""
    parameters = (peer, mailbox, moment.lived_ms - PUT_AGAIN_MS, most)
    rows = connection.execute(_PARCELS_TO_PUT, parameters).fetchall()
    if len(rows) < most:
        rows += connection.execute(_TO_PUT, parameters).fetchall()
    return [MessageId(row[0]) for row in rows[:most]]


_NOT_KEPT = """NOT EXISTS (
    SELECT 1 FROM kept_at WHERE peer = ?1 AND kept_at.id = one.id AND mailbox = ?2 AND kept_lived_ms > ?3
) ORDER BY position LIMIT ?4"""
_TO_PUT = (
    "SELECT id FROM messages AS one WHERE peer = ?1 AND direction = 'sent' AND status IN ('pending', 'sent', 'kept')"  # noqa: S608 - constants
    f" AND (mailbox IS NULL OR length(mailbox) > 0) AND {_NOT_KEPT}"
)
_PARCELS_TO_PUT = f"SELECT id FROM parcels_out AS one WHERE peer = ?1 AND {_NOT_KEPT}"  # noqa: S608 - a constant


def note_kept(connection: Connection, peer: NodeId, ids: Iterable[MessageId], mailbox: NodeId, moment: Moment) -> None:
    """Note that a mailbox says it keeps these messages; not of those that were acknowledged meanwhile."""
    connection.executemany(
        "INSERT OR REPLACE INTO kept_at SELECT peer, id, ?3, ?4 FROM outgoing WHERE peer = ?1 AND id = ?2",
        [(peer, id_, mailbox, moment.lived_ms) for id_ in ids],
    )


# --- acknowledgements


def owe_ack(connection: Connection, peer: NodeId, id_: MessageId, moment: Moment) -> None:
    """Note that a message which a mailbox brought is to be acknowledged; again only after a while."""
    connection.execute(
        "INSERT INTO owed_acks VALUES (?1, ?2, ?3, NULL) ON CONFLICT (peer, id)"
        " DO UPDATE SET owed_lived_ms = ?3, kept_lived_ms = NULL WHERE kept_lived_ms <= ?4",
        (peer, id_, moment.lived_ms, moment.lived_ms - ACK_AGAIN_MS),
    )


def owed(connection: Connection, peer: NodeId, moment: Moment, most: int) -> Owed:
    """Return what is to be acknowledged."""
    delivered = connection.execute(
        "SELECT id FROM owed_acks WHERE peer = ? AND kept_lived_ms IS NULL LIMIT ?", (peer, most)
    ).fetchall()
    read = connection.execute(
        "SELECT id FROM read_receipts WHERE peer = ? AND until_lived_ms > ? AND kept_lived_ms IS NULL LIMIT ?",
        (peer, moment.lived_ms, most),
    ).fetchall()
    return Owed(tuple(MessageId(row[0]) for row in delivered), tuple(MessageId(row[0]) for row in read))


def note_acked(connection: Connection, peer: NodeId, acked: Owed, moment: Moment) -> None:
    """Note that the peer, or a mailbox of it, has these acknowledgements."""
    for table, ids in (("owed_acks", acked.delivered), ("read_receipts", acked.read)):
        connection.executemany(
            f"UPDATE {table} SET kept_lived_ms = ? WHERE peer = ? AND id = ?",  # noqa: S608 - two constants
            [(moment.lived_ms, peer, id_) for id_ in ids],
        )


def owed_to(connection: Connection, moment: Moment) -> list[NodeId]:
    """Return the peers to whom acknowledgements or receipts are owed."""
    rows = connection.execute(
        "SELECT DISTINCT peer FROM owed_acks WHERE kept_lived_ms IS NULL"
        " UNION SELECT DISTINCT peer FROM read_receipts WHERE until_lived_ms > ?1 AND kept_lived_ms IS NULL"
        " UNION SELECT DISTINCT peer FROM receipts_owed"
        " WHERE until_lived_ms > ?1 AND (kept_lived_ms IS NULL OR kept_lived_ms <= ?2) ORDER BY peer",
        (moment.lived_ms, moment.lived_ms - PUT_AGAIN_MS),
    ).fetchall()
    return [NodeId(row[0]) for row in rows]


def lack_bundle(connection: Connection, bundle_id: bytes) -> list[NodeId]:
    """Return the peers to whom this lasting bundle was not sent."""
    rows = connection.execute("SELECT peer FROM correspondents WHERE given_bundle IS NOT ?", (bundle_id,)).fetchall()
    return [NodeId(row[0]) for row in rows]


def age_acks(connection: Connection, moment: Moment) -> None:
    """Delete what was owed for so long that no mailbox keeps it."""
    connection.execute("DELETE FROM owed_acks WHERE owed_lived_ms <= ?", (moment.lived_ms - KEPT_MS,))
