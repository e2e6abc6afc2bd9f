"""Records of those who were removed, behind what was true before: which branch stands, and who is heard and told in it."""

import itertools

import pytest

from pimd.lab.daemon import LabDaemon
from pimd.testing import DaemonMesh, virtual_time
from pimd_features.groups.records import Change, Draft, Member, Record, apply, say_yes
from pimd_features.groups.wire import Kind, Said
from tests.features.groups.mesh import (
    add,
    chain_of,
    context_of,
    everything,
    grown,
    members,
    row,
    say,
    say_records,
    state,
    stored,
    texts,
    write,
)
from tests.features.groups.test_liars import stands


@pytest.mark.slow
@pytest.mark.parametrize("is_coup", [False, True])
@virtual_time
async def test_a_removed_member_who_makes_a_smaller_record_over_and_over_gets_nothing(is_coup: bool) -> None:  # noqa: FBT001
    """It may change the group up to its removal, and draws records until the hash is small enough.

    In a coup it takes from the others that they may change the group. It was removed by one who was there before it.
    """
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob)
        await add(mesh, alice, carol, group, may_change=True)
        head = chain_of(alice, group)[-1]
        await alice.call("groups.remove", {"group": group, "node_id": carol.id})
        await mesh.settle()
        removal = chain_of(bob, group)[-1]
        for attempt in range(2):
            head = smaller(carol, head, removal.hash, None if is_coup else alice)
            for other in (alice, bob):
                await say_records(carol, other, [head])
            await write(alice, group, f"secret {attempt}")
            await write(bob, group, f"secret too {attempt}")
            await mesh.sleep(200)
            assert stands(mesh, group, alice, bob) == {removal.hash}
        assert await members(bob, group) == [str(alice.id), str(bob.id)]
        assert len(await texts(bob, group)) == 4
        assert "secret" not in everything(carol) + str(stored(carol, "SELECT * FROM messages"))
        assert not stored(carol, "SELECT * FROM keys")


@pytest.mark.slow
@virtual_time
async def test_who_was_there_before_the_one_who_removed_it_is_back_in_the_records_and_still_gets_nothing() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, carol)
        await add(mesh, alice, bob, group, may_change=True)
        head = chain_of(alice, group)[-1]
        await bob.call("groups.remove", {"group": group, "node_id": alice.id})
        await mesh.settle()
        forged = smaller(alice, head, b"\xff" * 32, None)  # a coup, of any hash
        for other in (bob, carol):
            await say_records(alice, other, [forged])
        await mesh.sleep(100)
        assert stands(mesh, group, bob, carol) == {forged.hash}
        await write(carol, group, "secret")
        await write(bob, group, "secret, too")
        await mesh.sleep(100)
        barred = [
            [one["node_id"] for one in (await row(who, group))["members"] if one["barred"]] for who in (bob, carol)
        ]
        assert barred == [[str(alice.id)]] * 2
        assert len(await texts(carol, group)) == 2
        assert "secret" not in everything(alice) + str(stored(alice, "SELECT * FROM messages"))


@pytest.mark.slow
@virtual_time
async def test_a_newcomer_whom_a_removed_one_pulls_to_its_records_comes_back() -> None:
    """Carol keeps what was true before her removal, invites Dave with it, and draws the smaller hash."""
    async with DaemonMesh(nodes=4) as mesh:
        alice, bob, carol, dave = mesh
        group = await grown(mesh, alice, bob)
        await add(mesh, alice, carol, group, may_change=True)
        head = chain_of(alice, group)[-1]
        await alice.call("groups.remove", {"group": group, "node_id": carol.id})
        await mesh.settle()
        standing = chain_of(bob, group)
        await say(carol, dave, [Said(Kind.INVITE, head.raw)])
        await mesh.settle()
        await dave.call("groups.join", {"group": group})
        await mesh.settle()
        theirs, own = context_of(dave).identity, context_of(carol).identity
        forged = standing[-1]
        for number in itertools.count(head.number):
            yes = say_yes(head.group, number, theirs.ed25519_pub, theirs.sign)
            draft = apply(head, [Change(dave.id, yes)])
            assert draft is not None
            forged = draft.sign(own.ed25519_pub, own.sign)
            if forged.hash < standing[-1].hash:
                break
        await say_records(carol, dave, [*standing[:-1], forged])
        await mesh.settle()
        assert await state(dave, group) == "joined"
        await write(dave, group, "am I with you?")
        await mesh.sleep(200)
        assert await state(dave, group) == "removed"
        assert (chain_of(dave, group), chain_of(bob, group)) == (standing, standing)
        await add(mesh, alice, dave, group)
        await write(alice, group, "now you are")
        await mesh.settle()
        assert (await texts(bob, group), (await texts(dave, group))[-1]) == (["now you are"], "now you are")
        await say_records(carol, dave, [*standing[:-1], forged])  # to one who knows better
        await mesh.sleep(70)
        assert await state(dave, group) == "joined"


def smaller(liar: LabDaemon, head: Record, than: bytes, other: LabDaemon | None) -> Record:
    """A record on `head` that keeps the liar in, with a smaller hash: the order of the members is free, and some flags."""
    identity = context_of(liar).identity
    able = {liar.id, other.id} if other is not None else {liar.id}
    for others in itertools.permutations(head.draft.members):
        for flags in range(8) if other is not None else (0,):
            turned = [
                Member(one.node_id, one.node_id in able or bool(flags >> at & 1)) for at, one in enumerate(others)
            ]
            draft = Draft(head.group, head.number + 1, head.hash, head.draft.name, tuple(turned))
            record = draft.sign(identity.ed25519_pub, identity.sign)
            if record.hash < than and record.draft.members != head.draft.members:
                return record
    raise AssertionError("no smaller hash was found")
