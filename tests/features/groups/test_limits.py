"""What others can make a node hold for its groups, and what happens beyond."""

from dataclasses import replace

import pytest

from pimd.contract import Limit, RpcError
from pimd.ids import MessageId
from pimd.lab.daemon import LabDaemon
from pimd.testing import DaemonMesh, virtual_time
from pimd_features.groups import limits
from pimd_features.groups.message import Text, seal
from pimd_features.groups.records import Draft, Member
from pimd_features.groups.sender_keys import Binding, OwnKey
from pimd_features.groups.wire import Kind, Said, ask_records
from pimd_features.messaging import strangers
from tests.features.groups.mesh import (
    add,
    chain_of,
    context_of,
    grown,
    members,
    say,
    say_records,
    shown,
    state,
    stored,
    texts,
    write,
)
from tests.limits import Lower


def key_of(daemon: LabDaemon, group: str, number: int = 0) -> OwnKey:
    head = chain_of(daemon, group)[-1]
    return OwnKey(Binding(head.group, daemon.id, head.hash), bytes([number]) * 32, b"c" * 32)


@pytest.mark.limit("members of a group")
@virtual_time
async def test_members_and_invited_together_are_at_most_so_many(lower: Lower) -> None:
    lower(limits.MEMBERS, 2)
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = (await alice.call("groups.create", {"name": "friends"}))["group_id"]
        await alice.call("groups.invite", {"group": group, "node_id": bob.id})
        with pytest.raises(RpcError, match="at most 2 members"):
            await alice.call("groups.invite", {"group": group, "node_id": carol.id})
        await mesh.settle()
        await bob.call("groups.join", {"group": group})
        head, identity = chain_of(alice, group)[-1], context_of(alice).identity
        many = tuple(Member(one.id, may_change=True) for one in mesh)
        draft = Draft(head.group, 1, head.hash, head.draft.name, many)
        body = draft.encode() + identity.ed25519_pub
        raw = body + identity.sign("record", body)
        await say(alice, bob, [Said(Kind.RECORDS, head.group + len(raw).to_bytes(2, "big") + raw)])
        await mesh.settle()


@pytest.mark.limit("groups of this node")
@virtual_time
async def test_a_node_is_in_so_many_groups(lower: Lower) -> None:
    lower(limits.GROUPS, 1)
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        await bob.call("groups.create", {"name": "own"})
        group = (await alice.call("groups.create", {"name": "friends"}))["group_id"]
        for name in ("groups.create", "groups.join"):
            await alice.call("groups.invite", {"group": group, "node_id": bob.id})
            await mesh.settle()
            with pytest.raises(RpcError, match="leave one first"):
                await bob.call(name, {"name": "more", "group": group})
        await bob.call("groups.leave", {"group": "own"})
        await bob.call("groups.join", {"group": group})


@pytest.mark.limit("invitations of one node that wait for an answer", "invitations that wait for an answer")
@virtual_time
async def test_the_oldest_invitations_are_forgotten(lower: Lower) -> None:
    lower(limits.INVITATIONS_OF_PEER, 2)
    lower(limits.INVITATIONS, 3)
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        for inviter, names in ((alice, "abc"), (bob, "de")):
            for name in names:
                group = (await inviter.call("groups.create", {"name": name}))["group_id"]
                await inviter.call("groups.invite", {"group": group, "node_id": carol.id})
                await mesh.settle()
        assert [one["name"] for one in (await carol.call("groups.list"))["groups"]] == ["c", "d", "e"]


@pytest.mark.limit("messages of one stranger")
@virtual_time
async def test_invitations_of_strangers_count_as_their_messages(lower: Lower) -> None:
    lower(strangers.STRANGER_MESSAGES, 2)
    async with DaemonMesh(nodes=2) as mesh:
        eve, bob = mesh
        names = "abcd"
        for name in names:
            group = (await eve.call("groups.create", {"name": name}))["group_id"]
            await eve.call("groups.invite", {"group": group, "node_id": bob.id})
            await mesh.settle()
        await eve.call("messages.send", {"peer_node_id": bob.id, "body": "a text finds no room either"})
        await mesh.settle()
        assert [one["name"] for one in (await bob.call("groups.list"))["groups"]] == ["a", "b"]
        assert (await bob.call("messages.list_conversations"))["conversations"] == []
        await bob.stop()
        await bob.start()
        await mesh.sleep(30)
        assert [one["name"] for one in (await bob.call("groups.list"))["groups"]] == ["a", "b"]
        await bob.call("groups.leave", {"group": "a"})
        await mesh.sleep(1300)  # what was refused is sent again
        rows = (await bob.call("groups.list"))["groups"]
        texts_of_eve = (await bob.call("messages.list_conversations"))["conversations"]
        assert len(rows) + len(texts_of_eve) == 2


