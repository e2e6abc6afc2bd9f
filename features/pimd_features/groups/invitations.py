"""Invitations that leave and that come, and the answers to them. Parts of jobs."""

from pimd.ids import NodeId
from pimd_features.groups import models, wire
from pimd_features.groups.errors import GroupRefused
from pimd_features.groups.limits import GROUPS, INVITATIONS, INVITATIONS_OF_PEER, MEMBERS, RECORDS
from pimd_features.groups.membership import head_of, set_state, state_of, tell_records, want
from pimd_features.groups.records import GROUP_SIZE, Change, Record, Yes
from pimd_features.groups.turn import KEPT_MS, Turn


def create(turn: Turn, record: Record) -> None:
    """Store a new group of this node alone; `GroupRefused` when it has too many."""
    check_room(turn)
    turn.connection.execute("INSERT INTO groups VALUES (?, ?, 'joined', NULL)", (record.group, record.name))
    turn.connection.execute(
        "INSERT INTO records (group_id, number, hash, raw, stands, taken_lived_ms) VALUES (?, 0, ?, ?, 1, ?)",
        (record.group, record.hash, record.raw, turn.moment.lived_ms),
    )


def check_room(turn: Turn) -> None:
    """`GroupRefused` when this node is in as many groups as it may be."""
    count = turn.connection.execute("SELECT count(*) FROM groups WHERE state IN ('joined', 'joining')").fetchone()[0]
    if count >= GROUPS.value:
        raise GroupRefused(f"this node is in {GROUPS.value} groups, which is the most; leave one first", GROUPS)


def invite(turn: Turn, group: bytes, node: NodeId, *, may_change: bool) -> None:
    """Ask a node to join; `GroupRefused` when that cannot be."""
    head = changeable(turn, group)
    if node in head.members:
        raise GroupRefused(f"{node} is a member already")
    others = turn.connection.execute(
        "SELECT count(*) FROM invited WHERE group_id = ? AND node_id != ?", (group, node)
    ).fetchone()[0]
    if len(head.members) + others >= MEMBERS.value:
        raise GroupRefused(
            f"a group has at most {MEMBERS.value} members, invited ones included; remove one first", MEMBERS
        )
    turn.connection.execute(
        "INSERT OR REPLACE INTO invited VALUES (?, ?, ?, ?)",
        (group, node, may_change, turn.moment.lived_ms + KEPT_MS),
    )
    turn.send(node, wire.Said(wire.Kind.INVITE, head.raw))


def changeable(turn: Turn, group: bytes) -> Record:
    """Return the newest record if this node may change it; `GroupRefused` otherwise."""
    head = head_of(turn, group)
    if head is None or state_of(turn, group) != "joined":
        raise GroupRefused("this node is no member of that group; `pim group list` shows its state")
    if not head.may_change(turn.own):
        able = ", ".join(one.short for one in head.members if head.may_change(one))
        raise GroupRefused(f"this node may not change the members of {head.name!r}; ask {able}")
    if head.number + 1 >= RECORDS.value:
        raise GroupRefused(
            f"the members of {head.name!r} changed {head.number} times, which is the most; make a new group", RECORDS
        )
    return head


def join(turn: Turn, group: bytes, yes: Yes) -> NodeId:
    """Answer the newest invitation with a yes and return who sent it; `GroupRefused` without one, or without room."""
    row = newest_invitation(turn, group)
    if row is None:
        raise GroupRefused("there is no invitation to that group any more; ask a member for another one")
    if state_of(turn, group) != "joining":
        check_room(turn)
    inviter, record = row
    turn.connection.execute(
        "INSERT INTO groups VALUES (?1, ?2, 'joining', ?3) ON CONFLICT DO UPDATE SET state = 'joining', inviter = ?3",
        (group, record.name, inviter),
    )
    turn.send(inviter, wire.Said(wire.Kind.YES, group + yes.encode()))
    forget_invitations(turn, group)
    turn.events.append(models.GroupStateChanged(group_id=group.hex(), state="joining"))
    return inviter


def newest_invitation(turn: Turn, group: bytes) -> tuple[NodeId, Record] | None:
    """Return who sent the newest invitation, and its record."""
    row = turn.connection.execute(
        "SELECT inviter, record FROM invitations WHERE group_id = ? ORDER BY parcel DESC LIMIT 1", (group,)
    ).fetchone()
    return (NodeId(row[0]), Record.read(row[1])) if row is not None else None


def decline(turn: Turn, group: bytes) -> None:
    """Answer all invitations to a group with a no."""
    for row in turn.connection.execute("SELECT inviter FROM invitations WHERE group_id = ?", (group,)).fetchall():
        turn.send(NodeId(row[0]), wire.Said(wire.Kind.NO, group))
    forget_invitations(turn, group)


