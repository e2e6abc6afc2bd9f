"""Bodies of another feature, carried as messages are: nothing is lost or twice, and nothing of it is shown."""

import asyncio
from collections.abc import Sequence

import pytest

from pimd.contract import PARCEL_LIMIT, ArrivedParcel, DatabaseError, Parcel
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import strangers as limits_of_strangers
from pimd_features.messaging.models import ConversationParams
from pimd_features.messaging.sessions.limits import PARCELS_HELD
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.features.messaging.test_exchange import connect, disconnect
from tests.features.messaging.test_exchange import pair as unheard_pair
from tests.limits import Lower


async def pair(party: MakeParty) -> tuple[Party, Party]:
    """Two with a feature that takes their parcels."""
    both = await unheard_pair(party)
    heard(*both)
    return both


def heard(*parties: Party) -> None:
    """Let a feature take their parcels."""
    for one in parties:
        one.running.parcels.news()


def parcel(peer: Party, number: int, body: bytes = b"", expires_s: int = 3600) -> Parcel:
    return Parcel(peer.id, MessageId(number.to_bytes(16)), body or b"body %d" % number, expires_s)


async def send(party: Party, *parcels: Parcel) -> None:
    await party.running.parcels.send(parcels)


async def arrived(party: Party, after: int = 0) -> Sequence[ArrivedParcel]:
    return await party.running.parcels.arrived(after, 1000)


async def bodies(party: Party) -> list[bytes]:
    return [one.body for one in await arrived(party)]


async def states(party: Party) -> dict[int, str]:
    return {int.from_bytes(one.id): one.status for one in await party.running.parcels.states(0, 1000)}


async def test_a_body_arrives_waits_to_be_dropped_and_is_shown_nowhere(party: MakeParty) -> None:
    alice, bob = await pair(party)
    news = bob.running.parcels.news()
    for one in (parcel(bob, 1), parcel(bob, 2, b"\xff\0 no text")):
        await send(alice, one)
        assert (await states(alice))[int.from_bytes(one.id)] == "pending"
        await settle(alice.air)  # the air disorders
    first, two = await arrived(bob)
    assert (first.body, two.body, first.peer, first.is_stranger) == (b"body 1", b"\xff\0 no text", alice.id, True)
    assert news.next_waiting() is not None
    assert await states(alice) == {1: "delivered", 2: "delivered"}
    assert await arrived(bob, first.position) == [two]
    for here, other in ((alice, bob), (bob, alice)):
        assert (await here.messages(other), await here.running._store.conversations()) == ([], [])
        assert {kind for kind in here.kinds() if "message" in kind} == set()
    await bob.kill()
    await bob.start()
    await bob.running.parcels.drop_arrived([first.position])
    assert await arrived(bob) == [two]
    await alice.running.parcels.drop_states(1000)
    assert (await states(alice), len(alice.running._outbox)) == ({}, 0)
    database = alice.running._database
    assert database is not None
    assert [row[0] for row in await database.read("SELECT count(*) FROM parcels_out")] == [0]