@virtual_time
async def test_who_takes_messages_of_contacts_only_is_invited_by_contacts_only() -> None:
    async with DaemonMesh(nodes=2, settings={"messaging": {"accept": "contacts"}}) as mesh:
        eve, bob = mesh
        group = (await eve.call("groups.create", {"name": "friends"}))["group_id"]
        await eve.call("groups.invite", {"group": group, "node_id": bob.id})
        await mesh.settle()
        assert (await bob.call("groups.list"))["groups"] == []
        await bob.call("peers.label", {"node_id": eve.id, "label": "eve"})
        await mesh.sleep(700)
        assert await state(bob, group) == "invited"


@pytest.mark.limit("records of a group", "records of a group that lost remembered")
@virtual_time
async def test_a_group_has_so_many_records_and_so_many_that_lost(lower: Lower) -> None:
    lower(limits.RECORDS, 4)
    lower(limits.LOST_RECORDS, 2)
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        head, identity = chain_of(alice, group)[-1], context_of(alice).identity
        made = []
        for flags in range(
            2, 16
        ):  # each of the members may or may not change it, in both orders, with other names of nobody
            members_ = (Member(bob.id, bool(flags & 1)), Member(alice.id, may_change=True))
            draft = Draft(head.group, 2, head.hash, head.draft.name, members_ if flags & 2 else members_[::-1])
            made.append(draft.sign(identity.ed25519_pub, identity.sign))
        for one in {record.hash: record for record in made}.values():
            await say_records(alice, bob, [one])
            await mesh.settle()
        rows = stored(bob, "SELECT count(*), sum(stands) FROM records")
        assert rows == [(5, 3)]
        top = chain_of(bob, group)[-1]
        for number in (3, 4):
            draft = Draft(top.group, number, top.hash, top.draft.name, top.draft.members[::-1])
            top = draft.sign(identity.ed25519_pub, identity.sign)
            await say_records(alice, bob, [top])
        await mesh.settle()
        assert len(chain_of(bob, group)) == 4


@virtual_time
async def test_a_group_that_changed_too_often_says_so(lower: Lower) -> None:
    lower(limits.RECORDS, 2)
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        with pytest.raises(RpcError, match="make a new group"):
            await alice.call("groups.remove", {"group": group, "node_id": bob.id})
        await bob.call("groups.leave", {"group": group})
        await mesh.settle()
        assert (await state(bob, group), await members(alice, group)) == ("left", [str(alice.id), str(bob.id)])


@pytest.mark.limit(
    "messages of one member that wait for its key or a record",
    "messages in a group of all who are no members here that wait for a record",
)
@virtual_time
async def test_what_waits_for_keys_and_records_that_never_come_is_bounded(lower: Lower) -> None:
    lower(limits.WAITING_OF_MEMBER, 3)
    lower(limits.WAITING_OF_OTHERS, 2)
    async with DaemonMesh(nodes=4) as mesh:
        alice, bob, liar, outsider = mesh
        group = await grown(mesh, alice, bob, liar)
        head = chain_of(alice, group)[-1]
        for one, hash_ in ((liar, head.hash), (outsider, b"?" * 32)):
            key = OwnKey(Binding(head.group, one.id, hash_), bytes(32), b"c" * 32)
            first = key
            for _ in range(5):
                key, message = seal(Text(1, (), "x"), key, head.number, bytes(12))
                await say(one, alice, [Said(Kind.MESSAGE, message.encode())])
            await mesh.settle()
            assert stored(alice, "SELECT count(*) FROM waiting WHERE sender = ?", one.id) == [
                (3 if one is liar else 2,)
            ]
            await say(one, alice, [Said(Kind.KEY, first.give())])
            await mesh.settle()
        assert (shown(alice), stored(alice, "SELECT count(*) FROM waiting")) == (["x"] * 3, [(2,)])
        await write(bob, group, "still heard")
        await mesh.settle()
        assert shown(alice)[-1] == "still heard"


@pytest.mark.limit("answers about groups remembered")
@virtual_time
async def test_what_was_said_is_remembered_for_so_many(lower: Lower) -> None:
    lower(limits.SAID, 1)
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        for one in (bob, carol):
            await say(one, alice, [ask_records(bytes.fromhex(group), 0)])
            await mesh.sleep(1)
        await mesh.sleep(65)
        assert stored(alice, "SELECT node_id FROM said") == [(carol.id,)]


