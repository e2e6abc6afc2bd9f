"""Messages that are deleted here: by age in lived time, or all of a group. Parts of jobs."""

from pimd.contract import Connection
from pimd.ids import MessageId, NodeId
from pimd_features.groups import models
from pimd_features.groups.membership import state_of
from pimd_features.groups.turn import DAY_MS, Turn

BATCH = 200
"""Messages of a group that one job deletes."""

_OLD = """
SELECT position FROM messages WHERE group_id = ?1 AND came_lived_ms <= ?2 AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE deliveries.group_id = ?1 AND message = messages.id
    AND status NOT IN ('delivered', 'failed')
) ORDER BY came_lived_ms LIMIT ?3"""
_OF_GROUP = (
    *("messages", "parents", "usage", "deliveries", "records", "invited", "barred", "wanted", "held", "said"),
    *("own_keys", "keys", "waiting", "retention"),
)


def days_of(connection: Connection, group: bytes) -> int | None:
    """Return how many days a group keeps messages; None for all time."""
    row = connection.execute("SELECT days FROM retention WHERE group_id = ?", (group,)).fetchone()
    return int(row[0]) if row is not None else None


def keep(turn: Turn, group: bytes, days: int | None) -> None:
    """Keep messages for so many days, or with None for all time; deletes nothing yet."""
    if days is None:
        turn.connection.execute("DELETE FROM retention WHERE group_id = ?", (group,))
    else:
        turn.connection.execute("INSERT OR REPLACE INTO retention VALUES (?, ?)", (group, days))


def shorten(turn: Turn) -> bool:
    """Delete some of what is too old, and tell of it; return whether there is more. What a member does not have yet stays."""
    more = False
    for row in turn.connection.execute("SELECT group_id, days FROM retention").fetchall():
        group, oldest = bytes(row[0]), turn.moment.lived_ms - row[1] * DAY_MS
        positions = [one[0] for one in turn.connection.execute(_OLD, (group, oldest, BATCH)).fetchall()]
        for position in positions:
            _delete(turn, group, position)
        if positions:
            _tell(turn, group, len(positions), max(positions))
        more |= len(positions) == BATCH
    return more


def deleted_of(turn: Turn, group: bytes) -> int:
    """Return how many messages of a group a job deleted."""
    events = [one for one in turn.events if isinstance(one, models.GroupHistoryDeleted)]
    return sum(one.deleted_messages for one in events if one.group_id == group.hex())


def in_words(days: int | None) -> str:
    """Say how long messages are kept."""
    if days is None:
        return "messages are kept for all time"
    return f"messages are deleted after {'1 day' if days == 1 else f'{days} days'}"


def _delete(turn: Turn, group: bytes, position: int) -> None:
    connection = turn.connection
    id_, sender, size = connection.execute(
        "DELETE FROM messages WHERE position = ? RETURNING id, sender, length(CAST(body AS BLOB))", (position,)
    ).fetchone()
    connection.execute("DELETE FROM parents WHERE group_id = ?1 AND (child = ?2 OR parent = ?2)", (group, id_))
    connection.execute("DELETE FROM deliveries WHERE group_id = ? AND message = ?", (group, id_))
    connection.execute(
        "UPDATE usage SET messages = messages - 1, bytes = bytes - ? WHERE group_id = ? AND sender = ?",
        (size, group, sender),
    )


def delete_history(turn: Turn, group: bytes) -> models.GroupDeleted:
    """Delete all messages; what a member does not have yet is not sent to it. A group that this node left goes, too."""
    connection = turn.connection
    last = connection.execute("SELECT max(position) FROM messages WHERE group_id = ?", (group,)).fetchone()[0]
    rows = connection.execute(
        "DELETE FROM deliveries WHERE group_id = ? AND message IS NOT NULL RETURNING node_id, parcel, status", (group,)
    ).fetchall()
    waiting = [(NodeId(row[0]), MessageId(row[1])) for row in rows if row[2] not in {"delivered", "failed"}]
    connection.executemany("DELETE FROM leaving WHERE node_id = ? AND parcel = ?", waiting)
    connection.executemany("INSERT OR IGNORE INTO withdrawn VALUES (?, ?)", waiting)
    deleted = connection.execute("DELETE FROM messages WHERE group_id = ?", (group,)).rowcount
    for table in ("parents", "usage"):
        connection.execute(f"DELETE FROM {table} WHERE group_id = ?", (group,))  # noqa: S608 - two constants
    is_over = state_of(turn, group) in {"left", "removed"}
    if is_over:
        _forget(connection, group)
    if last is not None:
        _tell(turn, group, deleted, last)
    return models.GroupDeleted(deleted_messages=deleted, deleted_group=is_over)


def _forget(connection: Connection, group: bytes) -> None:
    connection.execute("DELETE FROM skipped WHERE key IN (SELECT place FROM keys WHERE group_id = ?)", (group,))
    for table in _OF_GROUP:
        connection.execute(f"DELETE FROM {table} WHERE group_id = ?", (group,))  # noqa: S608 - constants
    connection.execute("DELETE FROM groups WHERE id = ?", (group,))


def _tell(turn: Turn, group: bytes, deleted: int, up_to: int) -> None:
    turn.events.append(models.GroupHistoryDeleted(group_id=group.hex(), deleted_messages=deleted, up_to_position=up_to))
