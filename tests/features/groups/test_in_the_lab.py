"""Groups of whole daemons, under the virtual clock."""

import pytest

from pimd.contract import RpcError
from pimd.lab.topology import ring
from pimd.testing import DaemonMesh, virtual_time
from pimd_features.groups import invitations, keys, turn
from pimd_features.groups.limits import KEY_MESSAGES
from pimd_features.groups.message import TEXT_LIMIT
from pimd_features.groups.turn import DAY_MS
from tests.features.groups.mesh import (
    add,
    chain_of,
    grown,
    members,
    messages,
    of_kind,
    plugin_of,
    row,
    shown,
    state,
    stored,
    texts,
    write,
)
from tests.limits import Lower


@pytest.mark.slow
@virtual_time
async def test_all_members_get_what_one_writes() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        for who, text in ((alice, "one"), (bob, "two"), (carol, "three")):
            sent = await write(who, group, text)
            assert sent["members"] == 2
            await mesh.settle()
        for who in mesh:
            assert await texts(who, group) == ["one", "two", "three"]
            assert (await row(who, group))["members_agree"]
        last = (await messages(carol, group))[-1]
        assert {one["status"] for one in last["deliveries"]} == {"delivered"}
        assert last["state_text"] == "delivered to 2 of 2"
        first, second, third = await messages(bob, group)
        assert (second["parents"], third["parents"]) == ([first["id"]], [second["id"]])
        assert [one["sender_name"] for one in (first, second, third)] == [one.name for one in (alice, bob, carol)]


@virtual_time
async def test_nothing_of_a_group_is_in_conversations() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        await write(alice, group, "hello")
        await mesh.settle()
        for one, other in ((alice, bob), (bob, alice)):
            assert (await one.call("messages.list_conversations"))["conversations"] == []
            assert (await one.call("messages.history", {"peer_node_id": other.id}))["messages"] == []
            assert [event["kind"] for event in one.published("messages.event") if "message" in event["kind"]] == []
            assert one.machine.disk.rows("messages.db", "SELECT * FROM parcels_in") == []
            assert one.machine.disk.rows("messages.db", "SELECT * FROM parcels_out") == []
            assert one.machine.disk.rows("messages.db", "SELECT * FROM parcel_states") == []
            assert stored(one, "SELECT * FROM leaving") == []


@pytest.mark.slow
@virtual_time
async def test_a_new_member_sees_no_history() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob)
        await write(alice, group, "before")
        await mesh.settle()
        await add(mesh, alice, carol, group)
        await write(alice, group, "after")
        await write(bob, group, "also after")
        await mesh.settle()
        assert sorted(await texts(carol, group)) == ["after", "also after"]
        assert sorted(await texts(bob, group)) == ["after", "also after", "before"]
        assert [one["missing_parents"] for one in await messages(carol, group)] == [0, 0]
        assert len({one[0] for one in stored(bob, "SELECT record FROM keys")}) == 2


@virtual_time
async def test_joining_needs_a_yes_and_an_invitation_can_be_declined_or_taken_back() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = (await alice.call("groups.create", {"name": "friends"}))["group_id"]
        for other in (bob, carol):
            await alice.call("groups.invite", {"group": group, "node_id": other.id})
        await mesh.settle()
        assert await members(alice, group) == [str(alice.id)]
        assert sorted((await row(alice, group))["invited"]) == sorted([str(bob.id), str(carol.id)])
        assert (await write(alice, group, "alone"))["members"] == 0
        await bob.call("groups.leave", {"group": group})
        await mesh.settle()
        assert of_kind(alice, "declined") == [{**of_kind(alice, "declined")[0], "node_id": str(bob.id)}]
        assert (await bob.call("groups.list"))["groups"] == []
        await alice.call("groups.remove", {"group": group, "node_id": carol.id})
        await carol.call("groups.join", {"group": group})
        await mesh.settle()
        assert (await state(carol, group), await members(alice, group)) == ("removed", [str(alice.id)])


@pytest.mark.slow
@virtual_time
async def test_a_member_leaves_and_may_be_invited_again() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        await bob.call("groups.leave", {"group": group})
        await mesh.settle()
        assert (await state(bob, group), await members(carol, group)) == ("left", [str(alice.id), str(carol.id)])
        await write(alice, group, "without bob")
        await mesh.settle()
        assert (await texts(bob, group), await texts(carol, group)) == ([], ["without bob"])
        with pytest.raises(RpcError, match="no member of 'friends': left"):
            await write(bob, group, "still here?")
        await add(mesh, alice, bob, group)
        await write(bob, group, "back")
        await mesh.settle()
        assert await texts(carol, group) == ["without bob", "back"]


