"""Everybody hears everything, in order, after it is on disk, or is told how much was missed."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pimd.clock import ManualClock
from pimd.contract.peers import Forgotten, PeerDirectoryEvent, PeerInfoSource, Seen
from pimd.events import SUBSCRIBER_QUEUE, Lagged, Subscription
from pimd.ids import NodeId
from pimd.store import forget_listeners
from pimd.store.keystore import Keystore
from tests.limits import Lower

Person = Any
ROUTED, DIRECT = PeerInfoSource.ROUTED, PeerInfoSource.DIRECT


def heard(subscription: Subscription[PeerDirectoryEvent]) -> list[PeerDirectoryEvent | Lagged]:
    return list(iter(subscription.next_waiting, None))


async def test_seen_comes_after_the_commit_and_not_before(path: Path, keystore: Keystore, alice: Person) -> None:
    events = keystore.subscribe()
    keystore.learn(alice.card(1), direct=False)
    assert heard(events) == []
    event = await anext(events)
    assert event == Seen(alice.id, alice.key, "alice", ROUTED)
    with contextlib.closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT node_id FROM identities").fetchall() == [(alice.id,)]


async def test_the_events_of_a_life_come_in_order_with_their_source(keystore: Keystore, alice: Person) -> None:
    events = keystore.subscribe()
    await keystore.import_identity(alice.id, alice.key, "al")
    keystore.learn(alice.card(1), direct=False)
    keystore.learn(alice.card(1), direct=False)
    keystore.learn(alice.card_with_key(9, bytes(range(32))), direct=False)
    keystore.learn(alice.card(2, name="alice 2"), direct=True)
    await keystore.set_label(alice.id, "al")
    await keystore.set_blocked(alice.id, blocked=True)
    await keystore.forget(alice.id)
    keystore.learn(alice.card(2), direct=False)
    keystore.learn(alice.card(3), direct=False)
    await keystore.durable()
    assert heard(events) == [
        Seen(alice.id, alice.key, "al", ROUTED),
        Seen(alice.id, alice.key, "alice", ROUTED),
        Seen(alice.id, alice.key, "alice 2", DIRECT),
        Forgotten(alice.id),
        Seen(alice.id, alice.key, "alice", ROUTED),
    ]


async def test_an_import_that_changes_nothing_is_no_event(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(1), direct=False)
    await keystore.durable()
    events = keystore.subscribe()
    await keystore.import_identity(alice.id, alice.key, "al")
    assert heard(events) == []


async def test_a_subscriber_hears_nothing_from_before_its_subscription(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(1), direct=False)
    await keystore.durable()
    assert heard(keystore.subscribe()) == []


async def test_a_hundred_subscribers_hear_the_same_and_a_slow_one_slows_nobody(
    keystore: Keystore, crowd: list[Person]
) -> None:
    slow = keystore.subscribe()
    subscribers = [keystore.subscribe() for _ in range(100)]
    for seq in (1, 2):
        for peer in crowd:
            keystore.learn(peer.card(seq), direct=False)
        await keystore.durable()
    expected = [Seen(peer.id, peer.key, peer.name, ROUTED) for _ in (1, 2) for peer in crowd]
    assert all(heard(subscriber) == expected for subscriber in subscribers)
    assert heard(slow) == expected


@pytest.mark.limit("events waiting for one part of the daemon")
async def test_a_subscriber_too_far_behind_is_told_once_how_many_it_missed_and_goes_on(
    keystore: Keystore, alice: Person
) -> None:
    late, prompt = keystore.subscribe(), keystore.subscribe()
    count = SUBSCRIBER_QUEUE.value + 10
    names: list[str] = []
    for seq in range(1, count + 1):
        keystore.learn(alice.card(seq, name=str(seq)), direct=False)
        if seq % 512 == 0 or seq == count:
            await keystore.durable()
            names += [event.name for event in heard(prompt) if isinstance(event, Seen)]
    assert names == [str(seq) for seq in range(1, count + 1)]
    lagged, *rest = heard(late)
    assert lagged == Lagged(10)
    assert [event.name for event in rest if isinstance(event, Seen)] == names[10:]


# --- plugins that are told of forgetting


async def test_forget_returns_after_every_listener_did_and_after_the_event(keystore: Keystore, alice: Person) -> None:
    told: list[tuple[str, NodeId, list[Any]]] = []
    events = keystore.subscribe()

    def listener(name: str) -> Callable[[NodeId], Awaitable[None]]:
        async def listen(peer: NodeId) -> None:
            await asyncio.sleep(0)
            told.append((name, peer, heard(events)))

        return listen

    keystore.on_forgotten.extend([listener("one"), listener("two")])
    await keystore.import_identity(alice.id, alice.key, "al")
    heard(events)
    await keystore.forget(alice.id)
    assert told == [("one", alice.id, [Forgotten(alice.id)]), ("two", alice.id, [])]


async def test_a_listener_that_fails_is_logged_and_keeps_nobody_else_from_being_told(
    keystore: Keystore, alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[NodeId] = []

    async def faulty(_peer: NodeId) -> None:
        raise LookupError("mine")

    async def cancelling(_peer: NodeId) -> None:
        raise asyncio.CancelledError

    async def good(peer: NodeId) -> None:
        told.append(peer)

    keystore.on_forgotten.extend([faulty, cancelling, good])
    keystore.learn(alice.card(1), direct=False)
    assert await keystore.forget(alice.id)
    assert told == [alice.id]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_forget_answers_after_five_seconds_and_names_who_was_not_ready(
    keystore: Keystore, clock: ManualClock, alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    entered, release, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def sluggish(_peer: NodeId) -> None:
        entered.set()
        await release.wait()
        finished.set()

    keystore.on_forgotten.append(sluggish)
    keystore.learn(alice.card(1), direct=False)
    async with asyncio.TaskGroup() as group:
        forgetting = group.create_task(keystore.forget(alice.id))
        await entered.wait()
        clock.advance(4.9)
        await asyncio.sleep(0)
        assert not forgetting.done()
        clock.advance(0.2)
    assert forgetting.result()
    assert "sluggish" in caplog.text
    release.set()
    await finished.wait()


async def test_a_listener_that_never_returns_does_not_keep_the_keystore_from_closing(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    cancelled: list[bool] = []
    entered = asyncio.Event()

    async def endless(_peer: NodeId) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    async with Keystore.open(path, clock) as keystore:
        keystore.on_forgotten.append(endless)
        keystore.learn(alice.card(1), direct=False)
        async with asyncio.TaskGroup() as group:
            group.create_task(keystore.forget(alice.id))
            await entered.wait()
            clock.advance(5)
        assert cancelled == []
    assert cancelled == [True]


async def test_listeners_are_told_of_evictions_one_after_the_other(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    under_way = 0
    told: list[NodeId] = []
    all_told = asyncio.Event()

    async def listen(peer: NodeId) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await asyncio.sleep(0)
        under_way -= 1
        told.append(peer)
        if len(told) == 15:
            all_told.set()

    async with Keystore.open(path, clock, limit=5) as keystore:
        keystore.on_forgotten.append(listen)
        for peer in crowd:
            clock.advance(1)
            keystore.learn(peer.card(1), direct=False)
        await all_told.wait()
    assert told == [peer.id for peer in crowd[:15]]


@pytest.mark.limit("evicted identities that plugins are still to be told of")
async def test_evictions_that_plugins_are_too_slow_for_are_counted(
    path: Path, clock: ManualClock, crowd: list[Person], lower: Lower
) -> None:
    lower(forget_listeners.BACKLOG, 3)

    async def endless(_peer: NodeId) -> None:
        await asyncio.Event().wait()

    async with Keystore.open(path, clock, limit=5) as keystore:
        keystore.on_forgotten.append(endless)
        for peer in crowd:
            keystore.learn(peer.card(1), direct=False)
        await keystore.durable()
        assert keystore.bites[forget_listeners.BACKLOG] == 15 - 3


async def test_an_identity_that_leaves_in_the_last_moment_does_not_disturb_the_end(
    path: Path, clock: ManualClock, alice: Person, bob: Person, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[NodeId] = []

    async def listener(peer: NodeId) -> None:
        told.append(peer)

    async with Keystore.open(path, clock, limit=1) as keystore:
        keystore.on_forgotten.append(listener)
        keystore.learn(alice.card(1), direct=False)
        keystore.learn(bob.card(1), direct=False)
    assert caplog.records == []
    async with Keystore.open(path, clock) as keystore:
        assert [peer.node_id for peer in keystore.list()] == [bob.id]
    assert told == []
