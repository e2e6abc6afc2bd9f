"""What waits for a peer follows to its new key, and nothing else does."""

from pathlib import Path

from pimd.clock import ManualClock
from pimd.database import Database
from pimd.ids import MessageId, NodeId
from pimd.limits import Bites
from pimd_features.messaging.models import MessageRecord
from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.schema import migrations
from pimd_features.messaging.store import MessageStore, Outgoing
from tests.features.messaging.storing import add

OLD, NEW = NodeId(bytes([1]) * 16), NodeId(bytes([2]) * 16)


def message(number: int) -> Outgoing:
    return Outgoing(OLD, MessageId(bytes([number]) * 16), number, 10**15)


async def test_only_what_was_not_acknowledged_moves(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "messages.db", migrations(0), clock=ManualClock()) as database:
        store = MessageStore(database, Bites())
        for number in range(1, 5):
            await store.add_sent(message(number), f"body {number}")
        await store.raise_status(OLD, [message(1).id], "delivered", 9)
        await store.raise_status(OLD, [message(2).id], "sent", 9)
        await store.fail(message(3), "expired", 1)
        assert await store.reassign(OLD, NEW) == 2
        kept, _ = await store.history(OLD, None, None, 10)
        moved, _ = await store.history(NEW, None, None, 10)
        assert [(one.body, one.status) for one in kept] == [("body 3", "failed"), ("body 1", "delivered")]
        assert [(one.body, one.status) for one in moved] == [("body 4", "pending"), ("body 2", "pending")]
        previews = {one.peer: one.last_preview for one in await store.conversations()}
        assert previews == {OLD: "body 3", NEW: "body 4"}
        assert await store.reassign(OLD, NEW) == 0


async def test_a_conversation_of_which_everything_moved_is_gone(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "messages.db", migrations(0), clock=ManualClock()) as database:
        store = MessageStore(database, Bites())
        await store.add_sent(message(1), "body")
        assert await store.reassign(OLD, NEW) == 1
        assert [one.peer for one in await store.conversations()] == [NEW]
        received = MessageRecord(
            id=message(7).id,
            peer_node_id=NEW,
            direction="received",
            body="answer",
            position=0,
            timestamp_ms=8,
            status="delivered",
            failure_reason=None,
            delivered_at_ms=None,
            read_at_ms=None,
        )
        assert await add(store, received) is not None
        assert [one.unread for one in await store.conversations()] == [1]


def test_moved_messages_are_ready_to_be_sent() -> None:
    outbox = Outbox(lambda: 0.5)
    for number in (1, 2):
        outbox.add(message(number))
    outbox.sent(outbox.take(OLD)[0], 0.0)
    outbox.reassign(OLD, NEW)
    assert outbox.peers() == [NEW]
    assert [one.id for one in outbox.take(NEW)] == [message(1).id, message(2).id]
    outbox.tick(1000.0)  # timers of the old place change nothing
    assert outbox.waits_for() == [NEW]
