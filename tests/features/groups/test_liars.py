"""Members who were removed, who pass on the keys of others, and makers who lie; all with the daemons of the honest unchanged."""

import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pimd.contract import Parcel
from pimd.ids import MessageId, NodeId
from pimd.lab.daemon import LabDaemon
from pimd.lab.topology import ring
from pimd.testing import DaemonMesh, virtual_time
from pimd_features.groups.message import GroupMessage, Text, seal
from pimd_features.groups.plugin import GroupsPlugin
from pimd_features.groups.records import Change, Draft, Member, Record, Yes, apply
from pimd_features.groups.sender_keys import Binding, GivenKey, OwnKey
from pimd_features.groups.wire import Kind, Said
from tests.features.groups.mesh import (
    add,
    chain_of,
    context_of,
    everything,
    grown,
    members,
    messages,
    of_kind,
    plugin_of,
    row,
    say,
    say_records,
    shown,
    state,
    stored,
    texts,
    write,
)


def secrets_of(daemon: LabDaemon, group: str) -> OwnKey:
    record, secret, chain, number = stored(
        daemon, "SELECT record, secret, chain, next FROM own_keys WHERE group_id = ?", bytes.fromhex(group)
    )[0]
    return OwnKey(Binding(bytes.fromhex(group), daemon.id, record), secret, chain, number)


def stands(mesh: DaemonMesh, group: str, *who: LabDaemon) -> set[bytes]:
    return {chain_of(one, group)[-1].hash for one in who}


# --- the removed


@virtual_time
async def test_a_removed_member_who_was_offline_reads_nothing_more_and_is_not_heard() -> None:
    async with DaemonMesh(nodes=4, shape=ring) as mesh:
        alice, bob, carol, dave = mesh
        group = await grown(mesh, alice, bob, carol, dave)
        await write(carol, group, "hello")
        await mesh.settle()
        mesh.partition([carol])
        await mesh.sleep(20)
        await write(alice, group, "while she is away")
        await alice.call("groups.remove", {"group": group, "node_id": carol.id})
        await write(bob, group, "secret of bob")
        await write(alice, group, "secret of alice")
        await write(carol, group, "from before she knew")
        assert await state(carol, group) == "joined"
        await mesh.sleep(60)
        mesh.heal()
        await mesh.sleep(900)
        assert await state(carol, group) == "removed"
        assert await texts(carol, group) == ["hello", "from before she knew"]
        assert "secret" not in everything(carol) + str(stored(carol, "SELECT * FROM messages"))
        for one in (alice, bob, dave):
            assert "from before she knew" not in await texts(one, group)
            assert str(carol.id) not in await members(one, group)
        # What was written for her before, and had not reached her, goes to her no more.
        (before,) = [one for one in await messages(alice, group) if one["body"] == "while she is away"]
        status = {one["node_id"]: one["status"] for one in before["deliveries"]}
        assert (status[str(carol.id)], status[str(bob.id)]) == ("failed", "delivered")
        # Her keys of the group are gone; nobody tells her who comes later.
        for table in ("keys", "own_keys", "waiting", "skipped"):
            assert stored(carol, f"SELECT * FROM {table}") == []  # noqa: S608 - a constant
        await say(carol, bob, [Said(Kind.ASK_RECORDS, bytes.fromhex(group) + bytes(4))])
        numbers = [one.number for one in chain_of(carol, group)]
        await alice.call("groups.remove", {"group": group, "node_id": dave.id})
        await say(carol, alice, [Said(Kind.ASK_RECORDS, bytes.fromhex(group) + bytes(4))])
        await mesh.sleep(120)
        assert [one.number for one in chain_of(carol, group)] == numbers == list(range(5))