def forget_invitations(turn: Turn, group: bytes, inviter: NodeId | None = None) -> None:
    """Delete invitations to a group, of one node or of all; their parcels take no room any more."""
    rows = turn.connection.execute(
        "DELETE FROM invitations WHERE group_id = ?1 AND (?2 IS NULL OR inviter = ?2) RETURNING parcel",
        (group, inviter),
    )
    turn.answered += [row[0] for row in rows.fetchall()]


# --- what comes


def take_invitation(turn: Turn, src: NodeId, content: bytes, parcel: int) -> bool:
    """Keep an invitation and tell of it; return whether it is kept. ValueError when it is malformed."""
    record = Record.parse(content)
    group, connection = record.group, turn.connection
    if not record.may_change(src) or turn.own in record.members or state_of(turn, group) == "joined":
        return False
    same = connection.execute(
        "UPDATE invitations SET parcel = ? WHERE group_id = ? AND inviter = ? AND record = ?",
        (parcel, group, src, content),
    )
    if same.rowcount:  # taken before, and not dropped before the last stop
        return True
    forget_invitations(turn, group, src)
    for limit, which, of in (
        (INVITATIONS_OF_PEER, "WHERE inviter = ?", (src,)),
        (INVITATIONS, "", ()),
    ):
        over = connection.execute(
            f"SELECT group_id, inviter FROM invitations {which} ORDER BY parcel DESC LIMIT -1 OFFSET {limit.value - 1}",  # noqa: S608 - constants
            of,
        ).fetchall()
        for row in over:
            turn.reached.append(limit)
            forget_invitations(turn, bytes(row[0]), NodeId(row[1]))
    connection.execute(
        "INSERT INTO invitations VALUES (?, ?, ?, ?, ?)", (group, src, content, parcel, turn.moment.lived_ms)
    )
    turn.events.append(
        models.GroupInvited(group_id=group.hex(), name=record.name, inviter=src, members=len(record.members))
    )
    return True


def take_yes(turn: Turn, src: NodeId, content: bytes) -> None:
    """Have an invited node added; ValueError when it is malformed."""
    group, rest = wire.split_group(content)
    yes = Yes.decode(rest)
    row = turn.connection.execute(
        "SELECT may_change FROM invited WHERE group_id = ? AND node_id = ? AND until_lived_ms > ?",
        (group, src, turn.moment.lived_ms),
    ).fetchone()
    head = head_of(turn, group)
    if head is not None and src in head.members:
        tell_records(turn, group, src, 0)
    elif row is not None and head is not None and head.may_change(turn.own) and yes.is_of(src, group):
        want(turn, group, [Change(src, yes, bool(row[0]))])
    elif head is not None and turn.may_say(group, src, "no"):
        turn.send(src, wire.Said(wire.Kind.NO, group))


def take_no(turn: Turn, src: NodeId, content: bytes) -> None:
    """Forget that a node was invited, and tell of it; or wait no more, since the one who invited this node takes it back."""
    group = content[:GROUP_SIZE]
    waits = turn.connection.execute(
        "SELECT 1 FROM groups WHERE id = ? AND state = 'joining' AND inviter = ?", (group, src)
    ).fetchone()
    if waits is not None:
        set_state(turn, group, "removed")
    gone = turn.connection.execute("DELETE FROM invited WHERE group_id = ? AND node_id = ?", (group, src))
    if gone.rowcount:
        turn.events.append(models.GroupDeclined(group_id=group.hex(), node_id=src))


def age(turn: Turn) -> None:
    """Forget invitations after 28 days, here and at who sent them."""
    old = turn.moment.lived_ms - KEPT_MS
    rows = turn.connection.execute("SELECT group_id, inviter FROM invitations WHERE came_lived_ms <= ?", (old,))
    for row in rows.fetchall():
        forget_invitations(turn, bytes(row[0]), NodeId(row[1]))
    turn.connection.execute("DELETE FROM invited WHERE until_lived_ms <= ?", (turn.moment.lived_ms,))


# --- leaving


def leave(turn: Turn, group: bytes) -> bool:
    """Leave a group or decline it; return whether a record is to be made. `GroupRefused` when this node is in none."""
    decline(turn, group)
    state, head = state_of(turn, group), head_of(turn, group)
    if state not in {"joined", "joining"}:
        return False
    set_state(turn, group, "left")
    turn.connection.execute("DELETE FROM wanted WHERE group_id = ?", (group,))
    if head is None or turn.own not in head.members or len(head.members) == 1:
        return False
    want(turn, group, [Change(turn.own)])
    return True


def remove(turn: Turn, group: bytes, node: NodeId) -> None:
    """Have a member taken out, or an invited one forgotten; `GroupRefused` when that cannot be."""
    head = changeable(turn, group)
    invited = turn.connection.execute("DELETE FROM invited WHERE group_id = ? AND node_id = ?", (group, node)).rowcount
    if node == turn.own:
        raise GroupRefused("that is this node itself; leave with: pim group leave")
    if node in head.members:
        want(turn, group, [Change(node)])
    elif not invited:
        raise GroupRefused(f"{node} is no member of {head.name!r}")
