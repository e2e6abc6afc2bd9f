"""What is owed to a peer without a route beside messages: acknowledgements, receipts, and this node's lasting bundle."""

from dataclasses import dataclass

from pimd.contract import Connection, IdentitySecrets
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import absent, owing
from pimd_features.messaging.absent import Owed
from pimd_features.messaging.receipt_wire import OwedReceipt, signed
from pimd_features.messaging.sessions import sending
from pimd_features.messaging.sessions.account import Account, Moment, system_random
from pimd_features.messaging.sessions.bundle import Bundle
from pimd_features.messaging.sessions.message import Kind, Plain
from pimd_features.messaging.sessions.sending import Draft
from pimd_features.messaging.wire import ACKED_AT_ONCE


@dataclass(frozen=True)
class Signed:
    """Receipts in a message of their own."""

    letter: MessageId
    receipts: tuple[OwedReceipt, ...]


@dataclass(frozen=True)
class Letters:
    """What is owed, encrypted."""

    payloads: dict[MessageId, bytes]
    """Empty when no session can begin."""
    owed: Owed
    bundle_id: bytes | None
    """Of this node's bundle, if it is among them."""
    signed: Signed | None


@dataclass(frozen=True)
class Author:
    """Who owes."""

    account: Account
    signer: IdentitySecrets | None
    """None where no receipts are given."""


def encrypt(author: Author, peer: NodeId, lasting: Bundle, moment: Moment, connection: Connection) -> Letters | None:
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
    receipts = owing.letter_to(connection, peer, moment) if author.signer is not None else None
    if author.signer is not None and receipts is not None:
        body = signed(author.signer, peer, receipts.receipts)
        drafts.append(_draft(Kind.RECEIPTS, moment, body, receipts.id))
    if has_it is None:
        drafts.insert(0, _draft(Kind.BUNDLE, moment, lasting.raw))
    if not drafts:
        return None
    payloads = sending.leave(connection, author.account, peer, drafts, moment).payloads
    sending.forget_outgoing(connection, peer, payloads)
    if len(payloads) < len(drafts):
        payloads = {}
    in_letter = Signed(drafts[-1].id, receipts.receipts) if receipts is not None else None
    return Letters(payloads, owed, lasting.id if has_it is None else None, in_letter)


def note(peer: NodeId, letters: Letters, moment: Moment, connection: Connection) -> None:
    """Note that mailboxes keep all of them."""
    absent.note_acked(connection, peer, letters.owed, moment)
    if letters.signed is not None:
        owing.note_left(connection, peer, letters.signed.letter, letters.signed.receipts, moment.lived_ms)
    if letters.bundle_id is not None:
        connection.execute("UPDATE correspondents SET given_bundle = ? WHERE peer = ?", (letters.bundle_id, peer))


def _draft(kind: Kind, moment: Moment, body: bytes, id_: MessageId | None = None) -> Draft:
    return Draft(id_ or MessageId(system_random(MessageId.SIZE)), Plain(moment.unix_ms, kind, body))