@pytest.mark.slow
@virtual_time
async def test_a_removed_member_with_a_part_of_the_mesh_on_its_side() -> None:
    async with DaemonMesh(nodes=4, shape=ring) as mesh:
        alice, bob, carol, dave = mesh
        group = await grown(mesh, alice, bob, carol, dave)
        mesh.partition([carol, dave])
        await mesh.sleep(20)
        await alice.call("groups.remove", {"group": group, "node_id": carol.id})
        await mesh.settle()
        await write(alice, group, "secret of alice")
        await write(carol, group, "carol to dave")
        await mesh.settle()
        await write(dave, group, "dave to carol")
        await mesh.sleep(20)
        assert await texts(dave, group) == ["carol to dave", "dave to carol"]
        assert await texts(carol, group) == ["carol to dave", "dave to carol"]
        mesh.heal()
        await mesh.sleep(900)
        for one in (alice, bob):  # Dave is heard, who is still a member; Carol is not
            assert sorted(await texts(one, group)) == ["dave to carol", "secret of alice"]
        (heard,) = [one for one in await messages(bob, group) if one["body"] == "dave to carol"]
        assert (heard["missing_parents"], heard["state_text"]) == (1, "answers what is not here")
        assert sorted(await texts(dave, group)) == ["carol to dave", "dave to carol", "secret of alice"]
        await write(dave, group, "secret of dave")
        await mesh.sleep(60)
        assert "secret" not in everything(carol) + str(stored(carol, "SELECT * FROM messages"))
        assert await state(carol, group) == "removed"
        assert len(stands(mesh, group, alice, bob, dave)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
@virtual_time
async def test_a_removed_member_who_may_change_the_group_fights_back_from_its_part(seed: int) -> None:
    """Carol's record has the number of the one that removes her; whichever stands, she and hers read nothing more."""
    async with DaemonMesh(nodes=5, shape=ring, seed=seed) as mesh:
        alice, bob, carol, eve, dave = mesh
        group = await grown(mesh, alice, bob, dave)
        await add(mesh, alice, carol, group, may_change=True)
        await carol.call("groups.invite", {"group": group, "node_id": eve.id})
        await mesh.settle()
        mesh.partition([carol, eve])
        await mesh.sleep(20)
        await alice.call("groups.remove", {"group": group, "node_id": carol.id})
        await eve.call("groups.join", {"group": group})
        await mesh.settle()
        assert await state(eve, group) == "joined"
        await write(alice, group, "secret 1")
        await mesh.sleep(10)
        mesh.heal()
        for number in range(2, 12):  # also in the moment in which her record arrives
            for one in (alice, bob, dave):
                if await members(one, group) and number % 3 == 0:
                    await write(one, group, f"secret {number}")
            await mesh.sleep(0.2)
        await mesh.sleep(900)
        assert len(stands(mesh, group, alice, bob, dave)) == 1
        assert await members(bob, group) == [str(one.id) for one in (alice, bob, dave)]
        assert await state(carol, group) == "removed"
        assert await state(eve, group) == "removed"
        for one in (carol, eve):
            assert "secret" not in everything(one) + str(stored(one, "SELECT * FROM messages"))
        for one in (alice, bob, dave):
            assert len(await texts(one, group)) == 10


@pytest.mark.slow
@virtual_time
async def test_a_removed_member_learns_of_no_later_member_by_records_of_its_own_making() -> None:
    async with DaemonMesh(nodes=4) as mesh:
        alice, bob, carol, dave = mesh
        group = await grown(mesh, alice, bob)
        await add(mesh, alice, carol, group, may_change=True)
        head = chain_of(carol, group)[-1]
        await alice.call("groups.remove", {"group": group, "node_id": carol.id})
        await mesh.settle()
        await add(mesh, alice, dave, group)
        identity, standing = context_of(carol).identity, chain_of(bob, group)
        made: list[Record] = []
        while not made:  # one that loses
            for others in itertools.permutations(head.draft.members):
                draft = Draft(head.group, head.number + 1, head.hash, head.draft.name, others)
                record = draft.sign(identity.ed25519_pub, identity.sign)
                if record.hash > standing[head.number + 1].hash:
                    made = [record]
        for number in range(head.number + 2, head.number + 9):
            before = made[-1]
            turned = (*before.draft.members[1:], before.draft.members[0])
            draft = Draft(head.group, number, before.hash, head.draft.name, turned)
            made.append(draft.sign(identity.ed25519_pub, identity.sign))
        await say_records(carol, bob, made)
        await mesh.sleep(70)
        await say(carol, bob, [Said(Kind.ASK_RECORDS, bytes.fromhex(group) + bytes(4))])
        await mesh.sleep(10)
        assert chain_of(bob, group) == standing
        assert str(dave.id) not in str(carol.published("groups.event"))
        assert not [one for one in chain_of(carol, group) if dave.id in one.members]
        # Nor is anything noted of what an outsider says.
        key = OwnKey(Binding(head.group, carol.id, b"?" * 32), bytes(32), bytes(32))
        await say(carol, bob, [Said(Kind.MESSAGE, seal(Text(1, (), "x"), key, 3, bytes(12))[1].encode())])
        await mesh.sleep(10)
        assert (of_kind(bob, "members_disagree"), (await row(bob, group))["members_agree"]) == ([], True)


# --- keys and messages of others


@virtual_time
async def test_one_who_passes_on_the_key_and_messages_of_another_as_its_own() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        await write(alice, group, "by alice")
        await mesh.settle()
        key = secrets_of(alice, group)
        # What Bob has of it: all but the key that signs. Here he even has the proof that Alice made.
        given, message = key.give(), last_message(alice, group, bob)
        await say(bob, carol, [Said(Kind.KEY, given), Said(Kind.MESSAGE, message)])
        stolen = OwnKey(Binding(key.binding.group, bob.id, key.binding.record), b"b" * 32, key.chain, 0)
        forged = GivenKey(stolen.binding, 0, key.chain, key.public)
        await say(bob, carol, [Said(Kind.KEY, given[:52] + forged.chain + key.public + stolen.sign(b"x"))])
        renamed = GroupMessage.decode(message)
        await say(bob, carol, [Said(Kind.MESSAGE, renamed.encode()), Said(Kind.MESSAGE, message)])
        await mesh.sleep(120)
        assert shown(carol) == ["by alice"]
        assert [one["sender"] for one in await messages(carol, group)] == [str(alice.id)]
        assert {NodeId(one[0]) for one in stored(carol, "SELECT sender FROM keys")} == {alice.id}


def last_message(writer: LabDaemon, group: str, reader: LabDaemon) -> bytes:
    """The bytes of the writer's last message, made once more from what the writer has."""
    row = stored(writer, "SELECT id, record, record_number, body, timestamp_ms FROM messages ORDER BY position DESC")[0]
    own = OwnKey(Binding(bytes.fromhex(group), writer.id, row[1]), secrets_of(writer, group).secret, b"c" * 32)
    return seal(Text(row[4], (), row[3]), own, row[2], b"n" * 12)[1].encode()


@pytest.mark.slow
@virtual_time
async def test_a_member_who_writes_in_the_name_of_another_is_not_heard() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        await write(alice, group, "by alice")
        await mesh.settle()
        record = chain_of(bob, group)[-1]
        public = stored(carol, "SELECT public, chain, next, key_id FROM keys")[0]
        own = OwnKey(Binding(record.group, alice.id, record.hash), b"b" * 32, public[1], public[2])
        _, forged = seal(Text(1, (), "by bob"), own, record.number, b"n" * 12)
        raw = forged.encode()
        named = raw[:17] + public[3] + raw[33:]  # with the id of Alice's key
        await say(bob, carol, [Said(Kind.MESSAGE, raw), Said(Kind.MESSAGE, named)])
        await mesh.sleep(120)
        assert shown(carol) == ["by alice"]
        await write(alice, group, "still open")
        await mesh.settle()
        assert shown(carol) == ["by alice", "still open"]


@pytest.mark.slow
@virtual_time
async def test_a_message_that_is_sent_again_is_shown_once_and_two_under_one_number_are_not_both() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        await write(alice, group, "first")
        await mesh.settle()
        key, head = secrets_of(alice, group), chain_of(alice, group)[-1]
        _, one = seal(Text(1, (), "second"), key, head.number, b"n" * 12)
        _, other = seal(Text(1, (), "another"), key, head.number, b"m" * 12)
        await say(alice, bob, [Said(Kind.MESSAGE, raw.encode()) for raw in (one, one, other, one)])
        await mesh.settle()
        assert shown(bob) == ["first", "second"]


# --- makers who lie


async def two_chains(mesh: DaemonMesh, liar: LabDaemon, bob: LabDaemon, carol: LabDaemon) -> str:
    """The liar gives Bob and Carol different records 1 and 2, each with the true yes of both."""
    group: str = (await liar.call("groups.create", {"name": "friends"}))["group_id"]
    plugin = plugin_of(liar)

    async def none() -> list[bytes]:
        return []

    plugin._store.groups_to_change = none  # type: ignore[method-assign] # it signs by itself
    for other in (bob, carol):
        await liar.call("groups.invite", {"group": group, "node_id": other.id})
    await mesh.settle()
    for other in (bob, carol):
        await other.call("groups.join", {"group": group})
    await mesh.settle()
    rows = stored(liar, "SELECT node_id, yes FROM wanted")
    yeses = {NodeId(node): Yes.decode(raw) for node, raw in rows}
    (first,) = chain_of(liar, group)
    identity = context_of(liar).identity
    for reader, order in ((bob, (bob, carol)), (carol, (carol, bob))):
        chain = [first]
        for one in order:
            draft = apply(chain[-1], [Change(one.id, yeses[one.id])])
            assert draft is not None
            chain.append(draft.sign(identity.ed25519_pub, identity.sign))
        await say_records(liar, reader, chain)
    await mesh.settle()
    assert [await state(one, group) for one in (bob, carol)] == ["joined", "joined"]
    return group


@virtual_time
async def test_a_maker_who_gives_different_records_to_different_members_is_found_out_by_the_first_message() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        liar, bob, carol = mesh
        group = await two_chains(mesh, liar, bob, carol)
        assert len(stands(mesh, group, bob, carol)) == 2
        await write(bob, group, "do you see what I see?")
        await mesh.settle()
        (told,) = of_kind(carol, "members_disagree")
        assert (told["node_id"], told["record_number"]) == (str(bob.id), 2)
        assert {told["record_here"], told["record_there"]} == {one.hex() for one in hashes_at(mesh, group, told)}
        await mesh.sleep(200)
        # They settle on the records with the smaller hash, and say who signed two.
        assert len(stands(mesh, group, bob, carol)) == 1
        both = of_kind(bob, "two_records") + of_kind(carol, "two_records")
        assert {(one["signer"], one["record_number"]) for one in both} == {(str(liar.id), 1)}
        await write(carol, group, "now I do")
        await write(bob, group, "good")
        await mesh.sleep(100)
        assert sorted(shown(bob)) == ["now I do"]
        assert sorted(shown(carol)) == ["do you see what I see?", "good"]
        assert all([(await row(one, group))["members_agree"] for one in (bob, carol)])


def hashes_at(mesh: DaemonMesh, group: str, told: dict[str, Any]) -> set[bytes]:
    found = set()
    for one in list(mesh)[1:]:
        rows = stored(one, "SELECT hash FROM records WHERE number = ?", told["record_number"])
        found |= {bytes(hash_) for (hash_,) in rows}
    return found


def without_records(plugin: GroupsPlugin) -> Callable[[], Coroutine[Any, Any, None]]:
    async def hand_over() -> None:
        leaving, last = await plugin._store.leaving()
        kept = [parcel for parcel in leaving if parcel.body[0] not in {Kind.ASK_RECORDS, Kind.RECORDS}]
        await plugin._parcels.send(kept)
        await plugin._store.left(last)

    return hand_over


@pytest.mark.slow
@virtual_time
async def test_while_members_disagree_it_is_shown_at_the_message_and_in_the_list() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        liar, bob, carol = mesh
        group = await two_chains(mesh, liar, bob, carol)
        for one in (bob, carol):  # who do not ask for records, so that it stays so
            plugin_of(one)._hand_over = without_records(plugin_of(one))  # type: ignore[method-assign]
        await write(bob, group, "hm")
        await mesh.sleep(60)
        at_carol = await row(carol, group)
        assert (at_carol["members_agree"], at_carol["state_text"]) == (False, "joined, members disagree")
        assert {one["node_id"]: one["agrees"] for one in at_carol["members"]}[str(bob.id)] is False
        await say_records(bob, carol, chain_of(bob, group))
        await mesh.sleep(60)
        (message,) = await messages(carol, group)
        assert message["body"] == "hm"
        winner = chain_of(carol, group)[-1].hash == chain_of(bob, group)[-1].hash
        assert message["disagrees"] is not winner


@pytest.mark.slow
@virtual_time
async def test_a_record_that_names_members_who_never_said_yes_is_not_taken() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        liar, bob, carol = mesh
        group = await grown(mesh, liar, bob)
        head, identity = chain_of(liar, group)[-1], context_of(liar).identity
        for yeses in ((), (Yes.decode(stored_yes(liar, group)),)):
            draft = Draft(
                head.group, head.number + 1, head.hash, head.draft.name, (*head.draft.members, Member(carol.id)), yeses
            )
            await say_records(liar, bob, [draft.sign(identity.ed25519_pub, identity.sign)])
        await mesh.sleep(30)
        assert await members(bob, group) == [str(liar.id), str(bob.id)]


def stored_yes(daemon: LabDaemon, group: str) -> bytes:
    return chain_of(daemon, group)[-1].draft.yeses[0].encode()


Body = Callable[[LabDaemon, LabDaemon, str], list[bytes]]


def mutated(liar: LabDaemon, bob: LabDaemon, group: str) -> list[bytes]:
    """Each kind of body, true and changed in each of its first bytes, and cut."""
    record, raw = chain_of(bob, group)[-1], bytes.fromhex(group)
    key = OwnKey(Binding(raw, liar.id, record.hash), b"l" * 32, b"c" * 32)
    message = seal(Text(1, (), "x"), key, record.number, b"n" * 12)[1].encode()
    yes = stored_yes(bob, group)
    length = len(record.raw).to_bytes(2, "big")
    bodies = [
        Said(Kind.INVITE, record.raw),
        Said(Kind.YES, raw + yes),
        Said(Kind.NO, raw),
        Said(Kind.RECORDS, raw + length + record.raw),
        Said(Kind.ASK_RECORDS, raw + bytes(4)),
        Said(Kind.KEY, key.give()),
        Said(Kind.ASK_KEY, raw + bytes(16)),
        Said(Kind.MESSAGE, message),
    ]
    made = [b"", b"\0", b"\xff" * 40]
    for said in bodies:
        true = said.encode()
        made += [true[:at] for at in (1, 2, 17, 18, 33, len(true) - 1)] + [true + b"\0", true]
        for at in range(1, min(len(true), 120), 3):
            made.append(true[:at] + bytes([true[at] ^ 0xFF]) + true[at + 1 :])
    return made


@pytest.mark.parametrize("is_member", [pytest.param(False, marks=pytest.mark.slow), True])
@virtual_time
async def test_whatever_is_sent_nothing_breaks(is_member: bool) -> None:  # noqa: FBT001
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, liar = mesh
        group = await grown(mesh, alice, bob, *([liar] if is_member else []))
        await bob.call("messages.send", {"peer_node_id": liar.id, "body": "hello"})  # a contact has no narrow limits
        await mesh.settle()
        before = chain_of(bob, group)
        for at, body in enumerate(mutated(liar, bob, group)):
            parcel = Parcel(bob.id, MessageId(at.to_bytes(16, "big")), body, 86400)
            await liar.within("lying", lambda parcel=parcel: plugin_of(liar)._parcels.send([parcel]))  # type: ignore[misc]
        await mesh.sleep(120)
        assert chain_of(bob, group) == before
        assert shown(bob) == (["x"] if is_member else [])
        rows = {one["name"]: one["state"] for one in await bob.call("features.list")}
        assert rows["groups"] == "running"
        await write(alice, group, "after all that")
        await mesh.sleep(30)
        assert shown(bob)[-1] == "after all that"
