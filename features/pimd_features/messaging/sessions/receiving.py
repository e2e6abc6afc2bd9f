"""The recipient's end of sessions: that a message is opened, its key gone and its id known is one transaction."""

from dataclasses import dataclass, replace
from enum import Enum, auto

from pimd.contract import Connection, Limit
from pimd.ids import NodeId
from pimd_features.messaging.sessions import chain, header, kept
from pimd_features.messaging.sessions.account import Account, Certificate, Moment
from pimd_features.messaging.sessions.giving import secrets_of, use_up
from pimd_features.messaging.sessions.kept import Kept
from pimd_features.messaging.sessions.limits import PARCELS_HELD, SESSION_MESSAGES, SKIPPED_KEYS, STRANGERS_BUNDLES
from pimd_features.messaging.sessions.message import Kind, Msg2, Plain, open_with
from pimd_features.messaging.sessions.taking import note_account

MINUTE_MS = 60_000
_KINDS = frozenset(Kind)
_OF_ANYBODY = frozenset({Kind.TEXT, Kind.GROUP})


class What(Enum):
    """What became of a message."""

    OPENED = auto()
    """Store and acknowledge it."""
    KNOWN = auto()
    """It was received before: acknowledge it."""
    LOST = auto()
    """Nothing here opens it, nor ever will: send a reset of its session."""
    DROPPED = auto()
    """It is nobody's, or finds no room."""
    UNWELCOME = auto()
    """A text that finds no room, of somebody whose other messages do."""


@dataclass(frozen=True)
class Outcome:
    """What became of a message, and what is to be told or counted."""

    what: What
    plain: Plain | None = None
    """Of an opened one."""
    account_changed: bool = False
    """Its sender has another account than before."""
    reached: tuple[Limit, ...] = ()
    number_used: bool = False
    """Of a lost one: its session is known, and its number was used. Whether its sender made it cannot be told any more."""


_LOST = Outcome(What.LOST)
_DROPPED = Outcome(What.DROPPED)


@dataclass(frozen=True)
class Arrived:
    """A message and who sent it, which the sealed frame proves, or a mailbox claims."""

    src: NodeId
    is_contact: bool
    """Or a fellow of a group."""
    msg: Msg2
    texts: bool = True
    """Whether a text of it is welcome."""
    parcels: bool = True
    """Whether there is room for a parcel of it."""
    acks: bool = False
    """Whether an acknowledgement of a stranger is awaited."""


@dataclass(frozen=True)
class _Found:
    """The session of a message, and the certificate if the message began it."""

    session: Kept
    certificate: Certificate | None = None


def receive(connection: Connection, account: Account, one: Arrived, moment: Moment) -> Outcome:
    """Open a message; of one that does not open nothing is changed."""
    if kept.is_known(connection, one.src, one.msg.message_id):
        return Outcome(What.KNOWN)
    if one.msg.number >= SESSION_MESSAGES.value:
        return replace(_DROPPED, reached=(SESSION_MESSAGES,))
    try:
        found = _session(connection, account, one, moment)
    except ValueError:
        return _DROPPED
    if found is None:
        return _LOST
    return _open(connection, account, one, found, moment)


def _session(connection: Connection, account: Account, one: Arrived, moment: Moment) -> _Found | None:
    """Return the session of a message, made from its header when it is new; ValueError when that is not the sender's."""
    session = kept.load(connection, one.src, one.msg.session_id)
    if session is not None:
        return _Found(session)
    secrets = secrets_of(connection, header.bundle_id_of(one.msg.header)) if one.msg.header else None
    if secrets is None:
        return None
    accepted = header.accept(secrets[0], one.src, account.node_id, one.msg.header)
    if accepted.id != one.msg.session_id:
        raise ValueError("the session of the header has another id")
    made = Kept(one.src, accepted.id, accepted.chain, 0, 0, secrets[1], moment.lived_ms)
    return _Found(made, accepted.certificate)