@pytest.mark.slow
@virtual_time
async def test_when_the_maker_leaves_who_is_in_it_for_longest_may_change_it() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        await alice.call("groups.leave", {"group": group})
        await mesh.settle()
        assert [(await row(one, group))["may_change"] for one in (alice, bob, carol)] == [False, True, False]
        await bob.call("groups.remove", {"group": group, "node_id": carol.id})
        await mesh.settle()
        assert await state(carol, group) == "removed"
        await bob.call("groups.leave", {"group": group})
        await mesh.settle()
        assert await state(bob, group) == "left"


@virtual_time
async def test_who_may_not_change_the_members_is_told_whom_to_ask() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob)
        with pytest.raises(RpcError, match=f"ask {alice.id.short}"):
            await bob.call("groups.invite", {"group": group, "node_id": carol.id})
        await alice.call("groups.remove", {"group": group, "node_id": bob.id})
        await add(mesh, alice, bob, group, may_change=True)
        await add(mesh, bob, carol, group)
        assert len(await members(alice, group)) == 3


@virtual_time
async def test_keys_are_new_after_a_week_after_enough_messages_and_after_a_start(
    lower: Lower, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower(KEY_MESSAGES, 3)
    assert keys.RENEWED_AFTER_MS == 7 * DAY_MS
    monkeypatch.setattr(keys, "RENEWED_AFTER_MS", 600_000)  # a week of whole daemons takes minutes
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)

        async def keys_after(*bodies: str) -> int:
            for body in bodies:
                await write(alice, group, body)
            await mesh.settle()
            return len(stored(bob, "SELECT * FROM keys"))

        assert await keys_after("1", "2", "3") == 1
        assert await keys_after("4", "5") == 2
        await mesh.sleep(601)
        assert await keys_after("6") == 3
        await alice.stop()
        await alice.start()
        await mesh.converged(60)
        assert await keys_after("7") == 4
        assert sorted(await texts(bob, group)) == ["1", "2", "3", "4", "5", "6", "7"]
        assert len({one[0] for one in stored(bob, "SELECT public FROM keys")}) == 4


@virtual_time
async def test_messages_wait_for_absent_members_and_their_state_is_told_for_each() -> None:
    async with DaemonMesh(nodes=4, shape=ring) as mesh:
        alice, bob, carol, dave = mesh
        group = await grown(mesh, alice, bob, carol, dave)
        carol.kill()
        await mesh.sleep(30)
        await write(alice, group, "hello")
        await mesh.sleep(30)
        (message,) = await messages(alice, group)
        status = {one["node_id"]: one["status"] for one in message["deliveries"]}
        assert (status[str(bob.id)], status[str(dave.id)]) == ("delivered", "delivered")
        assert status[str(carol.id)] in {"pending", "sent"}
        await carol.start()
        await mesh.until(lambda: shown(carol) == ["hello"], 120)
        await mesh.settle()
        (message,) = await messages(alice, group)
        assert {one["status"] for one in message["deliveries"]} == {"delivered"}
        told = {(one["node_id"], one["new_status"]) for one in of_kind(alice, "message_status")}
        assert {(str(one.id), "delivered") for one in (bob, carol, dave)} <= told


@pytest.mark.slow
@virtual_time
async def test_deleted_conversations_and_forgotten_peers_take_nothing_from_a_group() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        mesh.cut(alice, bob)
        await mesh.sleep(30)
        await write(alice, group, "wait for it")
        await alice.call("messages.send", {"peer_node_id": bob.id, "body": "goes"})
        await mesh.sleep(1)
        await alice.call("messages.delete_conversation", {"peer_node_id": bob.id})
        await write(alice, group, "and this")
        await alice.call("messages.delete_all")
        mesh.heal()
        await mesh.until(lambda: shown(bob) == ["wait for it", "and this"], 120)
        assert (await bob.call("messages.list_conversations"))["conversations"] == []


