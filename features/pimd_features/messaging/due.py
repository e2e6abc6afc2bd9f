"""What is owed to a peer without a route beside messages: acknowledgements, and this node's lasting bundle."""

from dataclasses import dataclass

from pimd.contract import Connection
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import absent
from pimd_features.messaging.absent import Owed
from pimd_features.messaging.sessions import sending
from pimd_features.messaging.sessions.account import Account, Moment, system_random
from pimd_features.messaging.sessions.bundle import Bundle
from pimd_features.messaging.sessions.message import Kind, Plain
from pimd_features.messaging.sessions.sending import Draft
from pimd_features.messaging.wire import ACKED_AT_ONCE


@dataclass(frozen=True)
class Letters:
    """What is owed, encrypted."""

    payloads: dict[MessageId, bytes]
    """Empty when no session can begin."""
    owed: Owed
    bundle_id: bytes | None
    """Of this node's bundle, if it is among them."""


def encrypt(account: Account, peer: NodeId, lasting: Bundle, moment: Moment, connection: Connection) -> Letters | None:
    """Encrypt what is owed, anew each time; None when nothing is."""
    owed = absent.owed(connection, peer, moment, ACKED_AT_ONCE)
    has_it = connection.execute(
        "SELECT 1 FROM correspondents WHERE peer = ? AND given_bundle IS ?", (peer, lasting.id)
    ).fetchone()
    drafts = [
        _draft(kind, moment, b"".join(ids))
        for kind, ids in (
            (Kind.DELIVERED, owed.delivered),
            (Kind.READ, owed.read),
        )
        if ids
    ]
    if has_it is None:
        drafts.insert(0, _draft(Kind.BUNDLE, moment, lasting.raw))
    if not drafts:
        return None
    payloads = sending.leave(connection, account, peer, drafts, moment).payloads
    sending.forget_outgoing(connection, peer, payloads)
    if len(payloads) < len(drafts):
        payloads = {}
    return Letters(payloads, owed, lasting.id if has_it is None else None)


def note(peer: NodeId, letters: Letters, moment: Moment, connection: Connection) -> None:
    """Note that mailboxes keep all of them."""
    absent.note_acked(connection, peer, letters.owed, moment)
    if letters.bundle_id is not None:
        connection.execute("UPDATE correspondents SET given_bundle = ? WHERE peer = ?", (letters.bundle_id, peer))


def _draft(kind: Kind, moment: Moment, body: bytes) -> Draft:
    return Draft(MessageId(system_random(MessageId.SIZE)), Plain(moment.unix_ms, kind, body))
