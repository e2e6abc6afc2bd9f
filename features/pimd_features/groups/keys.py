"""Sender keys on disk: the own one, and those of members. Parts of jobs."""

import os

from pimd.ids import MessageId, NodeId
from pimd_features.groups import wire
from pimd_features.groups.limits import KEY_MESSAGES, SENDER_KEYS
from pimd_features.groups.message import GroupMessage
from pimd_features.groups.records import Record
from pimd_features.groups.sender_keys import SECRET_SIZE, Binding, GivenKey, OwnKey, walk
from pimd_features.groups.turn import DAY_MS, KEPT_MS, Turn

RENEWED_AFTER_MS = 7 * DAY_MS


# --- the own one


def own_key(turn: Turn, head: Record) -> OwnKey | None:
    """Return the key of this node if it may be used: made for this record, not full, not old."""
    row = turn.connection.execute(
        "SELECT record, secret, chain, next, made_lived_ms FROM own_keys WHERE group_id = ?", (head.group,)
    ).fetchone()
    if row is None or row[0] != head.hash or row[3] >= KEY_MESSAGES.value:
        return None
    if turn.moment.lived_ms - row[4] >= RENEWED_AFTER_MS:
        return None
    return OwnKey(Binding(head.group, turn.own, head.hash), row[1], row[2], row[3])


def make_own_key(turn: Turn, head: Record, members: list[NodeId]) -> OwnKey:
    """Make a new key and send it to those members."""
    made = OwnKey(Binding(head.group, turn.own, head.hash), os.urandom(SECRET_SIZE), os.urandom(SECRET_SIZE))
    turn.connection.execute(
        "INSERT OR REPLACE INTO own_keys VALUES (?, ?, ?, ?, ?, 0, ?)",
        (head.group, head.hash, made.secret, made.chain, made.chain, turn.moment.lived_ms),
    )
    for node in members:
        give_key(turn, made, node)
    return made


def given_key(turn: Turn, head: Record) -> OwnKey | None:
    """Return the newest key of this node as all members of its record got it, also when it is not used any more."""
    row = turn.connection.execute(
        "SELECT record, secret, first FROM own_keys WHERE group_id = ?", (head.group,)
    ).fetchone()
    return OwnKey(Binding(head.group, turn.own, row[0]), row[1], row[2]) if row is not None else None


def end_own_keys(turn: Turn) -> None:
    """Use none of them any more."""
    turn.connection.execute("UPDATE own_keys SET next = ?", (KEY_MESSAGES.value,))


def give_key(turn: Turn, key: OwnKey, node: NodeId) -> None:
    """Send the key to a member."""
    parcel = turn.send(node, wire.Said(wire.Kind.KEY, key.give()))
    note_parcel(turn, key.binding.group, node, parcel, None)


def note_parcel(turn: Turn, group: bytes, node: NodeId, parcel: MessageId, message: MessageId | None) -> None:
    """Remember what a parcel is for until it is delivered."""
    turn.connection.execute(
        "INSERT INTO deliveries VALUES (?, ?, ?, ?, 'pending', ?)",
        (node, parcel, group, message, turn.moment.unix_ms),
    )


def save_own_key(turn: Turn, key: OwnKey) -> None:
    """Store the chain behind a message."""
    turn.connection.execute(
        "UPDATE own_keys SET chain = ?, next = ? WHERE group_id = ?", (key.chain, key.next, key.binding.group)
    )


def withdraw_from(turn: Turn, group: bytes, node: NodeId) -> None:
    """Send a node no keys and messages any more that it does not have yet."""
    rows = turn.connection.execute(
        "UPDATE deliveries SET status = 'failed', at_ms = ? WHERE group_id = ? AND node_id = ?"
        " AND status NOT IN ('delivered', 'failed') RETURNING parcel",
        (turn.moment.unix_ms, group, node),
    ).fetchall()
    turn.connection.executemany(
        "DELETE FROM leaving WHERE node_id = ? AND parcel = ?", [(node, row[0]) for row in rows]
    )
    turn.connection.execute("DELETE FROM deliveries WHERE message IS NULL AND status = 'failed'")
    turn.connection.executemany("INSERT INTO withdrawn VALUES (?, ?)", [(node, row[0]) for row in rows])


# --- those of members


def take_key(turn: Turn, given: GivenKey) -> None:
    """Keep a key of a member; one that is known already stays as far as it is."""
    binding, connection = given.binding, turn.connection
    connection.execute(
        "INSERT OR IGNORE INTO keys (group_id, sender, key_id, record, public, chain, next, taken_lived_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            binding.group,
            binding.sender,
            given.id,
            binding.record,
            given.public,
            given.chain,
            given.next,
            turn.moment.lived_ms,
        ),
    )
    over = connection.execute(
        "SELECT place FROM keys WHERE group_id = ? AND sender = ? ORDER BY place DESC LIMIT -1 OFFSET ?",
        (binding.group, binding.sender, SENDER_KEYS.value),
    ).fetchall()
    turn.reached += [SENDER_KEYS] * len(over)
    _drop(turn, [row[0] for row in over])


def key_of(turn: Turn, message: GroupMessage, sender: NodeId) -> tuple[int, bytes] | None:
    """Return row and public key of the sender key that a message names; None when it is not here."""
    row = turn.connection.execute(
        "SELECT place, public FROM keys WHERE group_id = ? AND sender = ? AND key_id = ? AND record = ?",
        (message.group, sender, message.key_id, message.record),
    ).fetchone()
    return (row[0], bytes(row[1])) if row is not None else None


def use_key(turn: Turn, place: int, number: int) -> bytes | None:
    """Return the key of one message and delete it; None when it was used. Nobody gets it back."""
    connection = turn.connection
    chain, start = connection.execute("SELECT chain, next FROM keys WHERE place = ?", (place,)).fetchone()
    if number < start:
        row = connection.execute(
            "DELETE FROM skipped WHERE key = ? AND number = ? RETURNING message_key", (place, number)
        ).fetchone()
        return bytes(row[0]) if row is not None else None
    chain, passed, key = walk(chain, start, number)
    connection.execute("UPDATE keys SET chain = ?, next = ? WHERE place = ?", (chain, number + 1, place))
    connection.executemany("INSERT INTO skipped VALUES (?, ?, ?)", [(place, one, skipped) for one, skipped in passed])
    return key


def _drop(turn: Turn, places: list[int]) -> None:
    which = [(place,) for place in places]
    turn.connection.executemany("DELETE FROM skipped WHERE key = ?", which)
    turn.connection.executemany("DELETE FROM keys WHERE place = ?", which)


def forget_keys(turn: Turn, group: bytes) -> None:
    """Delete all keys of a group, and what waits for some."""
    rows = turn.connection.execute("SELECT place FROM keys WHERE group_id = ?", (group,)).fetchall()
    _drop(turn, [row[0] for row in rows])
    turn.connection.execute("DELETE FROM own_keys WHERE group_id = ?", (group,))
    turn.connection.execute("DELETE FROM waiting WHERE group_id = ?", (group,))


def age_keys(turn: Turn) -> None:
    """Delete keys after 28 days: nothing under them can still arrive."""
    rows = turn.connection.execute(
        "SELECT place FROM keys WHERE taken_lived_ms <= ?", (turn.moment.lived_ms - RENEWED_AFTER_MS - KEPT_MS,)
    ).fetchall()
    _drop(turn, [row[0] for row in rows])
