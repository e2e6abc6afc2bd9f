"""The sender's end of sessions: every message is encrypted once, and its key is gone in the same transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pimd.contract import Connection
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions import chain, header
from pimd_features.messaging.sessions.account import Account, Moment, Random, system_random
from pimd_features.messaging.sessions.limits import SESSION_MESSAGES
from pimd_features.messaging.sessions.message import Plain, seal
from pimd_features.messaging.sessions.reset import Reset
from pimd_features.messaging.sessions.schema import KEPT_MS
from pimd_features.messaging.sessions.taking import bundle_at_hand, forget_bundles, forget_one_time

RENEWED_AFTER_MS = 60_000
"""So old a session is when a one-time bundle at hand replaces it."""
FIRST_PAUSE_MS = 60_000
LAST_PAUSE_MS = 3_600_000
"""A peer can have the messages to it encrypted anew once in a pause, which doubles until one is acknowledged."""


@dataclass(frozen=True)
class Draft:
    """A message to be encrypted."""

    id: MessageId
    plain: Plain


@dataclass(frozen=True)
class Leaving:
    """What is to be sent after the commit."""

    payloads: dict[MessageId, bytes]
    """The bodies of `messaging.msg2`; of each draft, unless a bundle is lacking."""
    began: bool = False
    """A session began: ask for the next one-time bundle."""
    lacks_bundle: bool = False
    """No session can begin: ask the peer, or its mailboxes, for a bundle."""


@dataclass
class _Session:
    """The row of a session, while messages are encrypted."""

    id: bytes
    chain: bytes
    next: int
    header: bytes
    one_time: bool
    begun_lived_ms: int


def leave(
    connection: Connection,
    account: Account,
    peer: NodeId,
    drafts: Sequence[Draft],
    moment: Moment,
    random: Random = system_random,
) -> Leaving:
    """Return the same bytes for what was encrypted before, and encrypt the rest, beginning sessions as needed."""
    payloads = _encrypted_before(connection, peer, drafts)
    session, began = _load(connection, peer), False
    fresh: list[tuple[NodeId, MessageId, bytes, bytes]] = []
    for draft in drafts:
        if draft.id in payloads:
            continue
        if _is_over(session, moment) and (begun := _begin(connection, account, peer, moment, session, random)):
            session, began = begun, True
        if session is None or session.next >= SESSION_MESSAGES.value:
            break
        payloads[draft.id] = _encrypt(session, account.node_id, peer, draft, random)
        fresh.append((peer, draft.id, session.id, payloads[draft.id]))
    if session is not None and (fresh or began):
        _save(connection, peer, session)
    connection.executemany("INSERT INTO outgoing VALUES (?, ?, ?, ?)", fresh)
    return Leaving(payloads, began, lacks_bundle=len(payloads) < len({draft.id for draft in drafts}))


def _encrypted_before(connection: Connection, peer: NodeId, drafts: Sequence[Draft]) -> dict[MessageId, bytes]:
    payloads: dict[MessageId, bytes] = {}
    for draft in drafts:
        row = connection.execute("SELECT payload FROM outgoing WHERE peer = ? AND id = ?", (peer, draft.id)).fetchone()
        if row is not None:
            payloads[draft.id] = row[0]
    return payloads


def _is_over(session: _Session | None, moment: Moment) -> bool:
    return (
        session is None
        or session.next >= SESSION_MESSAGES.value
        or moment.lived_ms - session.begun_lived_ms >= RENEWED_AFTER_MS
    )


def _begin(
    connection: Connection, account: Account, peer: NodeId, moment: Moment, old: _Session | None, random: Random
) -> _Session | None:
    """Begin a session with what is at hand; one that only grew old is replaced with a one-time bundle alone."""
    grew_old = (
        old is not None
        and old.next < SESSION_MESSAGES.value
        and moment.lived_ms - old.begun_lived_ms < KEPT_MS  # the recipient drops it then
    )
    bundle = bundle_at_hand(connection, peer, moment, one_time_only=grew_old)
    if bundle is None:
        return None
    if bundle.one_time:
        forget_one_time(connection, peer)
    try:
        begun = header.begin(account, bundle, random)
    except ValueError:  # the peer signed keys that are none
        forget_bundles(connection, peer)
        return None
    return _Session(begun.id, begun.chain, 0, begun.header, bundle.one_time, moment.lived_ms)


def _encrypt(session: _Session, source: NodeId, peer: NodeId, draft: Draft, random: Random) -> bytes:
    key, place = chain.message_key(session.chain), (draft.id, session.id, session.next)
    message = seal(draft.plain, place, session.header, key, random(chain.NONCE_SIZE), (source, peer))
    session.chain, session.next = chain.next_chain(session.chain), session.next + 1
    return message.encode()


def _load(connection: Connection, peer: NodeId) -> _Session | None:
    row = connection.execute(
        "SELECT id, chain, next, coalesce(header, x''), one_time, begun_lived_ms FROM sessions_out WHERE peer = ?",
        (peer,),
    ).fetchone()
    return _Session(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) if row is not None else None


def _save(connection: Connection, peer: NodeId, session: _Session) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO sessions_out VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            peer,
            session.id,
            session.chain,
            session.next,
            session.header or None,
            session.one_time,
            session.begun_lived_ms,
        ),
    )


def acknowledged(connection: Connection, peer: NodeId, ids: Iterable[MessageId]) -> None:
    """Drop the ciphertexts of messages that arrived; their sessions need no header any more."""
    sessions = forget_outgoing(connection, peer, ids)
    if not sessions:
        return
    connection.executemany(
        "UPDATE sessions_out SET header = NULL WHERE peer = ? AND id = ? AND header IS NOT NULL",
        [(peer, session) for session in sessions],
    )
    connection.execute("UPDATE correspondents SET pause_ms = 0 WHERE peer = ? AND pause_ms > 0", (peer,))


def forget_outgoing(connection: Connection, peer: NodeId, ids: Iterable[MessageId]) -> set[bytes]:
    """Drop the ciphertexts of messages that are not sent any more; return the sessions that they were of."""
    sessions: set[bytes] = set()
    for id_ in ids:
        gone = connection.execute("DELETE FROM outgoing WHERE peer = ? AND id = ? RETURNING session", (peer, id_))
        sessions.update(row[0] for row in gone)
    return sessions


def take_reset(connection: Connection, peer: NodeId, reset: Reset, moment: Moment) -> bool:
    """Begin anew because the recipient says that it cannot open a session; False when nothing changes.

    It counts when the peer signed it, messages of the session are unacknowledged, and the last time is long enough ago.
    """
    row = connection.execute("SELECT ed25519_pub FROM correspondents WHERE peer = ?", (peer,)).fetchone()
    if row is None or not reset.is_of(peer, row[0]):
        return False
    return renew(connection, peer, reset.session_id, moment)


def renew(connection: Connection, peer: NodeId, session_id: bytes, moment: Moment) -> bool:
    """End the sessions with a peer if this one is in use, so that all that is unacknowledged is encrypted anew.

    Also what is at hand of the peer's bundles goes: who lost a session may have lost their secrets, too. False while the
    pause after the last time lasts.
    """
    in_use = connection.execute(
        "SELECT 1 FROM outgoing WHERE peer = ?1 AND session = ?2 UNION ALL"
        " SELECT 1 FROM sessions_out WHERE peer = ?1 AND id = ?2 LIMIT 1",
        (peer, session_id),
    ).fetchone()
    if in_use is None or not _pause_is_over(connection, peer, moment):
        return False
    connection.execute("DELETE FROM sessions_out WHERE peer = ?", (peer,))
    connection.execute("DELETE FROM outgoing WHERE peer = ?", (peer,))
    forget_bundles(connection, peer)
    return True


def _pause_is_over(connection: Connection, peer: NodeId, moment: Moment) -> bool:
    """Whether a peer may have messages encrypted anew; then the next pause begins."""
    return (
        connection.execute(
            "UPDATE correspondents SET renewals = renewals + 1, renewed_lived_ms = ?2,"
            " pause_ms = CASE pause_ms WHEN 0 THEN ?3 ELSE min(2 * pause_ms, ?4) END"
            " WHERE peer = ?1 AND (renewed_lived_ms IS NULL OR renewed_lived_ms > ?2"
            " OR renewed_lived_ms + max(pause_ms, ?3) <= ?2)",
            (peer, moment.lived_ms, FIRST_PAUSE_MS, LAST_PAUSE_MS),
        ).rowcount
        > 0
    )


def end_all(connection: Connection, peer: NodeId) -> None:
    """Drop the session and all ciphertexts to a peer, because its messages go elsewhere or are deleted."""
    connection.execute("DELETE FROM sessions_out WHERE peer = ?", (peer,))
    connection.execute("DELETE FROM outgoing WHERE peer = ?", (peer,))


def session_of(connection: Connection, peer: NodeId, id_: MessageId) -> bytes | None:
    """Return the session in which a message that is not acknowledged was encrypted."""
    row = connection.execute("SELECT session FROM outgoing WHERE peer = ? AND id = ?", (peer, id_)).fetchone()
    return bytes(row[0]) if row is not None else None
