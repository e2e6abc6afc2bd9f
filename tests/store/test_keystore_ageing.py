"""Who ages out of the keystore, who never does, and what is kept of those who did."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract.peers import Forgotten
from pimd.database import Database, DatabaseError
from pimd.ids import NodeId
from pimd.store import ageing
from pimd.store.ageing import FIRST_AFTER_S, INTERVAL_MIN_S, LIFETIME_MIN_S, age_out_identities
from pimd.store.eviction import InUse
from pimd.store.keystore import Keystore
from pimd.store.keystore_rows import MIGRATIONS
from pimd.store.learned import Learned
from pimd.task_scope import task_scope
from tests.store.test_keystore_limit import known_ids

Person = Any
ALL = 1000
DAY_S = 24 * 3600


def age(keystore: Keystore, clock: ManualClock, most: int = ALL) -> int:
    """Let go of everybody who was not seen in this very moment."""
    return keystore.age_out(clock.lived_ms(), most)


async def test_who_was_not_seen_for_long_leaves_and_everybody_is_told(
    path: Path, clock: ManualClock, alice: Person, bob: Person
) -> None:
    told: list[NodeId] = []

    async def listener(peer: NodeId) -> None:
        told.append(peer)

    async with Keystore.open(path, clock) as keystore:
        keystore.on_forgotten.append(listener)
        keystore.learn(alice.card(1), direct=False)
        clock.advance(1)
        keystore.learn(bob.card(1), direct=False)
        await keystore.durable()
        events = keystore.subscribe()
        assert age(keystore, clock) == 1
        await keystore.durable()
        await keystore.forget(bob.id)  # answers once everybody was told
        assert list(iter(events.next_waiting, None)) == [Forgotten(alice.id), Forgotten(bob.id)]
        assert sorted(told) == sorted([alice.id, bob.id])
        assert keystore.counters["identities_aged_out"] == 1
    async with Keystore.open(path, clock) as keystore:
        assert keystore.get(alice.id) is None


async def test_a_newer_card_keeps_an_identity_young(path: Path, clock: ManualClock, alice: Person) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(1), direct=False)
        clock.advance(1)
        keystore.learn(alice.card(2), direct=False)
        assert age(keystore, clock) == 0


async def test_friends_blocked_ones_and_those_with_a_route_stay(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    contact, labelled, pinned, configured, linked, imported, blocked, routed, stranger = crowd[:9]
    with_route = {routed.id}
    in_use = InUse(with_route.__contains__, {configured.id}.__contains__, {linked.id}.__contains__)
    async with Keystore.open(path, clock, in_use) as keystore:
        for peer in (contact, labelled, pinned, configured, blocked, routed, stranger):
            keystore.learn(peer.card(1), direct=False)
        keystore.learn(linked.card(1), direct=True)
        await keystore.set_contact(contact.id, contact=True)
        await keystore.set_label(labelled.id, "l")
        await keystore.pin(Endpoint.tcp("p", 1), pinned.id)
        await keystore.set_blocked(blocked.id, blocked=True)
        await keystore.import_identity(imported.id, imported.key, "i")
        clock.advance(1)
        assert age(keystore, clock) == 1
        assert known_ids(keystore) == {peer.id for peer in crowd[:8]}
        await keystore.set_blocked(blocked.id, blocked=False)
        with_route.clear()
        assert age(keystore, clock) == 2
        assert known_ids(keystore) == {peer.id for peer in crowd[:6]}


async def test_only_so_many_leave_at_once(path: Path, clock: ManualClock, crowd: list[Person]) -> None:
    async with Keystore.open(path, clock) as keystore:
        for peer in crowd:
            keystore.learn(peer.card(1), direct=False)
        clock.advance(1)
        assert [age(keystore, clock, 8) for _ in range(4)] == [8, 8, 4, 0]


async def test_an_old_copy_of_the_card_does_not_bring_it_back_and_a_newer_one_does(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(5), direct=False)
        clock.advance(1)
        age(keystore, clock)
        assert keystore.learn(alice.card(5), direct=False) is Learned.FORGOTTEN
    async with Keystore.open(path, clock) as keystore:
        assert keystore.learn(alice.card(4), direct=False) is Learned.FORGOTTEN
        assert keystore.learn(alice.card(6), direct=False) is Learned.NEW
        await keystore.forget(alice.id)
        assert keystore.learn(alice.card(6), direct=False) is Learned.FORGOTTEN
        assert keystore.learn(alice.card(7), direct=False) is Learned.NEW


async def test_a_link_brings_back_who_aged_out(path: Path, clock: ManualClock, alice: Person) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(5), direct=False)
        clock.advance(1)
        age(keystore, clock)
        assert keystore.learn(alice.card(5), direct=True) is Learned.NEW


@pytest.mark.limit("marks of forgotten identities", "marks of aged out identities")
async def test_of_those_who_went_only_so_many_are_remembered_the_newest(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    async with Keystore.open(path, clock, gone_limit=4) as keystore:
        for peer in crowd[:6]:
            keystore.learn(peer.card(1), direct=False)
            clock.advance(1)
            age(keystore, clock)
        for peer in crowd[6:12]:
            clock.advance(1)
            keystore.learn(peer.card(1), direct=False)
            await keystore.forget(peer.id)
    async with Keystore.open(path, clock, gone_limit=4) as keystore:
        outcomes = [keystore.learn(peer.card(1), direct=False) for peer in crowd[:12]]
        expected = [Learned.NEW] * 2 + [Learned.FORGOTTEN] * 4
        assert outcomes == expected * 2  # what ages out never pushes out what the user said


async def test_after_a_restart_the_one_that_went_first_is_dropped_first(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    by_time = list(reversed(crowd[:5]))  # not in the order of the ids
    async with Keystore.open(path, clock, gone_limit=4) as keystore:
        for peer in by_time[:4]:
            keystore.learn(peer.card(1), direct=False)
            clock.advance(1)
            age(keystore, clock)
    async with Keystore.open(path, clock, gone_limit=4) as keystore:
        keystore.learn(by_time[4].card(1), direct=False)
        clock.advance(1)
        age(keystore, clock)
        assert [keystore.learn(peer.card(1), direct=False) for peer in by_time] == [Learned.NEW] + [
            Learned.FORGOTTEN
        ] * 4


async def test_what_was_forgotten_before_this_version_stays_forgotten(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    async with Database.open(path, MIGRATIONS[:1], clock=clock):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO forgotten VALUES (?, 5)", (bytes(alice.id),))
    connection.close()
    async with Keystore.open(path, clock) as keystore:
        assert keystore.learn(alice.card(5), direct=False) is Learned.FORGOTTEN
        assert keystore.learn(alice.card(6), direct=False) is Learned.NEW


# --- the task


class Cleaning:
    """The task on a clock that the test moves."""

    def __init__(self, keystore: Keystore, clock: ManualClock) -> None:
        self.keystore = keystore
        self.clock = clock

    async def pass_time(self, *seconds: float) -> int:
        """Move on step by step, each with all its work done; return how many identities are left."""
        for step in seconds:
            self.clock.advance(step)
            for _ in range(10):
                await asyncio.sleep(0)
                with contextlib.suppress(DatabaseError):
                    await self.keystore.durable()
        return len(self.keystore.list())


async def test_they_leave_when_their_time_is_over_and_not_while_the_daemon_has_just_started(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    async with Keystore.open(path, clock) as keystore:
        for peer in crowd:
            keystore.learn(peer.card(1), direct=False)
    clock.advance(90 * DAY_S + 1)  # it was off all that time
    async with Keystore.open(path, clock) as keystore, task_scope() as tasks:
        task = tasks.create_task(age_out_identities(keystore, clock, 90 * DAY_S, DAY_S))
        cleaning = Cleaning(keystore, clock)
        assert await cleaning.pass_time(0, FIRST_AFTER_S - 1) == 20
        keystore.learn(crowd[0].card(2), direct=False)
        assert await cleaning.pass_time(1) == 1
        assert await cleaning.pass_time(*[DAY_S] * 89) == 1
        assert await cleaning.pass_time(DAY_S) == 0
        task.cancel()


async def test_what_is_configured_too_short_counts_as_an_hour_and_a_minute(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    async with Keystore.open(path, clock) as keystore, task_scope() as tasks:
        task = tasks.create_task(age_out_identities(keystore, clock, 0, 0))
        cleaning = Cleaning(keystore, clock)
        await cleaning.pass_time(0, FIRST_AFTER_S)
        keystore.learn(crowd[0].card(1), direct=False)
        assert await cleaning.pass_time(*[INTERVAL_MIN_S] * (LIFETIME_MIN_S // INTERVAL_MIN_S)) == 1
        assert await cleaning.pass_time(INTERVAL_MIN_S - 1) == 1
        assert await cleaning.pass_time(1) == 0
        task.cancel()


async def test_many_leave_in_portions_with_a_pause_between(
    path: Path, clock: ManualClock, crowd: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ageing, "AT_ONCE", 8)
    async with Keystore.open(path, clock) as keystore, task_scope() as tasks:
        for peer in crowd:
            keystore.learn(peer.card(1), direct=False)
        clock.advance(2 * LIFETIME_MIN_S)
        task = tasks.create_task(age_out_identities(keystore, clock, LIFETIME_MIN_S, DAY_S))
        cleaning = Cleaning(keystore, clock)
        assert await cleaning.pass_time(0, FIRST_AFTER_S) == 12
        assert [await cleaning.pass_time(ageing.PAUSE_S) for _ in range(3)] == [4, 0, 0]
        task.cancel()


async def test_while_the_disk_refuses_nobody_leaves_and_it_is_tried_again(
    path: Path, clock: ManualClock, crowd: list[Person], caplog: pytest.LogCaptureFixture
) -> None:
    async with Keystore.open(path, clock) as keystore, task_scope() as tasks:
        for peer in crowd:
            keystore.learn(peer.card(1), direct=False)
        clock.advance(2 * LIFETIME_MIN_S)
        await keystore.durable()
        database = keystore._mirror._database
        await database.read("PRAGMA query_only = ON")
        task = tasks.create_task(age_out_identities(keystore, clock, LIFETIME_MIN_S, DAY_S))
        cleaning = Cleaning(keystore, clock)
        assert await cleaning.pass_time(0, FIRST_AFTER_S) == 20
        assert "could not be removed" in caplog.text
        await database.read("PRAGMA query_only = OFF")
        assert await cleaning.pass_time(DAY_S) == 0
        task.cancel()
