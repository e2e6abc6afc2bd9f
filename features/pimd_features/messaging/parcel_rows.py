"""Parcels of another feature in `messages.db`: parts of jobs, beside those of messages."""

from collections.abc import Collection, Iterable, Sequence

from pimd.contract import Connection, Parcel
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions.account import Moment
from pimd_features.messaging.sessions.message import Kind, Plain
from pimd_features.messaging.sessions.sending import Draft

TABLES = """
CREATE TABLE parcels_out (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    body BLOB NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    expires_lived_ms INTEGER NOT NULL,
    UNIQUE (peer, id)
);
CREATE TABLE parcel_states (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL,
    id BLOB NOT NULL,
    status TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (peer, id)
);
CREATE TABLE parcels_in (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    peer BLOB NOT NULL,
    body BLOB NOT NULL,
    is_stranger INTEGER NOT NULL
);
CREATE INDEX parcels_of_strangers ON parcels_in (peer) WHERE is_stranger = 1;
CREATE TABLE fellows (
    peer BLOB PRIMARY KEY
) WITHOUT ROWID;
"""
"""`parcel_states` has the newest status of each parcel, also of one that is delivered and gone from `parcels_out`."""

RANK = {"pending": 0, "sent": 1, "kept": 2, "delivered": 3, "read": 3, "failed": 4}
_DONE = frozenset({"delivered", "failed"})


def add(connection: Connection, parcels: Iterable[Parcel], moment: Moment) -> list[tuple[Parcel, int]]:
    """Store what was not handed over before; return that, with its expiry in lived time."""
    added: list[tuple[Parcel, int]] = []
    for one in parcels:
        known = connection.execute("SELECT 1 FROM parcel_states WHERE peer = ? AND id = ?", (one.peer, one.id))
        if known.fetchone() is not None:
            continue
        expires = moment.lived_ms + 1000 * one.expires_s
        connection.execute(
            "INSERT INTO parcels_out (peer, id, body, timestamp_ms, status, expires_lived_ms) VALUES (?, ?, ?, ?, 'pending', ?)",
            (one.peer, one.id, one.body, moment.unix_ms, expires),
        )
        _note(connection, one.peer, one.id, "pending", moment.unix_ms)
        added.append((one, expires))
    return added


def draft_of(connection: Connection, peer: NodeId, id_: MessageId) -> Draft | None:
    """Return a parcel as a message to be encrypted; None when it is not stored any more."""
    row = connection.execute(
        "SELECT timestamp_ms, body FROM parcels_out WHERE peer = ? AND id = ?", (peer, id_)
    ).fetchone()
    return Draft(id_, Plain(row[0], Kind.GROUP, row[1])) if row is not None else None


def raise_status(
    connection: Connection, peer: NodeId, ids: Collection[MessageId], status: str, now_ms: int
) -> set[MessageId]:
    """Bring parcels to a higher status; return those that changed. The bodies of those that are done go."""
    status = "delivered" if status == "read" else status
    changed: set[MessageId] = set()
    for id_ in ids:
        row = connection.execute("SELECT status FROM parcels_out WHERE peer = ? AND id = ?", (peer, id_)).fetchone()
        if row is None or RANK[row[0]] >= RANK[status]:
            continue
        if status in _DONE:
            remove(connection, [(peer, id_)])
        else:
            connection.execute("UPDATE parcels_out SET status = ? WHERE peer = ? AND id = ?", (status, peer, id_))
        _note(connection, peer, id_, status, now_ms)
        changed.add(id_)
    return changed


def remove(connection: Connection, keys: Iterable[tuple[NodeId, MessageId]]) -> None:
    """Delete the bodies of parcels."""
    connection.executemany("DELETE FROM parcels_out WHERE peer = ? AND id = ?", keys)


def _note(connection: Connection, peer: NodeId, id_: MessageId, status: str, now_ms: int) -> None:
    connection.execute("DELETE FROM parcel_states WHERE peer = ? AND id = ?", (peer, id_))
    connection.execute(
        "INSERT INTO parcel_states (peer, id, status, at_ms) VALUES (?, ?, ?, ?)", (peer, id_, status, now_ms)
    )


def add_received(connection: Connection, peer: NodeId, body: bytes, *, is_stranger: bool) -> None:
    """Keep a body that came, until the feature drops it."""
    connection.execute("INSERT INTO parcels_in (peer, body, is_stranger) VALUES (?, ?, ?)", (peer, body, is_stranger))


def held_of_strangers(connection: Connection) -> Sequence[tuple[NodeId, int, int]]:
    """Return number and bytes of the parcels that each stranger holds here."""
    rows = connection.execute(
        "SELECT peer, count(*), sum(length(body)) FROM parcels_in WHERE is_stranger = 1 GROUP BY peer"
    )
    return [(NodeId(row[0]), row[1], row[2]) for row in rows]