@virtual_time
async def test_wrong_texts_and_names_are_refused_with_what_to_do() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, _ = mesh
        group = (await alice.call("groups.create", {"name": "friends"}))["group_id"]
        await alice.call("groups.create", {"name": "friends"})
        for word, say in (("x", "is called 'x'"), ("friends", "may mean"), (group[:3], "is called")):
            with pytest.raises(RpcError, match=say):
                await write(alice, word, "hello")
        await write(alice, group[:8].upper(), "x" * TEXT_LIMIT)
        with pytest.raises(RpcError, match=f"at most {TEXT_LIMIT} bytes of UTF-8, this one {TEXT_LIMIT + 2}; split it"):
            await write(alice, group, "x" * TEXT_LIMIT + "ü")
        with pytest.raises(RpcError, match="is empty"):
            await write(alice, group, "")
        with pytest.raises(RpcError, match="surrogate"):
            await write(alice, group, "\ud800")
        with pytest.raises(RpcError, match="nothing is known"):
            await alice.call("groups.invite", {"group": group, "node_id": "77" * 16})
        with pytest.raises(RpcError, match="member already"):
            await alice.call("groups.invite", {"group": group, "node_id": alice.id})
        with pytest.raises(RpcError, match="leave with"):
            await alice.call("groups.remove", {"group": group, "node_id": alice.id})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@virtual_time
async def test_with_kills_partitions_and_races_all_converge_and_nothing_is_lost_or_twice(seed: int) -> None:
    """Two who may change the group do so at once, in parts that do not see each other, while daemons die."""
    async with DaemonMesh(nodes=6, shape=ring, seed=seed) as mesh:
        alice, bob, carol, dave, eve, frank = mesh
        group = await grown(mesh, alice, bob, carol)
        await alice.call("groups.remove", {"group": group, "node_id": bob.id})
        await add(mesh, alice, bob, group, may_change=True)
        for one, invited in ((alice, dave), (bob, eve), (alice, frank)):
            await one.call("groups.invite", {"group": group, "node_id": invited.id})
        await mesh.settle()
        written: list[str] = []
        for turn in range(6):
            mesh.partition(mesh.random.sample(list(mesh), 3))
            if turn < 3:
                await (dave, eve, frank)[turn].call("groups.join", {"group": group})
            for who in (alice, bob, carol):
                text = f"{who.name} {turn}"
                await write(who, group, text)
                written.append(text)
            victim = mesh.random.choice(list(mesh))
            victim.kill()
            await mesh.sleep(mesh.random.uniform(0, 20))
            mesh.heal()
            await victim.start()
            await mesh.sleep(mesh.random.uniform(0, 40))
        await mesh.sleep(1500)
        assert len(await members(alice, group)) == 6
        assert len({chain_of(one, group)[-1].hash for one in mesh}) == 1
        for one in (alice, bob, carol):
            assert sorted(await texts(one, group)) == sorted(written)
            assert len(shown(one)) == len(set(shown(one)))
        await write(frank, group, "last")
        await mesh.sleep(60)
        assert all([(await texts(one, group))[-1] == "last" for one in mesh])
        assert all([(await row(one, group))["members_agree"] for one in mesh])


@pytest.mark.slow
@virtual_time
async def test_a_restored_backup_uses_no_number_of_a_key_twice_and_learns_what_it_missed() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob)
        await write(alice, group, "1")
        await write(bob, group, "2")
        await mesh.settle()
        await alice.stop()
        directory = alice.machine.data_dir
        backup = alice.machine.disk.copied(directory, directory)
        await alice.start()
        await mesh.converged(60)
        await write(alice, group, "3")
        await add(mesh, alice, carol, group)
        await write(bob, group, "4")
        await mesh.settle()
        alice.kill()
        object.__setattr__(alice.machine, "disk", backup)
        await alice.start()
        await mesh.converged(60)
        await write(alice, group, "5")  # under an old record, without Carol
        await mesh.sleep(5)
        await write(bob, group, "6")
        await mesh.sleep(200)
        assert len(await members(alice, group)) == 3
        await write(alice, group, "7")
        await mesh.sleep(30)
        assert sorted(await texts(bob, group)) == ["1", "2", "3", "4", "5", "6", "7"]
        assert sorted(await texts(alice, group)) == ["1", "2", "5", "6", "7"]
        assert await texts(carol, group) == ["4", "6", "7"]


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["messages.db", "groups.db"])
@virtual_time
async def test_a_store_that_is_lost_stops_no_group(lost: str) -> None:
    """A damaged file is moved aside, and an empty one begun."""
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        for number in range(5):
            await write(alice, group, f"before {number}")
        await mesh.settle()
        bob.kill()
        bob.machine.disk.lose(lost)
        await bob.start()
        await mesh.converged(60)
        if lost == "groups.db":
            await alice.call("groups.remove", {"group": group, "node_id": bob.id})
            await mesh.sleep(200)  # its sessions are as they were
            await add(mesh, alice, bob, group)
        await write(alice, group, "after")
        await mesh.sleep(300)
        await write(bob, group, "from bob")
        await mesh.sleep(300)
        assert (await texts(bob, group))[-2:] == ["after", "from bob"]
        assert (await texts(carol, group))[-2:] == ["after", "from bob"]


