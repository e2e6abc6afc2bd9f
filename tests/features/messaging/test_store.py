"""Pages of history under any data, and what acknowledgements look like."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pimd.database import Database
from pimd.ids import MessageId, NodeId
from pimd.limits import Bites
from pimd.task_scope import task_scope
from pimd_features.messaging.models import PAGE, MessageRecord, preview
from pimd_features.messaging.schema import migrations
from pimd_features.messaging.sessions.message import BODY_LIMIT
from pimd_features.messaging.store import PAGE_BYTES, MessageStore, Outgoing
from pimd_features.messaging.wire import AckKind, Acks
from tests.features.messaging.storing import add
from tests.limits import Lower

WIDE = "\U0001f600" * (BODY_LIMIT // 4)
PEER = NodeId(bytes(range(16)))


def test_acknowledgements_have_a_kind_and_ids() -> None:
    acks = Acks(AckKind.READ, (MessageId(b"a" * 16), MessageId(b"b" * 16)), congestion_met=True)
    assert acks.encode() == b"\x82" + b"a" * 16 + b"b" * 16
    assert Acks.decode(acks.encode()) == acks


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_raise_value_error(body: bytes) -> None:
    try:
        decoded = Acks.decode(body)
    except ValueError:
        return
    assert decoded.encode() == body


@given(st.text(max_size=300))
def test_previews_are_one_short_line(text: str) -> None:
    assert len(preview(text)) <= 80
    assert "\n" not in preview(text)


def record(n: int, timestamp_ms: int) -> MessageRecord:
    return MessageRecord(
        id=MessageId(n.to_bytes(16)),
        peer_node_id=PEER,
        direction="received",
        body=str(n),
        position=0,
        timestamp_ms=timestamp_ms,
        status="delivered",
        failure_reason=None,
        delivered_at_ms=timestamp_ms,
        read_at_ms=None,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, 8), max_size=30),
    later=st.lists(st.integers(9, 12), max_size=5),
    limit=st.integers(1, 7),
    by_id=st.booleans(),
)
async def test_pages_are_complete_in_order_of_arrival_and_stable(
    tmp_path_factory: pytest.TempPathFactory,
    times: list[int],
    later: list[int],
    limit: int,
    by_id: bool,  # noqa: FBT001
) -> None:
    path = tmp_path_factory.mktemp("store") / "messages.db"
    async with task_scope() as tasks:
        database = await Database.start(path, migrations(0), lambda name, work: _spawn(tasks, name, work))
        store = MessageStore(database, Bites())
        for n, time in enumerate(times):
            assert await add(store, record(n, time))
        found: list[MessageRecord] = []
        before_ts, before_id, more = None, None, True
        while more:
            page, more = await store.history(PEER, before_ts, before_id, limit)
            assert before_id is None or len(page) <= limit
            # Newest first, and each page is below the last: messages that come meanwhile disturb nothing.
            positions = [message.position for message in (*found[-1:], *page)]
            assert positions == sorted(set(positions), reverse=True)
            found += page
            if not page:
                break
            before_ts, before_id = page[-1].timestamp_ms, page[-1].id if by_id else None
            for n, time in enumerate(later):  # new arrivals between pages
                await add(store, record(1000 + n, time))
        assert [m.body for m in found] == [str(n) for n in reversed(range(len(times)))]
        conversation = await store.conversation(PEER)
        if times:
            assert conversation is not None
            assert conversation.unread == conversation.received
            assert conversation.last_ts_ms == [*times, *later][-1]
            assert conversation.last_preview == str(1000 + len(later) - 1 if later else len(times) - 1)
        await database.close()


async def test_a_message_that_failed_is_lifted_by_its_acknowledgement_and_by_nothing_less(tmp_path: Path) -> None:
    message = Outgoing(PEER, MessageId(bytes(16)), 1, 2)
    async with task_scope() as tasks:
        database = await Database.start(tmp_path / "messages.db", migrations(0), lambda *work: _spawn(tasks, *work))
        store = MessageStore(database, Bites())
        await store.add_sent(message, "hello")
        assert await store.fail(message, "expired", 1)
        assert await store.raise_status(PEER, [message.id], "sent", 3) == []
        ((failed,), _) = await store.history(PEER, None, None, 1)
        assert (failed.status, failed.failure_reason, failed.delivered_at_ms) == ("failed", "expired", None)
        assert await store.raise_status(PEER, [message.id], "delivered", 4) == [message.id]
        ((delivered,), _) = await store.history(PEER, None, None, 1)
        assert (delivered.status, delivered.failure_reason, delivered.delivered_at_ms) == ("delivered", None, 4)
        assert not await store.fail(message, "expired", 1)
        await database.close()


def _spawn(tasks: Any, name: str, work: Any) -> None:
    tasks.create_task(work, name=name)


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.limit("bytes of messages on one page of a conversation")
async def test_a_page_of_long_messages_ends_early_and_the_next_goes_on(tmp_path: Path, *, by_id: bool) -> None:
    count = 2 * PAGE_BYTES.value // BODY_LIMIT + 10
    async with task_scope() as tasks:
        database = await Database.start(tmp_path / "m.db", migrations(0), lambda name, work: _spawn(tasks, name, work))
        store = MessageStore(database, Bites())
        for n in range(count):
            assert await add(store, record(n, n).model_copy(update={"body": WIDE}))
        assert len((await store.history(PEER, None, None, PAGE))[0]) == PAGE
        sizes, before_ts, before_id, more = [], None, None, True
        while more:
            page, more = await store.history(PEER, before_ts, before_id, 500)
            sizes.append(len(page))
            before_ts, before_id = page[-1].timestamp_ms, page[-1].id if by_id else None
        fit = PAGE_BYTES.value // BODY_LIMIT
        assert sizes == [fit, fit, 10]
        await database.close()


@pytest.mark.limit("bytes of messages on one page of a conversation")
async def test_a_page_holds_one_message_at_least(tmp_path: Path, lower: Lower) -> None:
    lower(PAGE_BYTES, 1)
    async with task_scope() as tasks:
        database = await Database.start(tmp_path / "m.db", migrations(0), lambda name, work: _spawn(tasks, name, work))
        store = MessageStore(database, Bites())
        for n in range(3):
            await add(store, record(n, n).model_copy(update={"body": WIDE}))
        page, more = await store.history(PEER, None, None, 500)
        assert ([message.timestamp_ms for message in page], more) == ([2], True)
        await database.close()
