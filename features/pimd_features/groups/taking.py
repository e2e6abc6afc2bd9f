"""What came in a parcel. Each body is dealt with in one job, and may be taken again when it was not dropped after that."""

from collections.abc import Collection

from pimd.contract import ArrivedParcel, ParcelState
from pimd.ids import MessageId, NodeId
from pimd_features.groups import invitations, messages, models, wire
from pimd_features.groups.keys import age_keys, give_key, given_key
from pimd_features.groups.limits import SAID, OverLimit
from pimd_features.groups.membership import (
    head_of,
    is_member,
    record_of,
    state_of,
    take_records,
    tell_records,
)
from pimd_features.groups.sender_keys import KEY_ID_SIZE
from pimd_features.groups.turn import DAY_MS, Turn
from pimd_features.groups.wire import Kind

WAITING_MS = 7 * DAY_MS
ASK_KEY_AFTER_MS = 30_000
ASK_KEY_PAUSE_MS = 600_000
QUESTIONS = frozenset({Kind.ASK_RECORDS, Kind.ASK_KEY})


def take(parcel: ArrivedParcel, turn: Turn) -> bool:
    """Deal with one parcel; return whether messaging is to hold it on, since it is a stranger's invitation that is kept.

    What is malformed, of a later version, or not its sender's, is dropped.
    """
    try:
        said = wire.Said.decode(parcel.body)
        return _take(turn, parcel, said)
    except OverLimit as error:
        turn.reached.append(error.limit)
    except ValueError:
        pass
    return False


def _take(turn: Turn, parcel: ArrivedParcel, said: wire.Said) -> bool:
    src = parcel.peer
    match said.kind:
        case Kind.INVITE:
            return invitations.take_invitation(turn, src, said.content, parcel.position) and parcel.is_stranger
        case Kind.YES:
            invitations.take_yes(turn, src, said.content)
        case Kind.NO:
            invitations.take_no(turn, src, said.content)
        case Kind.RECORDS:
            group, records = wire.read_records(said.content)
            if take_records(turn, group, src, records):
                messages.try_again(turn, group)
        case Kind.ASK_RECORDS:
            group, number = wire.read_ask(said.content)
            tell_records(turn, group, src, number, "answer")
        case Kind.KEY:
            messages.take_given_key(turn, src, said.content)
        case Kind.ASK_KEY:
            _answer_key(turn, parcel, said.content)
        case Kind.MESSAGE:
            messages.take_message(turn, src, said.content)
    return False


def _answer_key(turn: Turn, parcel: ArrivedParcel, content: bytes) -> None:
    """Send a member the key of this node once more, if it was one when the key was made."""
    group, key_id = wire.split_group(content)
    head = head_of(turn, group)
    if len(key_id) != KEY_ID_SIZE or head is None or state_of(turn, group) != "joined":
        return
    key = given_key(turn, head)
    if key is None or key.id != key_id or not is_member(turn, group, head, parcel.peer):
        return
    record = record_of(turn, group, key.binding.record)
    if record is not None and parcel.peer in record.members and turn.may_say(group, parcel.peer, "key"):
        give_key(turn, key, parcel.peer)


def note_state(state: ParcelState, turn: Turn) -> None:
    """Store how far a parcel came, and tell of it if it held a message."""
    connection = turn.connection
    connection.execute("DELETE FROM leaving WHERE node_id = ? AND parcel = ?", (state.peer, state.id))
    row = connection.execute(
        "UPDATE deliveries SET status = ?, at_ms = ? WHERE node_id = ? AND parcel = ? AND status != ?"
        " AND status NOT IN ('delivered', 'failed') RETURNING group_id, message",
        (state.status, state.at_ms, state.peer, state.id, state.status),
    ).fetchone()
    if row is not None and row[1] is not None:
        turn.events.append(
            models.GroupMessageStatus(
                group_id=bytes(row[0]).hex(),
                message_id=row[1].hex(),
                node_id=state.peer,
                new_status=state.status,
                at_ms=state.at_ms,
            )
        )
    elif row is not None and state.status in {"delivered", "failed"}:
        connection.execute("DELETE FROM deliveries WHERE node_id = ? AND parcel = ?", (state.peer, state.id))


def fail_lost(known: Collection[tuple[NodeId, MessageId]], turn: Turn) -> None:
    """Mark failed what was handed over and is not known to messaging."""
    rows = turn.connection.execute(
        "SELECT node_id, parcel FROM deliveries WHERE status NOT IN ('delivered', 'failed')"
        " AND (node_id, parcel) NOT IN (SELECT node_id, parcel FROM leaving)"
    ).fetchall()
    for node, parcel in [(NodeId(row[0]), MessageId(row[1])) for row in rows]:
        if (node, parcel) not in known:
            note_state(ParcelState(0, node, parcel, "failed", turn.moment.unix_ms), turn)


def keep_house(turn: Turn) -> None:
    """Ask for keys that should be here, and delete what is too old to be of use."""
    connection, now = turn.connection, turn.moment.lived_ms
    for row in connection.execute(
        "SELECT group_id, sender, body FROM waiting WHERE came_lived_ms <= ?", (now - ASK_KEY_AFTER_MS,)
    ).fetchall():
        messages.ask_again(turn, bytes(row[0]), NodeId(row[1]), row[2], ASK_KEY_PAUSE_MS)
    connection.execute("DELETE FROM waiting WHERE came_lived_ms <= ?", (now - WAITING_MS,))
    invitations.age(turn)
    connection.execute("DELETE FROM said WHERE lived_ms <= ? OR lived_ms > ?", (now - DAY_MS, now))
    over = connection.execute(
        "DELETE FROM said WHERE (group_id, node_id, what) IN"
        " (SELECT group_id, node_id, what FROM said ORDER BY lived_ms DESC LIMIT -1 OFFSET ?)",
        (SAID.value,),
    )
    turn.reached += [SAID] * over.rowcount
    age_keys(turn)
