"""This node's own account and bundles on disk: made, given out, used up, aged."""

from pimd.contract import Connection, Limit, declare, declare_rate
from pimd.ids import NodeId
from pimd_features.messaging.sessions.account import Account, Certificate, Moment
from pimd_features.messaging.sessions.bundle import Bundle, OwnBundle
from pimd_features.messaging.sessions.header import BundleSecrets
from pimd_features.messaging.sessions.schema import DAY_MS, KEPT_MS, MAIL_FIRST_MS

LASTING_MS = 7 * DAY_MS
"""So old a lasting bundle is when the next one is made."""
_LASTING_ONLY = "the peer gets the lasting bundle alone"
TO_CONTACT = declare_rate("one-time bundles to a contact", 20, "bundles", _LASTING_ONLY, burst=20)
TO_OTHERS = declare_rate(
    "one-time bundles to all who are no contacts", 10, "bundles", _LASTING_ONLY, burst=10, period_s=60
)
UNUSED_OF_PEER = declare("unused one-time bundles of a peer", 64, "bundles", _LASTING_ONLY)
UNUSED = declare("unused one-time bundles in all", 10_000, "bundles", _LASTING_ONLY)


def load_account(connection: Connection, node_id: NodeId) -> Account | None:
    """Return the account; None when there is none yet, or the file came from another node."""
    row = connection.execute("SELECT secret, certificate FROM account").fetchone()
    try:
        is_own = row is not None and Certificate.parse(row[1]).node_id == node_id
    except ValueError:
        is_own = False
    return Account(node_id, row[0], row[1]) if is_own else None


def store_account(connection: Connection, account: Account) -> None:
    """Begin with this account; bundles and sessions of another one are of no use any more."""
    for table in ("own_bundles", "sessions_out", "outgoing", "sessions_in", "skipped_keys"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - five constants
    connection.execute(
        "INSERT OR REPLACE INTO account VALUES (1, ?, ?, coalesce((SELECT newest_bundle_ms FROM account), 0))",
        (account.secret, account.certificate),
    )


def next_created_ms(connection: Connection, unix_ms: int) -> int:
    """Return the time that the next bundle bears: later than all before, whatever the clock does."""
    newest = connection.execute("SELECT newest_bundle_ms FROM account").fetchone()[0]
    return max(unix_ms, int(newest) + 1)


def store_bundle(connection: Connection, own: OwnBundle, peer: NodeId | None, moment: Moment) -> None:
    """Keep the secrets of a bundle: a one-time one is for `peer`, a lasting one for everybody."""
    made = own.bundle
    connection.execute(
        "INSERT INTO own_bundles (id, peer, digest, prekey, seed, raw, made_lived_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            made.id,
            peer,
            made.digest,
            own.prekey_secret,
            own.seed,
            None if made.one_time else made.raw,
            moment.lived_ms,
        ),
    )
    connection.execute("UPDATE account SET newest_bundle_ms = max(newest_bundle_ms, ?)", (made.created_ms,))


def lasting_bundle(connection: Connection, moment: Moment) -> Bundle | None:
    """Return the lasting bundle to give out; None when it is time to make one."""
    row = connection.execute(
        "SELECT raw FROM own_bundles WHERE peer IS NULL AND made_lived_ms > ? ORDER BY made_lived_ms DESC LIMIT 1",
        (moment.lived_ms - LASTING_MS,),
    ).fetchone()
    return Bundle.parse(row[0]) if row is not None else None


def full(connection: Connection, peer: NodeId) -> Limit | None:
    """Return the limit that keeps the peer from getting another one-time bundle, if one does."""
    of_peer = connection.execute("SELECT count(*) FROM own_bundles WHERE peer = ?", (peer,)).fetchone()[0]
    if of_peer >= UNUSED_OF_PEER.value:
        return UNUSED_OF_PEER
    in_all = connection.execute("SELECT count(*) FROM own_bundles WHERE peer IS NOT NULL").fetchone()[0]
    return UNUSED if in_all >= UNUSED.value else None


def secrets_of(connection: Connection, bundle_id: bytes) -> tuple[BundleSecrets, bool] | None:
    """Return the secrets of a bundle and whether it is a one-time one; None when they are gone."""
    row = connection.execute("SELECT digest, prekey, seed, peer FROM own_bundles WHERE id = ?", (bundle_id,)).fetchone()
    return (BundleSecrets(row[0], row[1], row[2]), row[3] is not None) if row is not None else None


def use_up(connection: Connection, bundle_id: bytes) -> None:
    """Delete the secrets of a one-time bundle, with whose session a message is stored now."""
    connection.execute("DELETE FROM own_bundles WHERE id = ? AND peer IS NOT NULL", (bundle_id,))


def age_bundles(connection: Connection, moment: Moment, ran_ms: int) -> int:
    """Delete secrets that are 28 days old, after 24 h of running; `ran_ms` since the last call. Return how many went."""
    connection.execute(
        "UPDATE own_bundles SET overdue_ms = overdue_ms + ? WHERE made_lived_ms <= ?",
        (ran_ms, moment.lived_ms - KEPT_MS),
    )
    return connection.execute("DELETE FROM own_bundles WHERE overdue_ms >= ?", (MAIL_FIRST_MS,)).rowcount
