"""Membership on disk: records that come, and what follows from the newest one. Parts of jobs."""

from collections.abc import Sequence

from pimd.ids import NodeId
from pimd_features.groups import models, wire
from pimd_features.groups.chain import Chain, Place, Placed
from pimd_features.groups.keys import forget_keys, withdraw_from
from pimd_features.groups.limits import LOST_RECORDS, RECORDS
from pimd_features.groups.records import Change, Record, Yes, again, barred, newcomers_of
from pimd_features.groups.turn import KEPT_MS, Turn


def state_of(turn: Turn, group: bytes) -> str | None:
    """Return joining, joined, left or removed; None for a group that this node never was in."""
    row = turn.connection.execute("SELECT state FROM groups WHERE id = ?", (group,)).fetchone()
    return row[0] if row is not None else None


def head_of(turn: Turn, group: bytes) -> Record | None:
    """Return the newest record that stands."""
    row = turn.connection.execute(
        "SELECT raw FROM records WHERE group_id = ? AND stands = 1 ORDER BY number DESC LIMIT 1", (group,)
    ).fetchone()
    return Record.read(row[0]) if row is not None else None


def record_of(turn: Turn, group: bytes, hash_: bytes) -> Record | None:
    """Return a record by its hash, also one that lost."""
    row = turn.connection.execute("SELECT raw FROM records WHERE group_id = ? AND hash = ?", (group, hash_)).fetchone()
    return Record.read(row[0]) if row is not None else None


def standing_hash(turn: Turn, group: bytes, number: int) -> bytes | None:
    """Return the hash of the record with that number."""
    row = turn.connection.execute(
        "SELECT hash FROM records WHERE group_id = ? AND number = ? AND stands = 1", (group, number)
    ).fetchone()
    return bytes(row[0]) if row is not None else None


def standing_count(turn: Turn, group: bytes) -> int:
    """Return how many records stand."""
    return int(
        turn.connection.execute("SELECT count(*) FROM records WHERE group_id = ? AND stands = 1", (group,)).fetchone()[
            0
        ]
    )


def first_to_change(turn: Turn, group: bytes) -> int:
    """Return the number of the first record that another one can replace: not record 0, nor those taken 28 days ago."""
    old = turn.connection.execute(
        "SELECT count(*) FROM records WHERE group_id = ? AND stands = 1 AND taken_lived_ms <= ?",
        (group, turn.moment.lived_ms - KEPT_MS),
    ).fetchone()[0]
    return max(1, int(old))


def is_member(turn: Turn, group: bytes, head: Record, node: NodeId) -> bool:
    """Whether a node is in the newest record, and no record that lost removed it."""
    return node in head.members and node not in barred_of(turn, group)


def barred_of(turn: Turn, group: bytes) -> set[NodeId]:
    """Return to whom nothing is sent."""
    rows = turn.connection.execute("SELECT node_id FROM barred WHERE group_id = ?", (group,))
    return {NodeId(row[0]) for row in rows}


def load_chain(turn: Turn, group: bytes) -> Chain:
    """Return all records."""
    rows = turn.connection.execute(
        "SELECT raw, hash, stands FROM records WHERE group_id = ? ORDER BY number", (group,)
    ).fetchall()
    lost = {bytes(row[1]): Record.read(row[0]) for row in rows if not row[2]}
    return Chain([Record.read(row[0]) for row in rows if row[2]], lost, first_to_change(turn, group))


# --- records that come


def take_records(turn: Turn, group: bytes, src: NodeId, records: Sequence[Record]) -> bool:
    """Give each its place; return whether any is new here."""
    if state_of(turn, group) is None or any(one.group != group for one in records):
        return False
    chain = load_chain(turn, group)
    before = chain.head if chain.records else None
    lost = len(chain.lost)
    for one in records:
        _take(turn, chain, src, one)
    if chain.records and chain.head is not before:
        _follow(turn, before, chain.head)
        return True
    return len(chain.lost) > lost


def _take(turn: Turn, chain: Chain, src: NodeId, record: Record) -> None:
    group, placed = record.group, chain.take(record)
    match placed.place:
        case Place.TAKEN | Place.WON:
            _stand(turn, chain, placed)
        case Place.LOST:
            _note_lost(turn, chain, src, record)
        case Place.FULL:
            turn.reached.append(RECORDS)
        case Place.MISSING:
            ask_for_records(turn, group, src, _next(chain, record))


