"""The bus never loses silently, tokens cancel downwards, and time moves only by hand."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.clock import ManualClock
from pimd.contract import CancellationToken, Lagged, after_answer
from pimd.events import EVENTS_IN_A_ROW, SUBSCRIBER_QUEUE, Topic


async def test_every_subscriber_gets_every_event_after_its_subscription_in_order() -> None:
    topic: Topic[int] = Topic()
    topic.publish(0)
    first = topic.subscribe()
    topic.publish(1)
    second = topic.subscribe()
    topic.publish(2)
    assert [await anext(first), await anext(first), await anext(second)] == [1, 2, 2]
    first.close()
    topic.publish(3)
    assert await anext(second) == 3
    with pytest.raises(StopAsyncIteration):
        await anext(first)


async def test_a_subscriber_with_much_to_catch_up_on_lets_others_have_their_turn() -> None:
    topic: Topic[int] = Topic()
    subscription = topic.subscribe()
    for number in range(10 * EVENTS_IN_A_ROW):
        topic.publish(number)
    turns: list[int] = []

    async def read() -> None:
        async for event in subscription:
            turns[-1] += 1
            if event == 10 * EVENTS_IN_A_ROW - 1:
                return

    async with asyncio.TaskGroup() as tasks:
        turns.append(0)
        reading = tasks.create_task(read())
        while not reading.done():
            await asyncio.sleep(0)
            turns.append(0)
    assert max(turns) == EVENTS_IN_A_ROW


@pytest.mark.limit("events waiting for one part of the daemon")
async def test_a_subscriber_that_lags_is_told_once_and_goes_on_and_slows_nobody() -> None:
    topic: Topic[int] = Topic()
    slow, quick = topic.subscribe(), topic.subscribe()
    got = []
    for number in range(SUBSCRIBER_QUEUE.value + 7):
        topic.publish(number)
        got.append(await anext(quick))
    assert got == list(range(SUBSCRIBER_QUEUE.value + 7))
    assert await anext(slow) == Lagged(7)
    assert [await anext(slow) for _ in range(SUBSCRIBER_QUEUE.value)] == list(range(7, SUBSCRIBER_QUEUE.value + 7))
    topic.publish(-1)
    assert await anext(slow) == -1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["publish", "take"]), max_size=60), st.integers(1, 5))
def test_what_is_delivered_and_what_was_missed_add_up(steps: list[str], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SUBSCRIBER_QUEUE, "value", limit)
        assert_nothing_is_lost_without_a_word(steps, limit)


def assert_nothing_is_lost_without_a_word(steps: list[str], limit: int) -> None:
    topic: Topic[int] = Topic()
    subscription = topic.subscribe()
    published, seen = 0, 0
    for step in [*steps, *["take"] * (limit + 1)]:
        if step == "publish":
            topic.publish(published)
            published += 1
            continue
        event = subscription.next_waiting()
        if isinstance(event, Lagged):
            seen += event.missed
        elif event is not None:
            assert event == seen
            seen += 1
    assert seen == published


async def test_a_token_cancels_what_is_below_it_and_nothing_above() -> None:
    parent = CancellationToken()
    child, other = parent.child(), parent.child()
    child.cancel()
    assert (child.is_cancelled, parent.is_cancelled, other.is_cancelled) == (True, False, False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other.cancelled())
        parent.cancel()
    parent.cancel()
    assert parent.child().is_cancelled


async def test_the_manual_clock_runs_timers_at_their_own_times() -> None:
    clock, ran = ManualClock(), list[tuple[str, float]]()
    start = clock.now()
    for name, after in (("b", 2.0), ("a", 1.0), ("c", 2.0)):
        clock.call_at(start + after, lambda name=name: ran.append((name, clock.now() - start)))  # type: ignore[misc]
    clock.call_at(start + 1.5, lambda: ran.append(("never", 0))).cancel()
    clock.advance(1.9)
    assert ran == [("a", 1.0)]
    clock.advance(0.1)
    assert ran == [("a", 1.0), ("b", 2.0), ("c", 2.0)]
    before = clock.unix_ms()
    clock.set_unix_ms(5)
    clock.advance(1.0)
    assert (clock.unix_ms(), before > 5) == (1005, True)
    async with asyncio.TaskGroup() as tasks:
        sleeper = tasks.create_task(clock.sleep(10.0))
        await asyncio.sleep(0)
        clock.advance(9.0)
        await asyncio.sleep(0)
        assert not sleeper.done()
        clock.advance(1.0)


def test_outside_a_call_what_waits_for_the_answer_runs_at_once() -> None:
    ran: list[int] = []
    after_answer(lambda: ran.append(1))
    assert ran == [1]