def _open(connection: Connection, account: Account, one: Arrived, found: _Found, moment: Moment) -> Outcome:
    session, number = found.session, one.msg.number
    stepped, skipped = session, list[tuple[int, bytes]]()
    if number >= session.next:
        stepped, skipped, key = _step(session, number)
    elif (earlier := kept.skipped_key(connection, session, number)) is not None:
        key = earlier
    else:
        return replace(_LOST, number_used=True)
    if skipped and kept.skipped_count(connection, session) + len(skipped) > SKIPPED_KEYS.value:
        return replace(_DROPPED, reached=(SKIPPED_KEYS,))
    try:
        plain = open_with(one.msg, key, one.src, account.node_id)
    except ValueError:
        return _DROPPED
    refused = _refused(connection, one, plain, moment)
    if refused is not None:
        return refused
    changed, reached = _commit(connection, one, _Found(stepped, found.certificate), skipped, moment)
    strangers_bundle = not one.is_contact and plain.kind == Kind.BUNDLE
    kept.note_id(connection, one.src, one.msg.message_id, moment, strangers_bundle=strangers_bundle)
    return Outcome(What.OPENED, plain, changed, reached)


def _step(session: Kept, number: int) -> tuple[Kept, list[tuple[int, bytes]], bytes]:
    """Walk the chain up to a message; return the session after it, the keys of those skipped, and its own key."""
    link, skipped = session.chain, list[tuple[int, bytes]]()
    for passed in range(session.next, number):
        skipped.append((passed, chain.message_key(link)))
        link = chain.next_chain(link)
    key = chain.message_key(link)
    return replace(session, chain=chain.next_chain(link), next=number + 1), skipped, key


def _refused(connection: Connection, one: Arrived, plain: Plain, moment: Moment) -> Outcome | None:
    """Say why an opened message is not taken: it is of a later version, or a stranger sends what only contacts may."""
    if plain.kind not in _KINDS or (plain.kind == Kind.TEXT and not _is_text(plain.body)):
        return _DROPPED
    if plain.kind == Kind.GROUP and not one.parcels:
        return replace(_DROPPED, reached=(PARCELS_HELD,))
    if plain.kind == Kind.TEXT and not one.texts:
        return Outcome(What.UNWELCOME)
    if one.is_contact or plain.kind in _OF_ANYBODY or (one.acks and plain.kind == Kind.DELIVERED):
        return None
    if plain.kind != Kind.BUNDLE:
        return _DROPPED
    lately = connection.execute(
        "SELECT count(*) FROM received_ids WHERE strangers_bundle = 1 AND received_lived_ms > ?",
        (moment.lived_ms - MINUTE_MS,),
    ).fetchone()[0]
    return replace(_DROPPED, reached=(STRANGERS_BUNDLES,)) if lately >= STRANGERS_BUNDLES.value else None


def _is_text(body: bytes) -> bool:
    try:
        return bool(body.decode())
    except UnicodeDecodeError:
        return False


def _commit(
    connection: Connection, one: Arrived, found: _Found, skipped: list[tuple[int, bytes]], moment: Moment
) -> tuple[bool, tuple[Limit, ...]]:
    """Store the session behind the message; return whether the sender's account changed, and the limits reached."""
    session, changed, reached = found.session, False, list[Limit | None]()
    kept.forget_skipped(connection, session, one.msg.number)  # if others overtook it
    session = replace(session, opened=session.opened + 1)
    if session.opened >= SESSION_MESSAGES.value:
        kept.drop_session(connection, session.peer, session.id)
    else:
        kept.skip(connection, session, skipped)
        kept.save(connection, session, moment, is_contact=one.is_contact)
    if found.certificate is not None:
        use_up(connection, header.bundle_id_of(one.msg.header))
        keys = (found.certificate.ed25519_pub, found.certificate.account)
        noted = note_account(connection, one.src, keys, moment, is_contact=one.is_contact)
        changed = noted.changed
        reached = [noted.reached, kept.make_room(connection, one.src, is_contact=one.is_contact)]
    return changed, tuple(limit for limit in reached if limit is not None)
