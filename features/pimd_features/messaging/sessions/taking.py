"""What is known of the other ends: their accounts, and the bundles they gave."""

from dataclasses import dataclass

from pimd.contract import Connection, Limit, declare
from pimd.ids import NodeId
from pimd_features.messaging.sessions.account import Moment
from pimd_features.messaging.sessions.bundle import Bundle
from pimd_features.messaging.sessions.schema import KEPT_MS

STRANGERS = declare(
    "accounts of strangers remembered",
    1000,
    "accounts",
    "the one used longest ago goes with its bundle; whether it changed is not seen then",
)


@dataclass(frozen=True)
class Noted:
    """What became of an account that was seen."""

    changed: bool
    """The node had another one before."""
    reached: Limit | None = None


def note_account(
    connection: Connection, peer: NodeId, keys: tuple[bytes, bytes], moment: Moment, *, is_contact: bool
) -> Noted:
    """Remember the account of a node, `keys` being its Ed25519 key and the account."""
    ed25519_pub, account = keys
    row = connection.execute("SELECT account FROM correspondents WHERE peer = ?", (peer,)).fetchone()
    changed = row is not None and row[0] != account
    connection.execute(
        "INSERT INTO correspondents (peer, ed25519_pub, account, is_contact, used_lived_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (peer) DO UPDATE SET ed25519_pub = ?2, account = ?3, is_contact = ?4, used_lived_ms = ?5,"
        " account_changes = account_changes + ?6",
        (peer, ed25519_pub, account, is_contact, moment.lived_ms, changed),
    )
    return Noted(changed, _make_room(connection) if row is None and not is_contact else None)


def _make_room(connection: Connection) -> Limit | None:
    held = connection.execute("SELECT count(*) FROM correspondents WHERE is_contact = 0").fetchone()[0]
    if held <= STRANGERS.value:
        return None
    gone = connection.execute(
        "SELECT peer FROM correspondents WHERE is_contact = 0 ORDER BY used_lived_ms, peer LIMIT ?",
        (held - STRANGERS.value,),
    ).fetchall()
    for table in ("correspondents", "peer_bundles"):
        connection.executemany(f"DELETE FROM {table} WHERE peer = ?", [(row[0],) for row in gone])  # noqa: S608 - two constants
    return STRANGERS


def take_bundle(
    connection: Connection, bundle: Bundle, moment: Moment, *, from_itself: bool, is_contact: bool
) -> Noted | None:
    """Keep a bundle to begin a session with; None when it is older than another one, or was there before and is a one-time one.

    One that a mailbox brings was made within 28 days; what the node itself brings is taken whatever its clock says.
    """
    if not from_itself and abs(moment.unix_ms - bundle.created_ms) > KEPT_MS:
        return None
    row = connection.execute(
        "SELECT created_ms FROM peer_bundles WHERE peer = ? AND one_time = ?", (bundle.node_id, bundle.one_time)
    ).fetchone()
    if row is not None and bundle.created_ms < row[0] + bundle.one_time:
        return None
    noted = note_account(
        connection, bundle.node_id, (bundle.ed25519_pub, bundle.account), moment, is_contact=is_contact
    )
    if noted.changed:
        forget_bundles(connection, bundle.node_id)
    connection.execute(
        "UPDATE correspondents SET mailboxes = ?2, mailboxes_ms = ?3 WHERE peer = ?1 AND (mailboxes_ms <= ?3 OR ?4)",
        (bundle.node_id, b"".join(bundle.mailboxes), bundle.created_ms, noted.changed),
    )
    connection.execute(
        "INSERT OR REPLACE INTO peer_bundles VALUES (?, ?, ?, ?, ?)",
        (bundle.node_id, bundle.one_time, bundle.created_ms, moment.lived_ms, bundle.raw),
    )
    return noted


def bundle_at_hand(connection: Connection, peer: NodeId, moment: Moment, *, one_time_only: bool) -> Bundle | None:
    """Return what a session can begin with now, a one-time bundle before a lasting one."""
    row = connection.execute(
        "SELECT raw FROM peer_bundles WHERE peer = ? AND raw IS NOT NULL AND taken_lived_ms > ? AND one_time >= ?"
        " ORDER BY one_time DESC LIMIT 1",
        (peer, moment.lived_ms - KEPT_MS, one_time_only),
    ).fetchone()
    return Bundle.parse(row[0]) if row is not None else None


def forget_one_time(connection: Connection, peer: NodeId) -> None:
    """Drop the one-time bundle, with which a session begins now; it is not taken again."""
    connection.execute("UPDATE peer_bundles SET raw = NULL WHERE peer = ? AND one_time = 1", (peer,))


def forget_bundles(connection: Connection, peer: NodeId) -> None:
    """Drop what is at hand: the peer does not know it any more. Older ones are still refused."""
    connection.execute("UPDATE peer_bundles SET raw = NULL WHERE peer = ?", (peer,))