def _next(chain: Chain, record: Record) -> int:
    """Return from where to ask: behind the newest, or for a branch from the first that may change."""
    count = len(chain.records)
    return count if record.number > count else min(chain.final, count)


def ask_for_records(turn: Turn, group: bytes, src: NodeId, number: int) -> None:
    """Ask a node, once a minute."""
    if turn.may_say(group, src, "ask"):
        turn.send(src, wire.ask_records(group, number))


def _stand(turn: Turn, chain: Chain, placed: Placed) -> None:
    """Store records that stand now, and what is to be done if they took the place of others."""
    first, stood, connection = placed.stood[0], placed.stood, turn.connection
    group = first.group
    connection.execute(
        "UPDATE records SET stands = 0 WHERE group_id = ? AND number >= ? AND stands = 1", (group, first.number)
    )
    connection.executemany(
        "INSERT INTO records (group_id, number, hash, raw, stands, taken_lived_ms) VALUES (?, ?, ?, ?, 1, ?)"
        " ON CONFLICT (group_id, hash) DO UPDATE SET stands = 1, taken_lived_ms = excluded.taken_lived_ms",
        [(group, one.number, one.hash, one.raw, turn.moment.lived_ms) for one in stood],
    )
    if not first.number:
        return
    before = chain.records[first.number - 1]
    held_back = barred(placed.gone, before, stood)
    held_back |= newcomers_of(barred_of(turn, group), stood, before)
    connection.executemany("INSERT OR IGNORE INTO barred VALUES (?, ?)", [(group, node) for node in held_back])
    want(turn, group, again(placed.gone, before, stood, turn.own))
    if placed.gone:
        _forget_lost(turn, group)
        _tell_of_two(turn, first, placed.gone[0])
        _tell_newcomers(turn, chain, placed.gone)


def _tell_newcomers(turn: Turn, chain: Chain, gone: Sequence[Record]) -> None:
    """Let those know whom a record of this node made members, which lost: nobody else may know of them."""
    head = chain.head
    theirs = {node for one in gone if one.signer == turn.own for node in one.members} - head.members.keys() - {turn.own}
    for node in theirs:
        for said in wire.records(head.group, [head.raw]):
            turn.send(node, said)


def _note_lost(turn: Turn, chain: Chain, src: NodeId, record: Record) -> None:
    """Keep a record that lost, since messages may name it, and let its sender know the one that stands."""
    known = record_of(turn, record.group, record.hash)
    if known is None:
        turn.connection.execute(
            "INSERT INTO records (group_id, number, hash, raw, stands, taken_lived_ms) VALUES (?, ?, ?, ?, 0, ?)",
            (record.group, record.number, record.hash, record.raw, turn.moment.lived_ms),
        )
        _forget_lost(turn, record.group)
        if record.number < len(chain.records):
            _tell_of_two(turn, chain.records[record.number], record)
    tell_records(turn, record.group, src, chain.root_of(record).number)


def _forget_lost(turn: Turn, group: bytes) -> None:
    gone = turn.connection.execute(
        "DELETE FROM records WHERE place IN (SELECT place FROM records WHERE group_id = ? AND stands = 0"
        " ORDER BY place DESC LIMIT -1 OFFSET ?)",
        (group, LOST_RECORDS.value),
    )
    turn.reached += [LOST_RECORDS] * gone.rowcount


def _tell_of_two(turn: Turn, standing: Record, lost: Record) -> None:
    """Tell of a liar; behind records that differ, who makes a change again honestly signs two with one number."""
    is_same = standing.signer == lost.signer and standing.draft.before == lost.draft.before
    if is_same and standing.signer != turn.own:
        turn.events.append(
            models.TwoRecords(group_id=standing.group.hex(), signer=lost.signer, record_number=lost.number)
        )


def tell_records(turn: Turn, group: bytes, peer: NodeId, number: int, what: str = "tell") -> None:
    """Send records from a number on, once a minute; one who was removed gets those up to its removal."""
    if not standing_count(turn, group) or not turn.may_say(group, peer, what):
        return
    chain = load_chain(turn, group)
    last = _may_know(chain, peer)
    for said in wire.records(group, [one.raw for one in chain.records[number : last + 1]]):
        turn.send(peer, said)


