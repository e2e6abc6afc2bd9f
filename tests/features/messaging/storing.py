"""Received messages put into a store without the sessions that brought them."""

from pimd_features.messaging.models import MessageRecord
from pimd_features.messaging.sessions.account import Moment
from pimd_features.messaging.sessions.message import Kind, Msg2, Plain
from pimd_features.messaging.sessions.receiving import Arrived
from pimd_features.messaging.store import MessageStore, Stored, _add_text


async def add(store: MessageStore, record: MessageRecord) -> Stored | None:
    """Store a received message, arrived at its own time; None when there is one with its id."""
    arrived = Arrived(record.peer_node_id, True, Msg2(record.id, bytes(16), 0, b"", b"", b""))  # noqa: FBT003
    plain, moment = Plain(record.timestamp_ms, Kind.TEXT, record.body.encode()), Moment(0, record.timestamp_ms)
    return await store._database.write("add", lambda connection: _add_text(connection, arrived, plain, moment))
