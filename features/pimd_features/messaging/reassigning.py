"""Waiting messages of a peer that got a new key, because the user accepted it and asked for them to follow."""

from pimd.contract import Connection, Database
from pimd.ids import NodeId
from pimd_features.messaging.models import preview

_MOVE = (
    "UPDATE messages SET peer = ?, status = 'pending'"
    " WHERE peer = ? AND direction = 'sent' AND status IN ('pending', 'sent', 'kept')"
)


async def reassign(database: Database, old: NodeId, new: NodeId) -> int:
    """Move the messages that `old` has not acknowledged to `new`, and return their number; the rest stays with `old`.

    They are encrypted anew, in a session of `new`. `DatabaseError`.
    """

    def work(connection: Connection) -> int:
        moved = connection.execute(_MOVE, (new, old))
        if moved.rowcount:
            connection.execute("DELETE FROM outgoing WHERE peer = ?", (old,))
            connection.execute(
                "INSERT OR IGNORE INTO conversations (peer, unread, received, received_bytes) VALUES (?, 0, 0, 0)",
                (new,),
            )
            for peer in (old, new):
                show_newest(connection, peer)
        return moved.rowcount

    return await database.write("move waiting messages to another key", work)


def show_newest(connection: Connection, peer: NodeId) -> None:
    """Bring the conversation's row up to date; one without messages goes."""
    newest = connection.execute(
        "SELECT body, timestamp_ms, position FROM messages WHERE peer = ? ORDER BY position DESC LIMIT 1", (peer,)
    ).fetchone()
    if newest is None:
        connection.execute("DELETE FROM conversations WHERE peer = ?", (peer,))
        return
    connection.execute(
        "UPDATE conversations SET last_preview = ?, last_ts_ms = ?, last_position = ? WHERE peer = ?",
        (preview(newest[0]), newest[1], newest[2], peer),
    )
