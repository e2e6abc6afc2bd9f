"""Messages of groups on disk: sent, taken, held back until a key or a record comes. Parts of jobs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pimd.contract import Limit, Row
from pimd.ids import MessageId, NodeId
from pimd_features.groups import causal, models, wire
from pimd_features.groups.keys import key_of, make_own_key, note_parcel, own_key, save_own_key, take_key, use_key
from pimd_features.groups.limits import (
    KEY_MESSAGES,
    MEMBER_BYTES,
    MEMBER_MESSAGES,
    PARENTS,
    WAITING_OF_MEMBER,
    WAITING_OF_OTHERS,
)
from pimd_features.groups.membership import (
    ask_for_records,
    barred_of,
    first_to_change,
    head_of,
    is_member,
    record_of,
    standing_count,
    standing_hash,
    state_of,
    tell_records,
)
from pimd_features.groups.message import NONCE_SIZE, GroupMessage, Text, seal
from pimd_features.groups.reading import message_of
from pimd_features.groups.records import Record
from pimd_features.groups.sender_keys import GivenKey
from pimd_features.groups.turn import Turn

LOOKED_AT = 64
"""Newest messages among which parents are looked for."""


@dataclass(frozen=True)
class _Opened:
    """A message that can be shown."""

    message: GroupMessage
    sender: NodeId
    text: Text
    disagrees: bool = False


# --- sending


def send(turn: Turn, group: bytes, body: str) -> models.GroupSent | None:
    """Encrypt a text for all members, with new keys if the record is another one; None when this node is no member."""
    head = head_of(turn, group)
    if head is None or state_of(turn, group) != "joined" or turn.own not in head.members:
        return None
    without = barred_of(turn, group) | {turn.own}
    members = [node for node in head.members if node not in without]
    key = own_key(turn, head) or make_own_key(turn, head, members)
    text = Text(turn.moment.unix_ms, _tips(turn, head), body)
    after, message = seal(text, key, head.number, os.urandom(NONCE_SIZE))
    save_own_key(turn, after)
    raw = wire.Said(wire.Kind.MESSAGE, message.encode())
    for node in members:
        note_parcel(turn, group, node, turn.send(node, raw), message.id)
    position = _store(turn, _Opened(message, turn.own, text))
    return models.GroupSent(id=message.id, position=position, timestamp_ms=text.timestamp_ms, members=len(members))


def _tips(turn: Turn, head: Record) -> tuple[MessageId, ...]:
    """Return the newest messages of this record, which all members of it were sent, that none names as its parent."""
    rows = turn.connection.execute(
        "SELECT id FROM (SELECT id, position FROM messages WHERE group_id = ?1 AND record = ?2 ORDER BY position DESC"
        " LIMIT ?3) AS one WHERE NOT EXISTS (SELECT 1 FROM parents WHERE parents.group_id = ?1 AND parent = one.id)"
        " ORDER BY position DESC LIMIT ?4",
        (head.group, head.hash, LOOKED_AT, PARENTS.value),
    )
    return tuple(MessageId(row[0]) for row in rows)


# --- taking


def take_message(turn: Turn, src: NodeId, content: bytes) -> None:
    """Show a message, hold it back, or drop it; ValueError when it is malformed or not what its sender signed."""
    message = GroupMessage.decode(content)
    state = state_of(turn, message.group)
    if state in {None, "left"} or _is_here(turn, message):
        return
    if not _has_record(turn, message.group, message.record):
        _compare(turn, message, src)
        ask_for_records(turn, message.group, src, _unknown_from(turn, message))
        _hold(turn, message.group, src, wire.Said(wire.Kind.MESSAGE, content))
        return
    if state == "removed":
        return
    opened = _open(turn, message, src)
    if opened is not None:
        _show(turn, opened)
    elif _may_speak(turn, message, src) and key_of(turn, message, src) is None:
        _hold(turn, message.group, src, wire.Said(wire.Kind.MESSAGE, content))


def take_given_key(turn: Turn, src: NodeId, content: bytes) -> None:
    """Keep a key of a member, and show what waited for it; ValueError when it is malformed or another's."""
    given = GivenKey.decode(content, src)
    group, hash_ = given.binding.group, given.binding.record
    state = state_of(turn, group)
    if state in {None, "left"}:
        return
    record = record_of(turn, group, hash_)
    if record is None:
        _hold(turn, group, src, wire.Said(wire.Kind.KEY, content))
    elif state != "removed" and src in record.members:
        take_key(turn, given)
        try_again(turn, group, src)


def ask_again(turn: Turn, group: bytes, sender: NodeId, body: bytes, pause_ms: int) -> None:
    """Ask the sender of what waits for the record, or once in a pause for the key."""
    said = wire.Said.decode(body)
    if said.kind is not wire.Kind.MESSAGE:
        return  # it does not say the number of its record; a message that follows does
    message = GroupMessage.decode(said.content)
    if not _has_record(turn, group, message.record):
        ask_for_records(turn, group, sender, _unknown_from(turn, message))
    elif turn.may_say(group, sender, "ask key", pause_ms):
        turn.send(sender, wire.Said(wire.Kind.ASK_KEY, group + message.key_id))


