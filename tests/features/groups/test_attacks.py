"""Parcels in a wrong order, newcomers of a race, outsiders that take all room, and names that read as ids."""

import itertools

import pytest

from pimd.lab.daemon import LabDaemon
from pimd.testing import DaemonMesh, virtual_time
from pimd_features.groups.message import Text, seal
from pimd_features.groups.reading import Known, meant
from pimd_features.groups.records import Change, Draft, Member, Record, Yes, apply, say_yes
from pimd_features.groups.sender_keys import Binding, OwnKey
from pimd_features.groups.wire import Kind, Said, records
from tests.features.groups.mesh import (
    add,
    chain_of,
    context_of,
    grown,
    members,
    messages,
    say,
    say_records,
    state,
    texts,
    write,
)
from tests.features.groups.people import EVE


def signed(signer: LabDaemon, draft: Draft) -> Record:
    identity = context_of(signer).identity
    return draft.sign(identity.ed25519_pub, identity.sign)


def following(head: Record, *members: Member, yeses: tuple[Yes, ...] = ()) -> Draft:
    return Draft(head.group, head.number + 1, head.hash, head.draft.name, members, yeses)


def key_and_message(sender: LabDaemon, record: Record, text: str) -> tuple[Said, Said]:
    key = OwnKey(Binding(record.group, sender.id, record.hash), b"s" * 32, b"c" * 32)
    message = seal(Text(1, (), text), key, record.number, bytes(12))[1]
    return Said(Kind.KEY, key.give()), Said(Kind.MESSAGE, message.encode())


@virtual_time
async def test_a_message_that_came_before_its_key_and_its_record_is_shown_without_its_sender() -> None:
    """Two ways may turn the order of parcels; the sender is not there any more to be asked for its key."""
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        head = chain_of(bob, group)[-1]
        record = signed(alice, following(head, *(Member(one, may_change=True) for one in head.members)))
        key, message = key_and_message(alice, record, "all is here")
        await say(alice, bob, [message, key, *records(head.group, [record.raw])])
        await mesh.sleep(10)
        alice.kill()
        await mesh.sleep(300)
        assert await texts(bob, group) == ["all is here"]


@virtual_time
async def test_a_newcomer_whose_record_lost_is_in_the_group_when_it_is_made_again() -> None:
    async with DaemonMesh(nodes=4) as mesh:
        alice, bob, carol, dave = mesh
        group = await grown(mesh, alice, bob)
        await add(mesh, alice, carol, group, may_change=True)
        head = chain_of(carol, group)[-1]
        await add(mesh, alice, dave, group)
        rival = smaller(carol, head, chain_of(bob, group)[-1].hash)
        for other in (alice, bob):
            await say_records(carol, other, [rival])
        await mesh.sleep(200)
        assert str(dave.id) in await members(alice, group)
        assert await state(dave, group) == "joined"
        await write(alice, group, "welcome again")
        await mesh.sleep(20)
        assert await texts(dave, group) == ["welcome again"]


def smaller(signer: LabDaemon, head: Record, than: bytes) -> Record:
    """A record that adds somebody, with a smaller hash: the number in a yes is free."""
    for number in itertools.count(head.number):
        yes = say_yes(head.group, number, EVE.public, EVE.sign)
        record = signed(signer, following(head, *head.draft.members, Member(EVE.id), yeses=(yes,)))
        if record.hash < than:
            return record
    raise AssertionError


@pytest.mark.slow
@virtual_time
async def test_who_was_removed_by_a_record_that_lost_hears_what_comes_before_the_one_that_stands() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob)
        await add(mesh, alice, carol, group, may_change=True)
        head = chain_of(carol, group)[-1]
        removal = signed(alice, following(head, *(one for one in head.draft.members if one.node_id != bob.id)))
        await say_records(alice, bob, [removal])
        await mesh.settle()
        assert await state(bob, group) == "removed"
        rival = smaller(carol, head, removal.hash)
        await say(carol, bob, key_and_message(carol, rival, "you are one of us"))
        await mesh.settle()
        assert await texts(bob, group) == []
        await say_records(carol, bob, [rival])
        await mesh.settle()
        assert (await state(bob, group), await texts(bob, group)) == ("joined", ["you are one of us"])


@virtual_time
async def test_a_member_that_was_forgotten_while_linked_gets_what_is_written() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        await alice.call("peers.forget", {"node_id": bob.id})
        await write(alice, group, "still a member")
        await mesh.sleep(100)
        assert await texts(bob, group) == ["still a member"]


def test_names_of_groups_compare_as_names_of_peers_do() -> None:
    groups = [Known(bytes([n]) * 16, name, "joined") for n, name in enumerate(["Cafe\u0301", "Straße", "1111"], 0x11)]
    assert meant(groups, "caf\u00c9") == groups[:1]
    assert meant(groups, "STRASSE") == groups[1:2]
    assert meant(groups, "1111") == [groups[0], groups[2]]
    assert meant(groups, "11" * 16) == groups[:1]


@virtual_time
async def test_an_outsider_leaves_room_for_a_new_member_whose_record_comes_later() -> None:
    async with DaemonMesh(nodes=4) as mesh:
        alice, bob, carol, eve = mesh
        group = await grown(mesh, alice, bob, eve)
        await alice.call("groups.remove", {"group": group, "node_id": eve.id})
        await mesh.settle()
        head = chain_of(bob, group)[-1]
        for number in range(70):
            unknown = signed(eve, Draft(head.group, number + 9, bytes(32), head.draft.name, (Member(eve.id),)))
            await say(eve, bob, [key_and_message(eve, unknown, "x")[1]])
        await mesh.sleep(60)
        theirs = context_of(carol).identity
        yes = say_yes(head.group, head.number, theirs.ed25519_pub, theirs.sign)
        draft = apply(head, [Change(carol.id, yes)])
        assert draft is not None
        record = signed(alice, draft)
        await say(carol, bob, key_and_message(carol, record, "I am new"))
        await mesh.sleep(20)
        await say_records(alice, bob, [record])
        await mesh.sleep(20)
        assert await texts(bob, group) == ["I am new"]


@virtual_time
async def test_what_was_waiting_in_a_store_that_is_lost_is_shown_as_failed() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        await write(alice, group, "arrives")
        await mesh.settle()
        bob.kill()
        await mesh.sleep(30)
        await write(alice, group, "is lost")
        await mesh.sleep(1)
        alice.kill()
        await alice.start()
        assert [one["deliveries"][0]["status"] for one in await messages(alice, group)] == ["delivered", "pending"]
        alice.kill()
        alice.machine.disk.lose("messages.db")
        await alice.start()
        await bob.start()
        await mesh.sleep(100)
        assert await texts(bob, group) == ["arrives"]
        assert [one["deliveries"][0]["status"] for one in await messages(alice, group)] == ["delivered", "failed"]


@virtual_time
async def test_who_says_yes_to_an_invitation_that_was_taken_back_waits_no_more() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice)
        for _ in range(2):
            await alice.call("groups.invite", {"group": group, "node_id": bob.id})
            await mesh.settle()
            assert await state(bob, group) == "invited"
            await alice.call("groups.remove", {"group": group, "node_id": bob.id})
            await bob.call("groups.join", {"group": group})
            await mesh.sleep(70)
            assert await state(bob, group) == "removed"
        await add(mesh, alice, bob, group)
