"""Groups and messages as they are shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pimd.contract import Connection, Row, folded
from pimd.ids import MessageId, NodeId
from pimd_features.groups import models
from pimd_features.groups.records import GROUP_SIZE, Record

Name = Callable[[NodeId], str]
_DELIVERED = frozenset({"delivered"})


def _nobody(node: NodeId) -> str:
    return node.short


# --- messages


def message_of(connection: Connection, own: NodeId, group: bytes, position: int) -> models.GroupMessageRow:
    """Return one message, with short ids in place of names."""
    row = connection.execute("SELECT * FROM messages WHERE group_id = ? AND position = ?", (group, position)).fetchone()
    return _message(connection, own, row, _nobody)


def history(
    connection: Connection, own: NodeId, group: bytes, page: models.GroupHistoryParams, name: Name
) -> models.GroupHistory:
    """Return a page, newest first."""
    rows = connection.execute(
        "SELECT * FROM messages WHERE group_id = ? AND position < ? ORDER BY position DESC LIMIT ?",
        (group, page.before or 2**63 - 1, page.limit + 1),
    ).fetchall()
    messages = [_message(connection, own, row, name) for row in rows[: page.limit]]
    return models.GroupHistory(messages=messages, has_more=len(rows) > page.limit)


def after(
    connection: Connection, own: NodeId, group: bytes, span: tuple[int, int], name: Name
) -> list[models.GroupMessageRow]:
    """Return some messages behind one position, up to another one, the oldest first."""
    rows = connection.execute(
        "SELECT * FROM messages WHERE group_id = ? AND position > ? AND position <= ? ORDER BY position LIMIT ?",
        (group, *span, models.PAGE),
    ).fetchall()
    return [_message(connection, own, row, name) for row in rows]


def _message(connection: Connection, own: NodeId, row: Row, name: Name) -> models.GroupMessageRow:
    group, id_, sender = row["group_id"], MessageId(row["id"]), NodeId(row["sender"])
    parents = connection.execute(
        "SELECT parent, EXISTS (SELECT 1 FROM messages WHERE messages.group_id = parents.group_id AND id = parent)"
        " FROM parents WHERE group_id = ? AND child = ?",
        (group, id_),
    ).fetchall()
    deliveries = _deliveries(connection, group, id_) if sender == own else []
    missing = sum(not here for _, here in parents)
    return models.GroupMessageRow(
        id=id_,
        position=row["position"],
        sender=sender,
        sender_name=name(sender),
        is_own=sender == own,
        body=row["body"],
        timestamp_ms=row["timestamp_ms"],
        parents=[MessageId(parent) for parent, _ in parents],
        missing_parents=missing,
        late=bool(row["is_late"]),
        disagrees=bool(row["disagrees"]),
        deliveries=deliveries,
        state_text=_state_of(row, missing, deliveries),
    )


def _deliveries(connection: Connection, group: bytes, id_: MessageId) -> list[models.GroupDelivery]:
    rows = connection.execute(
        "SELECT node_id, status, at_ms FROM deliveries WHERE group_id = ? AND message = ? ORDER BY node_id",
        (group, id_),
    )
    return [models.GroupDelivery(node_id=NodeId(row[0]), status=row[1], at_ms=row[2]) for row in rows]


def _state_of(row: Row, missing: int, deliveries: Sequence[models.GroupDelivery]) -> str:
    words = []
    if deliveries:
        words.append(f"delivered to {sum(one.status in _DELIVERED for one in deliveries)} of {len(deliveries)}")
    if row["disagrees"]:
        words.append("members disagree")
    if missing:
        words.append("answers what is not here")
    if row["is_late"]:
        words.append("late")
    return ", ".join(words)


# --- groups


@dataclass(frozen=True)
class Known:
    """A group, or an invitation, that a caller may mean."""

    id: bytes
    name: str
    state: models.State


def known(connection: Connection) -> list[Known]:
    """Return all groups, and invitations to others, by name."""
    rows = connection.execute("SELECT id, name, state FROM groups").fetchall()
    found = {bytes(row[0]): Known(bytes(row[0]), row[1], row[2]) for row in rows}
    for row in connection.execute("SELECT group_id, record FROM invitations").fetchall():
        group = bytes(row[0])
        if group not in found or found[group].state in {"left", "removed"}:
            found[group] = Known(group, Record.read(row[1]).name, "invited")
    return sorted(found.values(), key=lambda one: (one.name, one.id))


def meant(groups: Sequence[Known], word: str) -> list[Known]:
    """Return the groups with this id, or else with this name or whose id begins so: others choose names, so none comes first."""
    text, name = word.lower(), folded(word)
    is_beginning = 4 <= len(text) <= 2 * GROUP_SIZE  # noqa: PLR2004 - as the field says
    return [one for one in groups if one.id.hex() == text] or [
        one for one in groups if folded(one.name) == name or (is_beginning and one.id.hex().startswith(text))
    ]


def rows(connection: Connection, own: NodeId, name: Name) -> list[models.GroupRow]:
    """Return all groups as they are listed."""
    return [_row(connection, own, one, name) for one in known(connection)]


def _row(connection: Connection, own: NodeId, one: Known, name: Name) -> models.GroupRow:
    inviter, head = _inviter_and_head(connection, one)
    barred = {NodeId(row[0]) for row in _of(connection, "SELECT node_id FROM barred WHERE group_id = ?", one)}
    disagree = {NodeId(row[0]) for row in _of(connection, _DISAGREE, one)}
    last = connection.execute(
        "SELECT body, timestamp_ms FROM messages WHERE group_id = ? ORDER BY position DESC LIMIT 1", (one.id,)
    ).fetchone()
    members = [
        models.GroupMember(
            node_id=member.node_id,
            name=name(member.node_id),
            may_change=member.may_change,
            agrees=member.node_id not in disagree,
            barred=member.node_id in barred,
        )
        for member in (head.draft.members if head is not None else ())
    ]
    is_shown = one.state != "invited" and head is not None
    return models.GroupRow(
        group_id=one.id.hex(),
        name=one.name,
        state=one.state,
        inviter=inviter,
        members=members,
        invited=[NodeId(row[0]) for row in _of(connection, "SELECT node_id FROM invited WHERE group_id = ?", one)],
        may_change=one.state == "joined" and head is not None and head.may_change(own),
        record_number=head.number if is_shown and head is not None else None,
        record_hash=head.hash.hex() if is_shown and head is not None else None,
        members_agree=not disagree,
        last_message=" ".join(last[0].splitlines())[: models.PREVIEW_LIMIT] if last is not None else None,
        last_message_ts_ms=last[1] if last is not None else None,
        state_text=one.state + (", members disagree" if disagree else ""),
        people=len(members),
    )


def _inviter_and_head(connection: Connection, one: Known) -> tuple[NodeId | None, Record | None]:
    if one.state == "invited":
        row = connection.execute(
            "SELECT inviter, record FROM invitations WHERE group_id = ? ORDER BY parcel DESC LIMIT 1", (one.id,)
        ).fetchone()
        return NodeId(row[0]), Record.read(row[1])
    row = connection.execute("SELECT inviter FROM groups WHERE id = ?", (one.id,)).fetchone()
    raw = connection.execute(
        "SELECT raw FROM records WHERE group_id = ? AND stands = 1 ORDER BY number DESC LIMIT 1", (one.id,)
    ).fetchone()
    return NodeId(row[0]) if row[0] is not None else None, Record.read(raw[0]) if raw is not None else None


_DISAGREE = """
SELECT node_id FROM held JOIN records ON records.group_id = held.group_id AND records.number = held.number
AND records.stands = 1 WHERE held.group_id = ? AND records.hash != held.hash
"""


def _of(connection: Connection, sql: str, one: Known) -> list[Row]:
    return connection.execute(sql, (one.id,)).fetchall()