def try_again(turn: Turn, group: bytes, sender: NodeId | None = None) -> None:
    """Show what waited for a key of a sender, or with None for a record; parents first."""
    if state_of(turn, group) not in {"joined", "joining"}:
        return  # a record that makes this node a member again may be on its way
    turn_to = "" if sender is None else " AND sender = ?2"
    rows = turn.connection.execute(
        f"SELECT place, sender, body FROM waiting WHERE group_id = ?1{turn_to} ORDER BY place",  # noqa: S608 - a constant
        (group,) if sender is None else (group, sender),
    ).fetchall()
    opened: list[_Opened] = []
    for row in sorted(rows, key=lambda row: row[2][0] != wire.Kind.KEY):  # two ways may have turned their order
        if (done := _once_more(turn, group, row)) is not None:
            turn.connection.execute("DELETE FROM waiting WHERE place = ?", (row[0],))
            opened += done
    by_id = {one.message.id: one for one in opened}
    for id_ in causal.arranged([(one.message.id, one.text.parents) for one in opened]):
        _show(turn, by_id[id_])


def _once_more(turn: Turn, group: bytes, row: Row) -> Sequence[_Opened] | None:
    """Return what can be shown now of what waits; None when it waits on."""
    sender, said = NodeId(row[1]), wire.Said.decode(row[2])
    try:
        if said.kind is wire.Kind.KEY:
            given = GivenKey.decode(said.content, sender)
            record = record_of(turn, group, given.binding.record)
            if record is not None and sender in record.members:
                take_key(turn, given)
            return () if record is not None else None
        message = GroupMessage.decode(said.content)
        if not _has_record(turn, group, message.record):
            return None
        if _may_speak(turn, message, sender) and key_of(turn, message, sender) is None:
            return None
        opened = _open(turn, message, sender)
    except ValueError:
        return ()
    return (opened,) if opened is not None else ()


def _is_here(turn: Turn, message: GroupMessage) -> bool:
    row = turn.connection.execute(
        "SELECT 1 FROM messages WHERE group_id = ? AND id = ?", (message.group, message.id)
    ).fetchone()
    return row is not None


def _has_record(turn: Turn, group: bytes, hash_: bytes) -> bool:
    row = turn.connection.execute("SELECT 1 FROM records WHERE group_id = ? AND hash = ?", (group, hash_)).fetchone()
    return row is not None


def _unknown_from(turn: Turn, message: GroupMessage) -> int:
    """Return from which record on a sender seems to hold others; all that may change when one of the same number differs."""
    standing = standing_count(turn, message.group)
    is_other = message.record_number < standing
    return min(first_to_change(turn, message.group), message.record_number) if is_other else standing


def _may_speak(turn: Turn, message: GroupMessage, sender: NodeId) -> bool:
    """Whether the sender is a member by the record that it names, and by the newest here."""
    record, head = record_of(turn, message.group, message.record), head_of(turn, message.group)
    if record is None or head is None or sender not in record.members or record.number != message.record_number:
        return False
    return is_member(turn, message.group, head, sender)


def _open(turn: Turn, message: GroupMessage, sender: NodeId) -> _Opened | None:
    """Decrypt; None for one who is no member any more, and gets the records, or while its key is not here.

    ValueError when the sender did not sign it, or its number was used.
    """
    if message.number >= KEY_MESSAGES.value:
        turn.reached.append(KEY_MESSAGES)
        return None
    if not _may_speak(turn, message, sender):
        tell_records(turn, message.group, sender, message.record_number + 1)
        return None
    found = key_of(turn, message, sender)
    if found is None:
        return None
    if not message.is_by(found[1]):
        raise ValueError("a group message is not signed by its sender")
    key = use_key(turn, found[0], message.number)
    if key is None:
        raise ValueError("a number of a sender key was used before")
    return _Opened(message, sender, message.open(key, sender), disagrees=_compare(turn, message, sender))


def _compare(turn: Turn, message: GroupMessage, sender: NodeId) -> bool:
    """Note which record a sender holds; return whether this node has another one with that number, which is told."""
    here, head = standing_hash(turn, message.group, message.record_number), head_of(turn, message.group)
    disagrees = here is not None and here != message.record
    if head is None or sender not in head.members:
        return disagrees
    changed = turn.connection.execute(
        "INSERT INTO held VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET number = ?3, hash = ?4"
        " WHERE hash != ?4 AND number <= ?3",
        (message.group, sender, message.record_number, message.record),
    )
    if disagrees and here is not None and changed.rowcount and turn.may_say(message.group, sender, "disagrees"):
        turn.events.append(
            models.MembersDisagree(
                group_id=message.group.hex(),
                node_id=sender,
                record_number=message.record_number,
                record_here=here.hex(),
                record_there=message.record.hex(),
            )
        )
    return disagrees


