"""Room for messages of strangers: a share for each neighbour that brings them, and a word about those who found none."""

import pytest

from pimd.contract import LOCAL_SOURCE, NoParams
from pimd_features.messaging import strangers as limits_of_strangers
from pimd_features.messaging.models import ConversationParams, Strangers
from tests.features.messaging.conftest import MakeParty, Party
from tests.features.messaging.test_exchange import connect, flood
from tests.limits import Lower

RELAY, OTHER_RELAY = "192.0.2.1", "198.51.100.7"


async def stranger(party: MakeParty, name: str, to: Party, brought_by: str) -> Party:
    """A person whom `to` knows by the card that came over `brought_by`."""
    made = await party(name)
    to.learn(made, brought_by=brought_by)
    connect(to, made)
    return made


async def strangers(of: Party) -> Strangers:
    return await of.running.strangers(NoParams())


@pytest.mark.limit("messages of strangers whom one neighbour brought")
async def test_twenty_strangers_behind_one_neighbour_fill_its_share_only(party: MakeParty) -> None:
    bob = await party("bob")
    crowd = [await stranger(party, f"eve {n}", bob, RELAY) for n in range(20)]
    taken = [await flood(bob, one, 50, "x") for one in crowd]
    assert sum(taken) == limits_of_strangers.SOURCE_MESSAGES.value
    honest = await stranger(party, "honest", bob, OTHER_RELAY)
    assert await flood(bob, honest, 50, "hello") == 50
    found = await strangers(bob)
    refused = sum(not count for count in taken)
    assert (found.wrote, found.refused) == (21, refused)
    assert found.newest_refused == [one.id for one in crowd[:-6:-1]]


@pytest.mark.limit("bytes of messages of strangers whom one neighbour brought")
async def test_their_bytes_have_a_share_too(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.SOURCE_BYTES, 154)  # of 9 messages of 10 bytes, and what the next is padded to
    bob = await party("bob")
    eve, mallory = [await stranger(party, name, bob, RELAY) for name in ("eve", "mallory")]
    honest = await stranger(party, "honest", bob, OTHER_RELAY)
    assert [await flood(bob, one, 9, "x" * 10) for one in (eve, mallory, honest)] == [9, 1, 9]


@pytest.mark.limit("messages of all strangers")
async def test_a_share_shrinks_so_that_a_new_source_finds_room(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.STRANGERS_MESSAGES, 100)
    lower(limits_of_strangers.SOURCE_MESSAGES, 25)
    bob = await party("bob")
    taken = [await flood(bob, await stranger(party, f"eve {n}", bob, f"10.0.0.{n}"), 50, "x") for n in range(8)]
    assert taken == [25, 14, 9, 6, 5, 4, 3, 2]
    assert await flood(bob, await stranger(party, "honest", bob, OTHER_RELAY), 9, "x") == 2


@pytest.mark.slow
async def test_forty_sources_leave_room_for_the_first_message_of_another(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.STRANGERS_MESSAGES, 120)
    lower(limits_of_strangers.SOURCE_MESSAGES, 30)
    bob = await party("bob")
    for n in range(40):
        bob.clock.advance(1.0)  # so many headers are read in a second
        assert await flood(bob, await stranger(party, f"eve {n}", bob, f"10.0.0.{n}"), 50, "x") > 0
    assert await flood(bob, await stranger(party, "honest", bob, OTHER_RELAY), 9, "x") == 1


@pytest.mark.slow
@pytest.mark.limit("messages of strangers whom neighbours on this machine brought")
async def test_ids_on_this_machine_leave_room_for_those_from_elsewhere(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.STRANGERS_MESSAGES, 100)
    lower(limits_of_strangers.LOCAL_MESSAGES, 40)
    lower(limits_of_strangers.SOURCE_MESSAGES, 25)
    bob = await party("bob")
    local = [f"{LOCAL_SOURCE}neighbour {n}" for n in range(30)]
    taken = [await flood(bob, await stranger(party, f"eve {n}", bob, local[n]), 50, "x") for n in range(30)]
    assert sum(taken) == 40
    assert taken[:6] == [25, 3, 2, 1, 1, 1]
    assert await flood(bob, await stranger(party, "honest", bob, OTHER_RELAY), 50, "x") == 9


@pytest.mark.limit("bytes of messages of strangers whom neighbours on this machine brought")
async def test_the_bytes_of_ids_on_this_machine_are_limited_too(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.LOCAL_BYTES, 84)  # of 2 messages of 10 bytes, and what the next is padded to
    bob = await party("bob")
    crowd = [await stranger(party, f"eve {n}", bob, f"{LOCAL_SOURCE}neighbour {n}") for n in range(3)]
    honest = await stranger(party, "honest", bob, OTHER_RELAY)
    assert [await flood(bob, one, 9, "x" * 10) for one in (*crowd, honest)] == [3, 0, 0, 9]


async def test_who_was_refused_and_finds_room_later_is_not_refused_any_more(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.SOURCE_MESSAGES, 2)
    bob = await party("bob")
    eve, honest = [await stranger(party, name, bob, RELAY) for name in ("eve", "honest")]
    assert await flood(bob, eve, 2, "x") == 2
    assert await flood(bob, honest, 1, "x") == 0
    assert (await strangers(bob)).newest_refused == [honest.id]
    await bob.running.delete_conversation(ConversationParams(peer_node_id=eve.id))
    assert await flood(bob, honest, 1, "x") == 1
    found = await strangers(bob)
    assert (found.wrote, found.refused) == (1, 0)


@pytest.mark.limit("refused strangers remembered")
async def test_only_so_many_refused_strangers_are_counted(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.REFUSED, 2)
    bob = await party("bob", accept="contacts")
    crowd = [await stranger(party, f"eve {n}", bob, RELAY) for n in range(3)]
    for one in crowd:
        await flood(bob, one, 1, "x")
    found = await strangers(bob)
    assert (found.wrote, found.newest_refused) == (2, [crowd[2].id, crowd[1].id])


async def test_a_stranger_with_stored_messages_stays_known_until_they_are_deleted(party: MakeParty) -> None:
    bob = await party("bob")
    eve = await stranger(party, "eve", bob, RELAY)
    assert await flood(bob, eve, 1, "x") == 1
    await bob.kill()
    await bob.start()
    bob.clock.advance(1)
    assert bob.keystore.age_out(bob.clock.unix_ms(), 10) == 0
    await bob.running.delete_conversation(ConversationParams(peer_node_id=eve.id))
    assert bob.keystore.age_out(bob.clock.unix_ms(), 10) == 1
    await bob.kill()
    assert bob.keystore._needed_by == []
