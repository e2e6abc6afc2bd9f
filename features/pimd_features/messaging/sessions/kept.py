"""The sessions that a recipient keeps: their chains, the keys of messages that did not come yet, the ids of those that came."""

from dataclasses import dataclass, field

from pimd.contract import Connection, Limit
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions.account import Moment
from pimd_features.messaging.sessions.limits import OF_CONTACT, OF_STRANGER, OF_STRANGERS
from pimd_features.messaging.sessions.schema import IDS_KEPT_MS, KEPT_MS, MAIL_FIRST_MS


@dataclass
class Kept:
    """One session that a peer began."""

    peer: NodeId
    id: bytes
    chain: bytes = field(repr=False)
    next: int
    opened: int
    one_time: bool
    begun_lived_ms: int


def is_known(connection: Connection, peer: NodeId, id_: MessageId) -> bool:
    """Whether a message with this id was received from the peer."""
    return (
        connection.execute("SELECT 1 FROM received_ids WHERE peer = ? AND id = ?", (peer, id_)).fetchone() is not None
    )


def note_id(connection: Connection, peer: NodeId, id_: MessageId, moment: Moment, *, strangers_bundle: bool) -> None:
    """Remember that a message was received, for longer than anything is kept that opens it."""
    connection.execute("INSERT INTO received_ids VALUES (?, ?, ?, ?)", (peer, id_, moment.lived_ms, strangers_bundle))


def load(connection: Connection, peer: NodeId, id_: bytes) -> Kept | None:
    """Return a session of the peer, if it is kept."""
    row = connection.execute(
        "SELECT chain, next, opened, one_time, begun_lived_ms FROM sessions_in WHERE peer = ? AND id = ?", (peer, id_)
    ).fetchone()
    return Kept(peer, id_, row[0], row[1], row[2], bool(row[3]), row[4]) if row is not None else None


def save(connection: Connection, kept: Kept, moment: Moment, *, is_contact: bool) -> None:
    """Store the session as it is now."""
    connection.execute(
        "INSERT INTO sessions_in (peer, id, chain, next, opened, one_time, is_contact, begun_lived_ms, used_lived_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (peer, id) DO UPDATE SET chain = excluded.chain,"
        " next = excluded.next, opened = excluded.opened, is_contact = excluded.is_contact,"
        " used_lived_ms = excluded.used_lived_ms",
        (
            kept.peer,
            kept.id,
            kept.chain,
            kept.next,
            kept.opened,
            kept.one_time,
            is_contact,
            kept.begun_lived_ms,
            moment.lived_ms,
        ),
    )


def skip(connection: Connection, kept: Kept, keys: list[tuple[int, bytes]]) -> None:
    """Keep the keys of messages that may still come."""
    connection.executemany(
        "INSERT INTO skipped_keys VALUES (?, ?, ?, ?)", [(kept.peer, kept.id, number, key) for number, key in keys]
    )


def skipped_key(connection: Connection, kept: Kept, number: int) -> bytes | None:
    """Return the key of a message that others overtook; None when it was used."""
    row = connection.execute(
        "SELECT key FROM skipped_keys WHERE peer = ? AND session = ? AND number = ?", (kept.peer, kept.id, number)
    ).fetchone()
    return bytes(row[0]) if row is not None else None


def skipped_count(connection: Connection, kept: Kept) -> int:
    """Return how many keys the session keeps of messages that did not come."""
    row = connection.execute(
        "SELECT count(*) FROM skipped_keys WHERE peer = ? AND session = ?", (kept.peer, kept.id)
    ).fetchone()
    return int(row[0])


def forget_skipped(connection: Connection, kept: Kept, number: int) -> None:
    """Delete the key of a message that is opened now."""
    connection.execute(
        "DELETE FROM skipped_keys WHERE peer = ? AND session = ? AND number = ?", (kept.peer, kept.id, number)
    )


def drop_session(connection: Connection, peer: NodeId, id_: bytes) -> None:
    """Delete a session and its keys."""
    connection.execute("DELETE FROM skipped_keys WHERE peer = ? AND session = ?", (peer, id_))
    connection.execute("DELETE FROM sessions_in WHERE peer = ? AND id = ?", (peer, id_))


def make_room(connection: Connection, peer: NodeId, *, is_contact: bool) -> Limit | None:
    """Delete what is over the limits after a session was stored; return the limit that was reached, if any."""
    of_peer = OF_CONTACT if is_contact else OF_STRANGER
    over = connection.execute(
        "SELECT peer, id FROM sessions_in WHERE peer = ? ORDER BY used_lived_ms DESC, begun_lived_ms DESC LIMIT -1 OFFSET ?",
        (peer, of_peer.value),
    ).fetchall()
    reached = of_peer if over else None
    if not over and not is_contact:
        held = connection.execute("SELECT count(*) FROM sessions_in WHERE is_contact = 0").fetchone()[0]
        if held > OF_STRANGERS.value:
            over = connection.execute(
                "SELECT peer, id FROM sessions_in WHERE is_contact = 0 ORDER BY used_lived_ms LIMIT ?",
                (held - OF_STRANGERS.value,),
            ).fetchall()
            reached = OF_STRANGERS
    for row in over:
        drop_session(connection, NodeId(row[0]), row[1])
    return reached


def age_sessions(connection: Connection, moment: Moment, ran_ms: int) -> int:
    """Delete sessions after 28 days and 24 h of running, as bundles, and ids of messages that nothing opens any more.

    `ran_ms` since the last call. Return how many sessions went.
    """
    connection.execute(
        "UPDATE sessions_in SET overdue_ms = overdue_ms + ? WHERE begun_lived_ms <= ?",
        (ran_ms, moment.lived_ms - KEPT_MS),
    )
    old = connection.execute(
        "SELECT peer, id FROM sessions_in WHERE begun_lived_ms <= ? AND overdue_ms >= ?",
        (moment.lived_ms - KEPT_MS, MAIL_FIRST_MS),
    ).fetchall()
    for row in old:
        drop_session(connection, NodeId(row[0]), row[1])
    # A secret that is kept longer, because the node hardly ran, could open a message that came after it was made.
    connection.execute(
        "DELETE FROM received_ids WHERE received_lived_ms < min(?1, coalesce((SELECT min(made_lived_ms) FROM own_bundles), ?1),"
        " coalesce((SELECT min(begun_lived_ms) FROM sessions_in), ?1))",
        (moment.lived_ms - IDS_KEPT_MS,),
    )
    return len(old)