@pytest.mark.limit(
    "sender keys kept of one member", "messages under one sender key", "parents that a group message names"
)
@virtual_time
async def test_keys_of_a_member_and_messages_under_them_are_bounded(lower: Lower) -> None:
    lower(limits.SENDER_KEYS, 3)
    lower(limits.KEY_MESSAGES, 4)
    async with DaemonMesh(nodes=2) as mesh:
        alice, liar = mesh
        group = await grown(mesh, alice, liar)
        for number in range(1, 6):
            await say(liar, alice, [Said(Kind.KEY, key_of(liar, group, number).give())])
        await mesh.settle()
        assert stored(alice, "SELECT count(*) FROM keys") == [(3,)]
        key = key_of(liar, group, 5)
        messages = []
        for _ in range(5):
            key, message = seal(Text(1, (), "x"), key, 1, bytes(12))
            messages.append(message)
        await say(liar, alice, [Said(Kind.MESSAGE, messages[-1].encode()), Said(Kind.MESSAGE, messages[3].encode())])
        await mesh.settle()
        assert (shown(alice), stored(alice, "SELECT count(*) FROM skipped")) == (["x"], [(3,)])
        many = tuple(MessageId(bytes([n]) * 16) for n in range(limits.PARENTS.value + 1))
        other = replace(key_of(liar, group, 4))
        await say(liar, alice, [Said(Kind.MESSAGE, seal(Text(1, many, "y"), other, 1, bytes(12))[1].encode())])
        await mesh.settle()
        assert shown(alice) == ["x"]


@pytest.mark.parametrize(
    ("limit", "most", "left"),
    [
        pytest.param(
            limits.MEMBER_MESSAGES, 3, 3, marks=pytest.mark.limit("messages kept of one member of a group"), id="number"
        ),
        pytest.param(
            limits.MEMBER_BYTES,
            60,
            2,
            marks=pytest.mark.limit("bytes of messages kept of one member of a group"),
            id="bytes",
        ),
    ],
)
@virtual_time
async def test_who_writes_much_pushes_out_only_what_is_its_own(
    limit: Limit, most: int, left: int, lower: Lower
) -> None:
    lower(limit, most)
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        await write(bob, group, "of bob")
        for number in range(6):
            await write(carol, group, f"a longer text {number} of carol")
        for number in range(6):
            await write(alice, group, f"of alice herself, who keeps them all {number}")
        await mesh.settle()
        by_carol = [f"a longer text {number} of carol" for number in range(6)][-left:]
        at_alice = await texts(alice, group)
        assert "of bob" in at_alice
        assert [one for one in at_alice if "carol" in one] == by_carol
        assert len([one for one in at_alice if "herself" in one]) == 6


@pytest.mark.limit("questions about groups answered")
@virtual_time
async def test_questions_are_answered_at_a_rate(lower: Lower) -> None:
    lower(limits.ANSWERS, 1, burst=2)
    async with DaemonMesh(nodes=2) as mesh:
        alice, liar = mesh
        group = await grown(mesh, alice, liar)
        await alice.stop()
        await alice.start()
        await mesh.converged(60)
        raw = bytes.fromhex(group)
        await say(liar, alice, [ask_records(raw, 0), Said(Kind.ASK_KEY, raw + bytes(16))] * 4)
        await mesh.sleep(10)
        rows = stored(alice, "SELECT what, lived_ms FROM said")
        assert [one[0] for one in rows] == ["answer"]


@virtual_time
async def test_a_question_for_all_records_is_answered_once_a_minute() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, liar = mesh
        group = await grown(mesh, alice, liar)
        await mesh.sleep(70)

        async def answers(*, of: int) -> int:
            before = stored(alice, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'leaving'")[0][0]
            await say(liar, alice, [ask_records(bytes.fromhex(group), 0)] * of)
            await mesh.sleep(5)
            after = stored(alice, "SELECT max(seq) FROM sqlite_sequence WHERE name = 'leaving'")[0][0]
            return int(after - before)

        assert await answers(of=5) == 1
        assert await answers(of=5) == 0
        await mesh.sleep(60)
        assert await answers(of=1) == 1


@virtual_time
async def test_a_member_that_lost_a_key_asks_for_it(lower: Lower) -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob)
        await write(alice, group, "one")
        await mesh.settle()
        for path, database in bob.machine.disk._files.items():
            if path.name == "groups.db":
                database.execute("DELETE FROM keys")
        await write(alice, group, "two")
        await mesh.sleep(130)
        await write(alice, group, "three")
        await mesh.settle()
        assert shown(bob) == ["one", "two", "three"]
        await add(mesh, alice, carol, group)