@pytest.mark.slow
@virtual_time
async def test_a_daemon_that_dies_after_each_commit_takes_nothing_twice() -> None:
    """What was taken and not dropped before a kill is taken again, and changes nothing."""
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        plugin = plugin_of(bob)

        async def never(*_: object) -> None:
            return

        plugin._drop_arrived = never  # type: ignore[method-assign]
        for number in range(5):
            await write(alice, group, str(number))
        await alice.call("groups.create", {"name": "second"})
        await alice.call("groups.invite", {"group": "second", "node_id": bob.id})
        await mesh.settle()
        assert len(bob.machine.disk.rows("messages.db", "SELECT * FROM parcels_in")) > 5
        for _ in range(3):
            bob.kill()
            await bob.start()
            await mesh.converged(60)
            await mesh.settle()
        assert sorted(shown(bob)) == ["0", "1", "2", "3", "4"]
        assert sorted(await texts(bob, group)) == ["0", "1", "2", "3", "4"]
        assert len(of_kind(bob, "invited")) == 2
        assert bob.machine.disk.rows("messages.db", "SELECT * FROM parcels_in") == []


@pytest.mark.slow
@virtual_time
async def test_who_dies_while_a_group_forms_goes_on_at_once() -> None:
    """Whatever was to be done next is on disk; nothing waits for the next look at the house."""
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        for number, (victim, delay_s) in enumerate((one, s) for s in (0.0, 0.05) for one in (alice, bob)):
            group = (await alice.call("groups.create", {"name": f"group {number}"}))["group_id"]
            await alice.call("groups.invite", {"group": group, "node_id": bob.id})
            await mesh.until(lambda number=number: len(of_kind(bob, "invited")) > number, 10)  # type: ignore[misc]
            await bob.call("groups.join", {"group": group})
            await mesh.sleep(delay_s)
            victim.kill()
            await victim.start()
            await mesh.sleep(12)
            assert await state(bob, group) == "joined"
            await write(alice, group, "from alice")
            await write(bob, group, "from bob")
            await mesh.sleep(3)
            assert sorted(await texts(bob, group)) == sorted(await texts(alice, group)) == ["from alice", "from bob"]


@virtual_time
async def test_a_forgotten_member_that_is_reached_gets_what_is_written_at_once() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, _, bob = mesh
        group = await grown(mesh, alice, bob)
        for number in range(2):  # a look at the house may be near
            await alice.call("peers.forget", {"node_id": bob.id})
            await write(alice, group, f"still a member {number}")
            await mesh.until(lambda number=number: len(shown(bob)) > number, 5)  # type: ignore[misc]


@virtual_time
async def test_an_invitation_ends_after_28_days_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "KEPT_MS", 600_000)
    monkeypatch.setattr(invitations, "KEPT_MS", 600_000)
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = (await alice.call("groups.create", {"name": "friends"}))["group_id"]
        await alice.call("groups.invite", {"group": group, "node_id": bob.id})
        await mesh.settle()
        assert (await bob.call("groups.list"))["groups"] != []
        await mesh.sleep(700)
        assert (await bob.call("groups.list"))["groups"] == []
        assert (await row(alice, group))["invited"] == []


@pytest.mark.slow
@virtual_time
async def test_parents_are_what_its_sender_had_and_nobody_named() -> None:
    async with DaemonMesh(nodes=3, shape=ring) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        mesh.partition([carol])
        await mesh.sleep(20)
        for who in (alice, bob, carol, carol):
            await write(who, group, who.name)
            await mesh.sleep(2)
        mesh.heal()
        await mesh.until(lambda: len(shown(alice)) == 3, 120)
        await mesh.settle()
        await write(alice, group, "to all")
        await mesh.settle()
        by_text = {(one["body"], one["position"]): one for one in await messages(alice, group)}
        ids = [one["id"] for one in by_text.values()]
        last = list(by_text.values())[-1]
        of_bob = next(one for one in by_text.values() if one["body"] == bob.name)
        newest_of_carol = [one for one in by_text.values() if one["body"] == carol.name and one["parents"]]
        assert set(last["parents"]) == {of_bob["id"], newest_of_carol[0]["id"]}
        assert of_bob["parents"] == ids[:1]
        for one in mesh:
            assert [row["missing_parents"] for row in await messages(one, group)] == [0] * 5
