"""What a user sees of the sessions with a peer."""

from dataclasses import dataclass

from pimd.contract import Connection
from pimd.ids import NodeId
from pimd_features.messaging.sessions.bundle import node_ids


@dataclass(frozen=True)
class Look:
    """One session: when it began by lived time, how many messages it carried, and on which sort of bundle it stands."""

    begun_lived_ms: int
    messages: int
    one_time: bool


@dataclass(frozen=True)
class Both:
    """The newest session of each direction, which are independent, and what happened to them."""

    sending: Look | None
    receiving: Look | None
    kept: int
    """Sessions of the peer of which messages may still come."""
    renewals: int
    account_changes: int
    has_bundle: bool
    mailboxes: tuple[NodeId, ...]


def look(connection: Connection, peer: NodeId) -> Both:
    """Return the state of the sessions with a peer."""
    out = connection.execute(
        "SELECT begun_lived_ms, next, one_time FROM sessions_out WHERE peer = ?", (peer,)
    ).fetchone()
    come = connection.execute(
        "SELECT begun_lived_ms, opened, one_time FROM sessions_in WHERE peer = ? ORDER BY begun_lived_ms DESC", (peer,)
    ).fetchall()
    known = connection.execute(
        "SELECT renewals, account_changes, mailboxes FROM correspondents WHERE peer = ?", (peer,)
    ).fetchone()
    bundle = connection.execute("SELECT 1 FROM peer_bundles WHERE peer = ? AND raw IS NOT NULL", (peer,)).fetchone()
    return Both(
        sending=Look(out[0], out[1], bool(out[2])) if out is not None else None,
        receiving=Look(come[0][0], come[0][1], bool(come[0][2])) if come else None,
        kept=len(come),
        renewals=known[0] if known is not None else 0,
        account_changes=known[1] if known is not None else 0,
        has_bundle=bundle is not None,
        mailboxes=node_ids(known[2]) if known is not None else (),
    )