async def test_what_is_handed_over_twice_is_delivered_once(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await send(alice, parcel(bob, 1))
    await send(alice, parcel(bob, 1), parcel(bob, 2))
    await settle(alice.air)
    await send(alice, parcel(bob, 1), parcel(bob, 2))
    await settle(alice.air)
    assert sorted(await bodies(bob)) == [b"body 1", b"body 2"]


async def test_what_the_disk_does_not_take_is_not_acknowledged(party: MakeParty) -> None:
    alice, bob = await pair(party)
    assert bob.running._database is not None
    await bob.running._database.read("PRAGMA query_only = 1")
    await send(alice, parcel(bob, 1))
    await settle(alice.air)
    assert await states(alice) in ({1: "pending"}, {1: "sent"})
    await bob.running._database.read("PRAGMA query_only = 0")
    for _ in range(5):
        alice.clock.advance(60.0)
        await settle(alice.air)
    assert (await states(alice), await bodies(bob)) == ({1: "delivered"}, [b"body 1"])
    assert alice.running._database is not None
    await alice.running._database.read("PRAGMA query_only = 1")
    with pytest.raises(DatabaseError):
        await send(alice, parcel(bob, 2))
    await alice.running._database.read("PRAGMA query_only = 0")
    await settle(alice.air)
    assert await bodies(bob) == [b"body 1"]


@pytest.mark.parametrize("seed", range(3))
async def test_over_a_bad_network_with_restarts_each_arrives_once_among_messages(party: MakeParty, seed: int) -> None:
    alice, bob = await pair(party)
    await bob.keystore.set_contact(alice.id, contact=True)
    air = alice.air
    air.random.seed(seed)
    air.loss, air.double = 0.3, 0.3
    for number in range(60):
        alice.clock.advance(0.01)
        await send(alice, parcel(bob, number))
        if number % 3 == 0:
            await alice.say(bob, f"text {number}")
        if number % 20 == 10:
            await settle(air)
            victim = air.random.choice([alice, bob])
            await victim.kill()
            await victim.start()
            heard(victim)
            disconnect(alice, bob)
            connect(alice, bob)
    for loss in (0.3, 0.0):
        air.loss = loss
        for _ in range(20):
            await settle(air)
            alice.clock.advance(40.0)
    await settle(air)
    assert sorted(await bodies(bob)) == sorted(b"body %d" % number for number in range(60))
    assert set((await states(alice)).values()) == {"delivered"}
    assert len(await bob.messages(alice)) == 20
    assert len(alice.running._outbox) == 0


async def test_what_expires_fails_and_its_body_goes(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await send(alice, parcel(bob, 1, expires_s=60))
    alice.clock.advance(130.0)
    await settle(alice.air)
    assert await states(alice) == {1: "failed"}
    connect(alice, bob)
    await settle(alice.air)
    assert await bodies(bob) == []


async def test_what_is_withdrawn_is_sent_no_more(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    heard(bob)
    await send(alice, parcel(bob, 1), parcel(bob, 2))
    await alice.running.parcels.withdraw([(bob.id, MessageId((1).to_bytes(16))), (bob.id, MessageId(bytes(16)))])
    connect(alice, bob)
    await settle(alice.air)
    assert (await bodies(bob), await states(alice)) == ([b"body 2"], {2: "delivered"})


async def test_deleting_conversations_and_another_key_of_a_peer_leave_parcels_alone(party: MakeParty) -> None:
    alice, bob, carol = await party("alice"), await party("bob"), await party("carol")
    heard(bob, carol)
    connect(alice, bob)
    alice.air.loss = 1.0
    await send(alice, parcel(bob, 1))
    await alice.say(bob, "a text")
    await settle(alice.air)
    await alice.running.reassign(bob.id, carol.id)
    await alice.running.delete_conversation(ConversationParams(peer_node_id=bob.id))
    await alice.running.erase(carol.id)
    alice.air.loss = 0.0
    connect(alice, carol)
    disconnect(alice, bob)
    connect(alice, bob)
    for _ in range(3):
        alice.clock.advance(30.0)
        await settle(alice.air)
    assert (await bodies(bob), await bodies(carol)) == ([b"body 1"], [])
    assert (await bob.messages(alice), await carol.messages(alice)) == ([], [])


async def test_a_body_over_the_limit_is_refused(party: MakeParty) -> None:
    alice, bob = await pair(party)
    with pytest.raises(ValueError, match="at most 8192 bytes"):
        await send(alice, parcel(bob, 1, bytes(PARCEL_LIMIT + 1)))
    await send(alice, parcel(bob, 2, bytes(PARCEL_LIMIT)))
    await settle(alice.air)
    assert await bodies(bob) == [bytes(PARCEL_LIMIT)]


@pytest.mark.limit("messages of one stranger")
async def test_bodies_of_strangers_take_their_room_until_they_are_dropped(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.STRANGER_MESSAGES, 2)
    alice, bob = await pair(party)
    for number in (1, 2, 3):
        await send(alice, parcel(bob, number))
        await settle(alice.air)
    assert await bodies(bob) == [b"body 1", b"body 2"]
    await alice.say(bob, "a text finds no room either")
    await settle(alice.air)
    assert await bob.messages(alice) == []
    await bob.running.parcels.drop_arrived([one.position for one in await arrived(bob)])
    for _ in range(4):
        alice.clock.advance(60.0)
        await settle(alice.air)
    assert await bodies(bob) == [b"body 3"]
    assert len(await bob.messages(alice)) == 1


async def test_of_those_who_are_no_contacts_only_fellows_bodies_are_welcome_without_end(
    party: MakeParty, lower: Lower
) -> None:
    lower(limits_of_strangers.STRANGER_MESSAGES, 2)
    alice, bob = await party("alice"), await party("bob", accept="contacts")
    connect(alice, bob)
    await send(alice, *[parcel(bob, number) for number in range(4)])
    await alice.say(bob, "hello")
    await settle(alice.air)
    assert (await bodies(bob), await bob.messages(alice)) == ([], [])
    await bob.running.parcels.set_fellows([alice.id, NodeId(bytes(16))])
    await bob.kill()
    await bob.start()
    for _ in range(4):
        alice.clock.advance(60.0)
        await settle(alice.air)
    assert (len(await bodies(bob)), await bob.messages(alice)) == (4, [])
    assert not any(one.is_stranger for one in await arrived(bob))
    assert bob.running._strangers.refused() == [alice.id]  # the text, which it is told of
    await bob.running.parcels.set_fellows([])
    await send(alice, parcel(bob, 9))
    await settle(alice.air)
    assert len(await bodies(bob)) == 4


async def test_texts_of_fellows_have_the_room_of_strangers(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.STRANGER_MESSAGES, 2)
    alice, bob = await pair(party)
    await bob.running.parcels.set_fellows([alice.id])
    for number in range(4):
        await alice.say(bob, f"text {number}")
        await send(alice, parcel(bob, number))
        await settle(alice.air)
        await asyncio.sleep(0)
    assert len(await bob.messages(alice)) == 2  # which ones, the air decides
    assert len(await bodies(bob)) == 4


@pytest.mark.limit("parcels of one peer that wait to be taken")
async def test_what_waits_to_be_taken_is_bounded_and_the_rest_comes_later(party: MakeParty, lower: Lower) -> None:
    lower(PARCELS_HELD, 2)
    alice, bob = await pair(party)
    await bob.keystore.set_contact(alice.id, contact=True)
    for number in range(4):
        await send(alice, parcel(bob, number))
        await settle(alice.air)
    assert len(await bodies(bob)) == 2
    await bob.kill()
    await bob.start()
    heard(bob)
    alice.clock.advance(30.0)
    await settle(alice.air)
    await alice.say(bob, "texts do not wait for that")
    await settle(alice.air)
    assert (len(await bodies(bob)), len(await bob.messages(alice))) == (2, 1)
    taken = {one.body for one in await arrived(bob)}
    await bob.running.parcels.drop_arrived([one.position for one in await arrived(bob)])
    for _ in range(4):
        alice.clock.advance(60.0)
        await settle(alice.air)
    assert taken | set(await bodies(bob)) == {b"body %d" % number for number in range(4)}


async def test_parcels_of_strangers_take_no_room_where_no_feature_takes_them(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.STRANGERS_MESSAGES, 3)
    alice, bob = await unheard_pair(party)
    for number in range(4):
        await send(alice, parcel(bob, number))
    await settle(alice.air)
    assert await bodies(bob) == []
    await alice.say(bob, "a text")
    await settle(alice.air)
    assert [one.body for one in await bob.messages(alice)] == ["a text"]
    with bob.running.parcels.news():  # from now on there is one
        alice.clock.advance(60.0)
        await settle(alice.air)
    assert len(await bodies(bob)) == 2