def _may_know(chain: Chain, peer: NodeId) -> int:
    """Return the last record that a node is told: the newest, or the one that removed it.

    One in a branch that lost is told what the one is told who began that: so it learns what the branch lost to.
    """
    within = [_told_last(chain, peer)]
    for root in [chain.root_of(one) for one in chain.lost.values() if peer in one.members]:
        within += [root.number, _told_last(chain, root.signer)]
    return max(within)


def _told_last(chain: Chain, member: NodeId) -> int:
    return max((one.number + 1 for one in chain.records if member in one.members), default=-1)


# --- what follows from the newest


def _follow(turn: Turn, before: Record | None, head: Record) -> None:
    """Bring the rest up to date with the newest record."""
    group, connection = head.group, turn.connection
    earlier = before.members.keys() if before is not None else set[NodeId]()
    removed = [node for node in earlier if node not in head.members]
    connection.executemany("DELETE FROM held WHERE group_id = ? AND node_id = ?", [(group, one) for one in removed])
    for node in barred_of(turn, group) - head.members.keys():
        connection.execute("DELETE FROM barred WHERE group_id = ? AND node_id = ?", (group, node))
    for node in [*removed, *barred_of(turn, group)]:
        withdraw_from(turn, group, node)
    added = [node for node in head.members if node not in earlier]
    connection.executemany("DELETE FROM invited WHERE group_id = ? AND node_id = ?", [(group, one) for one in added])
    if state_of(turn, group) == "joined":
        turn.events.append(
            models.MembersChanged(
                group_id=group.hex(), record_number=head.number, added=added, removed=removed, signer=head.signer
            )
        )
    _own_state(turn, head)


def _own_state(turn: Turn, head: Record) -> None:
    state, is_in = state_of(turn, head.group), turn.own in head.members
    if state in {"joining", "removed"} and is_in:  # the record that removed this node lost, or it said yes to a new one
        turn.connection.execute("UPDATE groups SET name = ? WHERE id = ?", (head.name, head.group))
        set_state(turn, head.group, "joined")
    elif state == "joined" and not is_in:
        set_state(turn, head.group, "removed")


def set_state(turn: Turn, group: bytes, state: models.State) -> None:
    """Store the state and tell of it; outside of the group its keys, and what waits for some, are of no use."""
    turn.connection.execute("UPDATE groups SET state = ? WHERE id = ?", (state, group))
    if state in {"left", "removed"}:
        forget_keys(turn, group)
        turn.connection.execute("DELETE FROM invited WHERE group_id = ?", (group,))
        head = head_of(turn, group)
        for node in head.members if head is not None else ():
            withdraw_from(turn, group, node)
    turn.events.append(models.GroupStateChanged(group_id=group.hex(), state=state))


# --- changes of this node


def want(turn: Turn, group: bytes, wanted: Sequence[Change]) -> None:
    """Have changes made, in a record that is signed outside of the job."""
    turn.connection.executemany(
        "INSERT OR REPLACE INTO wanted VALUES (?, ?, ?, ?)",
        [(group, one.node_id, one.yes.encode() if one.yes else None, one.may_change) for one in wanted],
    )


def wanted_of(turn: Turn, group: bytes) -> list[Change]:
    """Return the changes that are to be made."""
    rows = turn.connection.execute("SELECT node_id, yes, may_change FROM wanted WHERE group_id = ?", (group,))
    return [Change(NodeId(row[0]), Yes.decode(row[1]) if row[1] else None, bool(row[2])) for row in rows]


def publish_record(turn: Turn, record: Record, wanted: Sequence[Change]) -> bool:
    """Store a record of this node and send it to all whom it concerns; False when another one came in between."""
    chain = load_chain(turn, record.group)
    before = chain.head
    placed = chain.take(record)
    if placed.place is Place.FULL:
        turn.reached.append(RECORDS)
        _forget_wanted(turn, record.group, wanted)
        return True
    if placed.place is not Place.TAKEN:
        return False
    _stand(turn, chain, placed)
    _forget_wanted(turn, record.group, wanted)
    for node in {**before.members, **record.members}:
        if node != turn.own:
            news = [record] if node in before.members else chain.records
            for said in wire.records(record.group, [one.raw for one in news]):
                turn.send(node, said)
    _follow(turn, before, record)
    return True


def _forget_wanted(turn: Turn, group: bytes, done: Sequence[Change]) -> None:
    turn.connection.executemany(
        "DELETE FROM wanted WHERE group_id = ? AND node_id = ?", [(group, one.node_id) for one in done]
    )
