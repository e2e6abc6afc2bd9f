"""Who leaves a full keystore, and who never does."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract.peers import Forgotten, PeerInfoSource, Seen
from pimd.database import DatabaseError
from pimd.ids import NodeId
from pimd.proto.cards import Card
from pimd.store.eviction import InUse
from pimd.store.keystore import IDENTITIES_KEPT, Keystore
from pimd.store.learned import Learned

Person = Any


def known_ids(keystore: Keystore) -> set[NodeId]:
    return {peer.node_id for peer in keystore.list()}


@pytest.mark.limit("identities")
async def test_the_one_not_seen_for_longest_goes_and_it_is_told_before_the_new_one(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    async with Keystore.open(path, clock, limit=3) as keystore:
        for peer in crowd[:3]:
            clock.advance(1)
            keystore.learn(peer.card(1), direct=False)
        clock.advance(1)
        keystore.learn(crowd[0].card(2), direct=False)
        await keystore.durable()
        events = keystore.subscribe()
        assert keystore.learn(crowd[3].card(1), direct=False) is Learned.NEW
        assert known_ids(keystore) == {crowd[index].id for index in (0, 2, 3)}
        await keystore.durable()
        new = crowd[3]
        assert list(iter(events.next_waiting, None)) == [
            Forgotten(crowd[1].id),
            Seen(new.id, new.key, new.name, PeerInfoSource.ROUTED),
        ]
        assert keystore.counters["identities_evicted"] == 1
    async with Keystore.open(path, clock, limit=3) as keystore:
        assert known_ids(keystore) == {crowd[index].id for index in (0, 2, 3)}


@pytest.mark.parametrize("wall_ms", [0, 2**31 * 1000])
async def test_a_clock_that_jumps_changes_nothing_of_who_goes_first(
    path: Path, clock: ManualClock, crowd: list[Person], wall_ms: int
) -> None:
    async with Keystore.open(path, clock, limit=3) as keystore:
        keystore.learn(crowd[2].card(1), direct=False)
        for peer in crowd[:2]:
            clock.advance(1)
            clock.set_unix_ms(wall_ms)
            keystore.learn(peer.card(1), direct=False)
        clock.set_unix_ms(2**40)
        assert keystore.learn(crowd[3].card(1), direct=False) is Learned.NEW
        assert known_ids(keystore) == {crowd[index].id for index in (0, 1, 3)}


async def test_who_brought_what_the_disk_refused_is_forgotten(
    path: Path, clock: ManualClock, crowd: list[Person], alice: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        await keystore._mirror._database.read("PRAGMA query_only = 1")
        for peer in crowd:
            keystore.learn(peer.card(1), direct=False, brought_by=str(alice.id))
            with pytest.raises(DatabaseError):
                await keystore.durable()
        assert (len(keystore.list()), len(keystore._sources.table), len(keystore._sources.victims)) == (0, 0, 0)
        await keystore._mirror._database.read("PRAGMA query_only = 0")


async def test_an_evicted_peer_may_come_back_with_the_same_card(
    path: Path, clock: ManualClock, alice: Person, bob: Person
) -> None:
    async with Keystore.open(path, clock, limit=1) as keystore:
        for peer in (alice, bob, alice):
            assert keystore.learn(peer.card(1), direct=False) is Learned.NEW
        assert known_ids(keystore) == {alice.id}


async def test_those_without_a_route_go_first(path: Path, clock: ManualClock, crowd: list[Person]) -> None:
    reachable = {crowd[0].id, crowd[1].id}
    async with Keystore.open(path, clock, InUse(has_route=reachable.__contains__), limit=4) as keystore:
        for peer in crowd[:6]:
            clock.advance(1)
            keystore.learn(peer.card(1), direct=False)
        assert known_ids(keystore) == reachable | {crowd[4].id, crowd[5].id}


async def test_when_all_have_routes_those_of_the_neighbour_that_brought_the_most_go(
    path: Path, clock: ManualClock, crowd: list[Person], alice: Person, bob: Person
) -> None:
    async with Keystore.open(path, clock, InUse(has_route=lambda _: True), limit=6) as keystore:
        for peer in crowd[:2]:
            keystore.learn(peer.card(1), direct=False, brought_by=str(alice.id))
        for peer in crowd[2:12]:
            clock.advance(1)
            keystore.learn(peer.card(1), direct=False, brought_by=str(bob.id))
        assert known_ids(keystore) == {peer.id for peer in (*crowd[:2], *crowd[8:12])}


async def test_contacts_pinned_configured_and_linked_peers_never_go_and_then_strangers_are_refused(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    contact, labelled, pinned, configured, linked, imported, *strangers = crowd
    in_use = InUse(is_configured={configured.id}.__contains__, is_linked={linked.id}.__contains__)
    async with Keystore.open(path, clock, in_use, limit=6) as keystore:
        for peer in (contact, labelled, pinned, configured):
            keystore.learn(peer.card(1), direct=False)
        keystore.learn(linked.card(1), direct=True)
        await keystore.set_contact(contact.id, contact=True)
        await keystore.set_label(labelled.id, "l")
        await keystore.pin(Endpoint.tcp("p", 1), pinned.id)
        await keystore.import_identity(imported.id, imported.key, "i")
        kept = known_ids(keystore)
        for stranger in strangers:
            assert keystore.learn(stranger.card(1), direct=False) is Learned.FULL
        assert known_ids(keystore) == kept == {peer.id for peer in crowd[:6]}
        assert keystore.counters["cards_without_room"] == len(strangers)
        assert keystore.learn(contact.card(2), direct=False) is Learned.NEW


async def test_who_is_configured_or_a_contact_has_room_even_then(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    one, other, configured, contact, stranger = crowd[:5]
    in_use = InUse(is_configured={configured.id}.__contains__, is_linked={one.id, other.id}.__contains__)
    async with Keystore.open(path, clock, in_use, limit=2) as keystore:
        for peer in (one, other):
            keystore.learn(peer.card(1), direct=True)
        await keystore.set_contact(contact.id, contact=True)
        assert keystore.learn(configured.card(1), direct=True) is Learned.NEW
        assert keystore.learn(contact.card(1), direct=False) is Learned.NEW
        assert keystore.learn(stranger.card(1), direct=True) is Learned.FULL


async def test_what_the_user_imports_has_room_even_then(path: Path, clock: ManualClock, crowd: list[Person]) -> None:
    async with Keystore.open(path, clock, limit=2) as keystore:
        for peer in crowd[:4]:
            assert await keystore.import_identity(peer.id, peer.key, peer.name)
        assert known_ids(keystore) == {peer.id for peer in crowd[:4]}
        await keystore.set_contact(crowd[0].id, contact=False)
        assert keystore.learn(crowd[5].card(1), direct=False) is Learned.FULL
        assert known_ids(keystore) == {peer.id for peer in crowd[1:4]}


async def test_a_victim_that_became_a_contact_or_got_a_route_meanwhile_stays(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    with_route: set[NodeId] = set()
    async with Keystore.open(path, clock, InUse(has_route=with_route.__contains__), limit=500) as keystore:
        for number in range(500):
            clock.advance(1)
            keystore.learn(unsigned_card(number), direct=False)
        keystore.learn(unsigned_card(500), direct=False)  # five were chosen, the first is gone
        second, third, fourth = (unsigned_card(number).node_id for number in (1, 2, 3))
        await keystore.set_contact(second, contact=True)
        with_route.add(third)
        keystore.learn(alice.card(1), direct=False)
        assert keystore.get(second) is not None
        assert keystore.get(third) is not None
        assert keystore.get(fourth) is None


async def test_who_linked_once_goes_when_the_link_is_over(path: Path, clock: ManualClock, crowd: list[Person]) -> None:
    linked = {crowd[0].id}
    async with Keystore.open(path, clock, InUse(is_linked=linked.__contains__), limit=2) as keystore:
        keystore.learn(crowd[0].card(1), direct=True, brought_by="192.0.2.1")
        keystore.learn(crowd[1].card(1), direct=True, brought_by="192.0.2.1")
        assert keystore.learn(crowd[2].card(1), direct=True, brought_by="192.0.2.1") is Learned.NEW
        assert known_ids(keystore) == {crowd[0].id, crowd[2].id}
        linked.clear()
        keystore.learn(crowd[3].card(1), direct=True, brought_by="192.0.2.1")
        keystore.learn(crowd[4].card(1), direct=True, brought_by="192.0.2.1")
        assert crowd[0].id not in known_ids(keystore)


async def test_many_from_one_address_displace_each_other_and_nobody_else_over_a_restart_too(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    honest, met, *_ = crowd
    for _ in range(2):
        async with Keystore.open(path, clock, limit=50) as keystore:
            if keystore.get(honest.id) is None:
                keystore.learn(honest.card(1), direct=False, brought_by="198.51.100.7")
                keystore.learn(met.card(1), direct=True, brought_by="203.0.113.5")
            for number in range(500):
                clock.advance(1)
                keystore.learn(unsigned_card(number), direct=True, brought_by="192.0.2.1")
            assert {honest.id, met.id} < known_ids(keystore)
            assert len(keystore.list()) == 50


async def test_on_one_machine_those_met_on_a_link_are_one_group(
    path: Path, clock: ManualClock, crowd: list[Person], alice: Person
) -> None:
    async with Keystore.open(path, clock, limit=30) as keystore:
        for peer in crowd:
            keystore.learn(peer.card(1), direct=False, brought_by=str(alice.id))
        for number in range(100):
            card = unsigned_card(number)
            keystore.learn(card, direct=True, brought_by=str(card.node_id))
        assert len(known_ids(keystore) & {peer.id for peer in crowd}) >= 14  # about as many as of the group


async def test_nobody_moves_an_identity_to_another_source_but_itself(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(1), direct=False, brought_by="one")
        keystore.learn(alice.card(2), direct=False, brought_by="other")
        assert keystore.brought_by(alice.id) == "one"
        keystore.met(alice.id, direct=True, brought_by="own")
        await keystore.durable()
        assert keystore.brought_by(alice.id) == "own"
    async with Keystore.open(path, clock) as keystore:
        assert keystore.brought_by(alice.id) == "own"
        await keystore.forget(alice.id)
        assert keystore.brought_by(alice.id) == ""


async def test_who_is_needed_by_a_feature_stays(path: Path, clock: ManualClock, crowd: list[Person]) -> None:
    async with Keystore.open(path, clock, limit=2) as keystore:
        end = keystore.keep({crowd[0].id}.__contains__)
        for peer in crowd[:4]:
            keystore.learn(peer.card(1), direct=False)
        assert known_ids(keystore) == {crowd[0].id, crowd[3].id}
        clock.advance(1)
        assert keystore.age_out(clock.unix_ms(), 10) == 1
        end()
        assert keystore.age_out(clock.unix_ms(), 10) == 1


async def test_rows_that_a_script_wrote_are_candidates_like_others(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for number in range(4):
            card = unsigned_card(number)
            row = (bytes(card.node_id), card.x25519_pub, "n", "direct", card.raw, 1, 0, number, number)
            connection.execute("INSERT INTO identities VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    async with Keystore.open(path, clock, limit=4) as keystore:
        keystore.learn(unsigned_card(9), direct=False)
        assert known_ids(keystore) == {unsigned_card(number).node_id for number in (1, 2, 3, 9)}


async def test_what_the_disk_refused_to_evict_is_a_candidate_again(
    path: Path, clock: ManualClock, crowd: list[Person]
) -> None:
    async with Keystore.open(path, clock, limit=2) as keystore:
        for peer in crowd[:2]:
            keystore.learn(peer.card(1), direct=False, brought_by="one")
        await keystore.durable()
        await keystore._mirror._database.read("PRAGMA query_only = 1")
        keystore.learn(crowd[2].card(1), direct=False, brought_by="one")
        with pytest.raises(DatabaseError):
            await keystore.durable()
        await keystore._mirror._database.read("PRAGMA query_only = 0")
        assert known_ids(keystore) == {crowd[0].id, crowd[1].id}
        for peer in crowd[3:5]:
            keystore.learn(peer.card(1), direct=False, brought_by="one")
        assert known_ids(keystore) == {crowd[3].id, crowd[4].id}
        assert len(keystore._sources.victims) == len(keystore._sources.table) == 2


async def test_looking_for_room_that_is_not_there_is_not_paid_for_by_every_card(path: Path, clock: ManualClock) -> None:
    asked: list[NodeId] = []
    kept: set[NodeId] = set()

    def configured(node_id: NodeId) -> bool:
        asked.append(node_id)
        return node_id in kept

    async with Keystore.open(path, clock, InUse(is_configured=configured), limit=1000) as keystore:
        for number in range(1000):
            kept.add(unsigned_card(number).node_id)
            keystore.learn(unsigned_card(number), direct=False)
        for number in range(1000, 1100):
            assert keystore.learn(unsigned_card(number), direct=False) is Learned.FULL
    assert len(asked) <= 11 * 1000


def unsigned_card(number: int) -> Card:
    """A card as far as the keystore looks at one; signatures are checked before it."""
    ed25519_pub = hashlib.sha256(b"%d" % number).digest()
    x25519_pub = hashlib.sha256(ed25519_pub).digest()
    return Card(ed25519_pub, x25519_pub, 1, 0, f"peer {number}", b"", b"\1" + ed25519_pub + x25519_pub + bytes(120))


@pytest.mark.slow
@pytest.mark.limit("identities")
async def test_the_limit_holds_at_its_real_size_and_over_a_restart(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock) as keystore:
        for number in range(IDENTITIES_KEPT.value + 2000):
            keystore.learn(unsigned_card(number), direct=False)
            if number % 1000 == 0:
                clock.advance(1)
                await keystore.durable()
        assert len(keystore.list()) == IDENTITIES_KEPT.value
    async with Keystore.open(path, clock) as keystore:
        assert len(keystore.list()) == IDENTITIES_KEPT.value