def _hold(turn: Turn, group: bytes, sender: NodeId, said: wire.Said) -> None:
    """Keep a body until what it needs is here; of those who are no members here yet only a few."""
    head, connection = head_of(turn, group), turn.connection
    is_member = head is not None and sender in head.members
    if not (_member_has_room(turn, group, sender) if is_member else _outsider_has_room(turn, group, sender)):
        turn.reached.append(WAITING_OF_MEMBER if is_member else WAITING_OF_OTHERS)
        return
    connection.execute(
        "INSERT INTO waiting (group_id, sender, body, is_member, came_lived_ms) VALUES (?, ?, ?, ?, ?)",
        (group, sender, said.encode(), is_member, turn.moment.lived_ms),
    )


def _member_has_room(turn: Turn, group: bytes, sender: NodeId) -> bool:
    held = turn.connection.execute("SELECT count(*) FROM waiting WHERE group_id = ? AND sender = ?", (group, sender))
    return bool(held.fetchone()[0] < WAITING_OF_MEMBER.value)


def _outsider_has_room(turn: Turn, group: bytes, sender: NodeId) -> bool:
    """Whether there is room for one more; who holds most gives way to others."""
    rows = turn.connection.execute(
        "SELECT sender, count(*), max(place) FROM waiting WHERE group_id = ? AND is_member = 0 GROUP BY sender",
        (group,),
    ).fetchall()
    if sum(row[1] for row in rows) < WAITING_OF_OTHERS.value:
        return True
    _, most, newest = max(rows, key=lambda row: row[1])
    if sum(row[1] for row in rows if row[0] == sender) + 1 >= most:
        return False
    turn.reached.append(WAITING_OF_OTHERS)
    turn.connection.execute("DELETE FROM waiting WHERE place = ?", (newest,))
    return True


# --- storing


def _show(turn: Turn, opened: _Opened) -> None:
    """Store a message that came, tell of it, and tell its sender of newer records."""
    group = opened.message.group
    position = _store(turn, opened)
    shown = message_of(turn.connection, turn.own, group, position)
    turn.events.append(models.GroupMessageReceived(group_id=group.hex(), message=shown))
    head = head_of(turn, group)
    if head is not None and (opened.disagrees or opened.message.record_number < head.number):
        same = 0 if opened.disagrees else 1
        tell_records(turn, group, opened.sender, opened.message.record_number + same)
        if opened.disagrees:
            ask_for_records(turn, group, opened.sender, _unknown_from(turn, opened.message))


def _store(turn: Turn, opened: _Opened) -> int:
    """Give a message its place; return that."""
    message, text, connection = opened.message, opened.text, turn.connection
    is_late = connection.execute(
        "SELECT 1 FROM parents WHERE group_id = ? AND parent = ?", (message.group, message.id)
    ).fetchone()
    position = connection.execute(
        "INSERT INTO messages (group_id, id, sender, body, timestamp_ms, record_number, record, disagrees, is_late,"
        " came_lived_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING position",
        (
            message.group,
            message.id,
            opened.sender,
            text.body,
            min(text.timestamp_ms, turn.moment.unix_ms),
            message.record_number,
            message.record,
            opened.disagrees,
            is_late is not None,
            turn.moment.lived_ms,
        ),
    ).fetchone()[0]
    connection.executemany(
        "INSERT OR IGNORE INTO parents VALUES (?, ?, ?)", [(message.group, message.id, one) for one in text.parents]
    )
    connection.execute(
        "INSERT INTO usage VALUES (?1, ?2, 1, ?3) ON CONFLICT DO UPDATE SET messages = messages + 1, bytes = bytes + ?3",
        (message.group, opened.sender, len(text.body.encode())),
    )
    if opened.sender != turn.own:
        turn.reached += _make_room(turn, message.group, opened.sender)
    return int(position)


def _make_room(turn: Turn, group: bytes, sender: NodeId) -> list[Limit]:
    """Delete the oldest messages of one who has more than a member may; return the limits reached."""
    connection, reached = turn.connection, list[Limit]()
    while True:
        count, size = connection.execute(
            "SELECT messages, bytes FROM usage WHERE group_id = ? AND sender = ?", (group, sender)
        ).fetchone()
        if count <= MEMBER_MESSAGES.value and size <= MEMBER_BYTES.value:
            return reached
        reached.append(MEMBER_MESSAGES if count > MEMBER_MESSAGES.value else MEMBER_BYTES)
        id_, body = connection.execute(
            "DELETE FROM messages WHERE position = (SELECT min(position) FROM messages WHERE group_id = ? AND sender = ?)"
            " RETURNING id, body",
            (group, sender),
        ).fetchone()
        connection.execute("DELETE FROM parents WHERE group_id = ? AND child = ?", (group, id_))
        connection.execute(
            "UPDATE usage SET messages = messages - 1, bytes = bytes - ? WHERE group_id = ? AND sender = ?",
            (len(body.encode()), group, sender),
        )
