"""Messages while clocks are wrong and jump: what is shown where, what fails, and what clients mean that name times."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pimd.clock import ManualClock
from pimd.contract import InvalidParams, NoParams
from pimd.database import Database
from pimd.ids import MessageId
from pimd.limits import Bites
from pimd.lived_time import STEADY_MS
from pimd.task_scope import task_scope
from pimd_features.messaging.models import EXPIRES_LIMIT_S, HistoryParams, MarkReadParams
from pimd_features.messaging.positions import UpTo
from pimd_features.messaging.schema import RECEIPTS_FOR_MS, migrations
from pimd_features.messaging.sending import EXPIRY_CHECK_S, REDIAL_S
from pimd_features.messaging.sessions import kept
from pimd_features.messaging.sessions.message import MSG_KIND
from pimd_features.messaging.store import MessageStore
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.features.messaging.storing import add
from tests.features.messaging.test_exchange import connect, pair
from tests.features.messaging.test_store import PEER, _spawn, record

DAY_S = 24 * 3600
NOW_MS = 1_800_000_000_000
IN_2038_MS = 2**31 * 1000
IN_2046_MS = NOW_MS + 20 * 365 * DAY_S * 1000
WRONG = [0, 30_000, NOW_MS - 3_600_000, NOW_MS + 600_000, IN_2038_MS, IN_2046_MS, 2**52]


async def bodies(party: Party, other: Party) -> list[str]:
    return [message.body for message in reversed(await party.messages(other))]


async def last_line(party: Party) -> tuple[str | None, int]:
    (one,) = (await party.running.list_conversations(NoParams())).conversations
    return one.last_message_preview, one.unread_count


async def step(party: Party, unix_ms: int) -> None:
    """Set its clock, and let all that happens by time happen."""
    party.clock.set_unix_ms(unix_ms)
    for _ in range(2):
        party.clock.advance(EXPIRY_CHECK_S)
        await settle(party.air)


# --- order


@pytest.mark.parametrize("alices_ms", WRONG)
@pytest.mark.parametrize("bobs_ms", [NOW_MS, 0, IN_2038_MS])
async def test_an_answer_stands_below_the_question_at_both_ends(party: MakeParty, alices_ms: int, bobs_ms: int) -> None:
    alice = await party("alice", ManualClock(unix_ms=alices_ms))
    bob = await party("bob", ManualClock(unix_ms=bobs_ms))
    connect(alice, bob)
    said = []
    for number in range(3):
        for source, target in ((alice, bob), (bob, alice)):
            said.append(f"{source.name} {number}")
            await source.say(target, said[-1])
            await settle(alice.air)
    for one, other in ((alice, bob), (bob, alice)):
        assert await bodies(one, other) == said
        assert (await last_line(one))[0] == "bob 2"


@pytest.mark.parametrize("later_ms", WRONG)
async def test_own_messages_stay_in_order_over_a_restart_with_another_clock(party: MakeParty, later_ms: int) -> None:
    alice = await party("alice", ManualClock(unix_ms=NOW_MS))
    bob = await party("bob")
    for number in range(3):
        await alice.say(bob, f"before {number}")
    await alice.kill()
    alice.clock.set_unix_ms(later_ms)
    await alice.start()
    for number in range(3):
        await alice.say(bob, f"after {number}")
    expected = [f"{when} {number}" for when in ("before", "after") for number in range(3)]
    assert await bodies(alice, bob) == expected
    assert (await last_line(alice))[0] == "after 2"
    connect(alice, bob)
    await settle(alice.air)
    assert sorted(await bodies(bob, alice)) == sorted(expected)


async def test_messages_leave_in_the_order_in_which_they_were_written(party: MakeParty) -> None:
    alice = await party("alice", ManualClock(unix_ms=NOW_MS))
    bob = await party("bob")
    for unix_ms in (NOW_MS, 0, IN_2038_MS, NOW_MS):
        alice.clock.set_unix_ms(unix_ms)
        await alice.say(bob, str(unix_ms))
    await alice.kill()
    await alice.start()
    waiting = [message.id for message in await alice.running._store.waiting()]
    assert waiting == [message.id for message in reversed(await alice.messages(bob))]


async def test_a_message_from_2038_does_not_stay_at_the_bottom(party: MakeParty) -> None:
    bob = await party("bob", ManualClock(unix_ms=IN_2038_MS))
    alice = await party("alice")
    connect(alice, bob)
    await alice.say(bob, "while the clock was wrong")
    await settle(alice.air)
    bob.clock.set_unix_ms(NOW_MS)
    await alice.say(bob, "after it was set")
    await settle(alice.air)
    assert await bodies(bob, alice) == ["while the clock was wrong", "after it was set"]
    assert await last_line(bob) == ("after it was set", 2)


async def test_conversations_are_listed_by_arrival(party: MakeParty) -> None:
    alice, bob = await pair(party)
    eve = await party("eve")
    connect(alice, eve)
    alice.clock.set_unix_ms(IN_2038_MS)
    await bob.say(alice, "first")
    await settle(alice.air)
    alice.clock.set_unix_ms(NOW_MS)
    await eve.say(alice, "second")
    await settle(alice.air)
    listed = (await alice.running.list_conversations(NoParams())).conversations
    assert [one.name for one in listed] == ["eve", "bob"]


async def test_a_position_is_never_used_again(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await alice.say(bob, "first")
    ((first,), _) = await alice.running._store.history(bob.id, None, None, 1)
    await alice.running.delete_all(NoParams())
    await alice.say(bob, "second")
    ((second,), _) = await alice.running._store.history(bob.id, None, None, 1)
    assert second.position > first.position


# --- expiry


async def waiting(party: MakeParty, count: int = 5, **more: int) -> tuple[Party, Party]:
    alice = await party("alice", ManualClock(unix_ms=NOW_MS))
    bob = await party("bob")
    for number in range(count):
        await alice.say(bob, f"waits {number}", **more)
    return alice, bob


@pytest.mark.parametrize("reboot", [False, True])
async def test_a_start_in_2046_for_3_s_fails_nothing(party: MakeParty, reboot: bool) -> None:  # noqa: FBT001
    alice, bob = await waiting(party)
    await alice.kill()
    if reboot:
        alice.clock.reboot()
    alice.clock.set_unix_ms(IN_2046_MS)
    await alice.start()
    alice.clock.advance(3)
    await settle(alice.air)
    await alice.kill()
    if reboot:
        alice.clock.reboot()
    alice.clock.set_unix_ms(NOW_MS)
    await alice.start()
    await step(alice, NOW_MS)
    connect(alice, bob)
    await settle(alice.air)
    assert sorted(await bodies(bob, alice)) == [f"waits {number}" for number in range(5)]


async def test_what_was_accepted_in_1970_is_delivered_after_the_clock_was_set(party: MakeParty) -> None:
    alice = await party("alice", ManualClock(unix_ms=30_000))
    bob = await party("bob")
    await alice.say(bob, "written before NTP answered")
    await step(alice, NOW_MS)
    connect(alice, bob)
    await settle(alice.air)
    assert await bodies(bob, alice) == ["written before NTP answered"]


@pytest.mark.usefixtures("looks_seldom")
async def test_after_14_days_of_life_it_fails_over_restarts_and_with_any_clock(party: MakeParty) -> None:
    alice, bob = await waiting(party, 1)
    for day in range(14):
        assert (await alice.messages(bob))[0].status == "pending"
        await alice.kill()
        alice.clock.set_unix_ms(WRONG[day % len(WRONG)])
        await alice.start()
        alice.clock.advance(DAY_S)
        await settle(alice.air)
    alice.clock.advance(EXPIRY_CHECK_S)
    await settle(alice.air)
    assert [(m.status, m.failure_reason) for m in await alice.messages(bob)] == [("failed", "expired")]


async def test_weeks_with_the_machine_off_count_once_the_clock_is_credible(party: MakeParty) -> None:
    alice, bob = await waiting(party, 1)
    alice.clock.advance(STEADY_MS / 1000)
    await settle(alice.air)
    await alice.kill()
    alice.clock.reboot()
    alice.clock.set_unix_ms(NOW_MS + 15 * DAY_S * 1000)
    await alice.start()
    for minute in range(10):
        assert (await alice.messages(bob))[0].status == "pending", minute
        alice.clock.advance(60)
        await settle(alice.air)
    assert (await alice.messages(bob))[0].status == "failed"


async def test_read_receipts_and_marks_of_deletion_do_not_end_by_a_jump(party: MakeParty) -> None:
    alice, bob = await pair(party)
    body = await alice.sealed(bob, MessageId(bytes(16)), 1, b"x")
    await bob.take(alice.id, MSG_KIND, body)
    await bob.running.mark_read(MarkReadParams(peer_node_id=alice.id, up_to_ts_ms=2**60))
    for unix_ms in (IN_2046_MS, 0, NOW_MS):
        await step(bob, unix_ms)
        await bob.running._store.forget_old(bob.clock.lived_ms())
        assert await bob.running._store.read_receipts(alice.id, bob.clock.lived_ms()) == [MessageId(bytes(16))]
    await bob.running.delete_all(NoParams())
    await step(bob, IN_2046_MS)
    await bob.running._store.forget_old(bob.clock.lived_ms())
    await bob.take(alice.id, MSG_KIND, body)
    assert await bob.messages(alice) == []


async def test_while_something_waits_for_a_route_peers_are_dialled_ahead_of_their_turn(party: MakeParty) -> None:
    alice, bob = await waiting(party, 1)
    for _ in range(6):
        alice.clock.advance(REDIAL_S)
        await settle(alice.air)
    assert alice.mesh.redials == 6
    connect(alice, bob)
    await settle(alice.air)
    for _ in range(3):
        alice.clock.advance(REDIAL_S)
        await settle(alice.air)
    assert alice.mesh.redials == 6


# --- what clients mean


TIMES = st.lists(st.sampled_from([1, 2, 3, 50, 99, 100, 101, 10**6]), min_size=1, max_size=25)


async def store_of(tasks: object, path: Path, times: list[int]) -> tuple[Database, MessageStore]:
    database = await Database.start(path, migrations(0), lambda *work: _spawn(tasks, *work))
    store = MessageStore(database, Bites())
    for number, time in enumerate(times):
        stored = await add(store, record(number, time))
        assert stored is not None
        assert stored[0].position == number + 1
    return database, store


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=TIMES, shown=st.integers(0, 24), now=st.sampled_from([0, 60, 100, 10**9]), by_id=st.booleans())
async def test_marking_up_to_what_is_shown_marks_all_of_it_and_with_an_id_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    times: list[int],
    shown: int,
    now: int,
    by_id: bool,  # noqa: FBT001
) -> None:
    shown = min(shown, len(times) - 1)
    async with task_scope() as tasks:
        database, store = await store_of(tasks, tmp_path_factory.mktemp("store") / "messages.db", times)
        last = record(shown, times[shown])
        marked = await store.mark_read(PEER, UpTo(last.timestamp_ms, last.id if by_id else None), now, 0)
        numbers = {int.from_bytes(id_) for id_ in marked}
        assert numbers >= set(range(shown + 1))
        if by_id:
            assert numbers == set(range(shown + 1))
        elif times[shown] >= now:
            assert numbers == set(range(len(times)))
        conversation = await store.conversation(PEER)
        assert conversation is not None
        assert conversation.unread == len(times) - len(numbers)
        await database.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=TIMES, now=st.integers(1, 10**6 + 2))
async def test_marking_up_to_a_moment_ago_marks_all_that_arrived_before(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], now: int
) -> None:
    """As a client does that passes the time at which its user looked; later ones come from a clock that was wrong."""
    async with task_scope() as tasks:
        database, store = await store_of(tasks, tmp_path_factory.mktemp("store") / "messages.db", times)
        unknown = now - 1 not in times
        marked = await store.mark_read(PEER, UpTo(now - 1), now, 0)
        if unknown and now not in times:
            assert len(marked) == len(times)
        await database.close()


async def test_a_page_below_a_time_that_nothing_has_begins_with_all_from_before_it(tmp_path: Path) -> None:
    async with task_scope() as tasks:
        database, store = await store_of(tasks, tmp_path / "messages.db", [10, 500, 20, 30, 900])

        async def page(before_ts_ms: int) -> list[str]:
            messages, _ = await store.history(PEER, before_ts_ms, None, 10)
            return [message.body for message in messages]

        assert await page(25) == ["2", "1", "0"]
        assert await page(30) == ["2", "1", "0"]
        assert await page(600) == ["3", "2", "1", "0"]
        assert await page(5) == []
        assert await page(2**60) == ["4", "3", "2", "1", "0"]
        await database.close()


async def test_a_page_below_now_begins_with_what_a_clock_in_the_future_stamped(party: MakeParty) -> None:
    alice, bob = await party("alice", ManualClock(unix_ms=NOW_MS)), await party("bob")
    for unix_ms in (NOW_MS, IN_2038_MS):
        alice.clock.set_unix_ms(unix_ms)
        await alice.say(bob, str(unix_ms))
    alice.clock.set_unix_ms(NOW_MS + 1000)
    for before_ts_ms in (NOW_MS + 500, NOW_MS + 1000, NOW_MS + 2000):
        params = HistoryParams(peer_node_id=bob.id, before_ts_ms=before_ts_ms)
        found = [message.body for message in (await alice.running.history(params)).messages]
        assert found == [str(IN_2038_MS), str(NOW_MS)]


async def test_the_id_wins_over_the_time_and_an_unknown_one_falls_back_to_it(party: MakeParty) -> None:
    alice, bob = await party("alice", ManualClock(unix_ms=NOW_MS)), await party("bob")
    sent = []
    for unix_ms in (NOW_MS, NOW_MS + 5, NOW_MS - 5):
        alice.clock.set_unix_ms(unix_ms)
        sent.append(await alice.say(bob, str(unix_ms - NOW_MS)))

    async def page(**more: object) -> list[str]:
        history = await alice.running.history(HistoryParams.model_validate({"peer_node_id": str(bob.id), **more}))
        return [message.body for message in history.messages]

    assert await page(before_id=str(sent[1].id), before_ts_ms=NOW_MS - 5) == ["0"]
    assert await page(before_id="ab" * 16, before_ts_ms=NOW_MS + 5) == ["0"]
    with pytest.raises(InvalidParams, match="abab"):
        await page(before_id="ab" * 16)


@pytest.mark.parametrize("limit", [2, 3])
async def test_a_page_by_time_grows_by_500_at_most(tmp_path: Path, limit: int) -> None:
    async with task_scope() as tasks:
        database, store = await store_of(tasks, tmp_path / "messages.db", [1, *[7] * 520])
        page, more = await store.history(PEER, None, None, limit)
        assert (len(page), more) == (limit + 500, True)
        assert [message.body for message in page] == [str(number) for number in range(520, 20 - limit, -1)]
        await database.close()


async def test_a_message_with_the_id_of_one_sent_to_its_author_is_not_stored(party: MakeParty) -> None:
    alice, bob = await pair(party)
    sent = await alice.say(bob, "mine")
    body = await bob.sealed(alice, sent.id, 1, b"x")
    await alice.take(bob.id, MSG_KIND, body)
    assert await bodies(alice, bob) == ["mine"]


# --- stores of before


async def test_a_store_of_before_keeps_its_order_of_arrival_and_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "messages.db"
    day_ms = DAY_S * 1000
    async with task_scope() as tasks:
        database = await Database.start(path, migrations(0)[:1], lambda *work: _spawn(tasks, *work))
        await database.close()
    sent = "INSERT INTO messages (peer, id, direction, body, timestamp_ms, status, expires_ms) VALUES (?, ?, 'sent', ?, ?, ?, ?)"
    received = (
        "INSERT INTO messages (peer, id, direction, body, timestamp_ms, status, delivered_at_ms)"
        " VALUES (?, ?, 'received', ?, ?, 'delivered', ?)"
    )
    peer = bytes(PEER)
    with sqlite3.connect(path) as connection:
        connection.execute(received, (peer, b"b" * 16, "arrived late\nand is the last", 50, 400))
        connection.execute(sent, (peer, b"c" * 16, "first", 100, "sent", 100 + 3 * day_ms))
        connection.execute(sent, (peer, b"a" * 16, "in 1970", 200, "pending", 200 + 99 * day_ms))
        connection.execute(sent, (peer, b"d" * 16, "out of time", 300, "pending", 299))
        connection.execute("INSERT INTO conversations VALUES (?, 1, 'out of time', 300, 1, 5)", (peer,))
        connection.execute("INSERT INTO deleted VALUES (?, ?, 77)", (peer, b"e" * 16))
        connection.execute("INSERT INTO read_receipts VALUES (?, ?, 77)", (peer, b"f" * 16))
    connection.close()
    async with task_scope() as tasks:
        database = await Database.start(path, migrations(5000), lambda *work: _spawn(tasks, *work))
        store = MessageStore(database, Bites())
        page, _ = await store.history(PEER, None, None, 10)
        assert [(m.position, m.body.partition("\n")[0]) for m in page] == [
            (4, "arrived late"),
            (3, "out of time"),
            (2, "in 1970"),
            (1, "first"),
        ]
        assert [message.expires_lived_ms - 5000 for message in await store.waiting()] == [
            3 * day_ms,
            1000 * EXPIRES_LIMIT_S,
            0,
        ]
        conversation = await store.conversation(PEER)
        assert conversation is not None
        assert (conversation.last_preview, conversation.last_ts_ms) == ("arrived late and is the last", 50)
        await store.forget_old(5000 + RECEIPTS_FOR_MS - 1)
        known = await database.query(
            lambda connection: [kept.is_known(connection, PEER, MessageId(raw * 16)) for raw in (b"e", b"x")]
        )
        assert known == [True, False]
        assert await store.read_receipts(PEER, 5000 + RECEIPTS_FOR_MS - 1) == [MessageId(b"f" * 16)]
        await database.close()
