"""Who is redialled, and who is left alone because a user hung up."""

import asyncio

import pytest

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract import DialError, PeerEntry
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh.dialler import LEFT_US, Dialler
from pimd.task_scope import task_scope
from tests.mesh.conftest import Running, StartNode
from tests.mesh.test_node import eventually


async def linked(alice: Running, bob: Running) -> None:
    await eventually(lambda: alice.node.is_linked(bob.id) and bob.node.is_linked(alice.id))


async def apart(alice: Running, bob: Running) -> None:
    await eventually(lambda: not alice.node.service.links() and not bob.node.service.links())


async def test_a_peer_that_hung_up_is_redialled_only_where_it_is_configured(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    alice.node.service.keep_dialling(bob.entry(node_id=bob.id), configured=False)
    await linked(alice, bob)
    await bob.node.service.hang_up(alice.id)
    await apart(alice, bob)
    assert alice.node.service.left_alone(bob.id)
    assert bob.node.service.left_alone(alice.id)
    assert [dial.state for dial in alice.node.service.dials()] == ["waiting"]
    alice.node.service.keep_dialling(bob.entry(node_id=bob.id), configured=True)
    await linked(alice, bob)
    await bob.node.service.hang_up(alice.id)
    await linked(alice, bob)


async def test_a_link_ends_what_the_other_side_began_and_a_dial_what_this_side_did(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await alice.node.service.dial(bob.entry())
    await linked(alice, bob)
    await bob.node.service.hang_up(alice.id)
    await apart(alice, bob)
    await bob.node.service.dial(alice.entry())
    await linked(alice, bob)
    assert not alice.node.service.left_alone(bob.id)
    assert not bob.node.service.left_alone(alice.id)


async def test_resume_takes_back_hanging_up(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    alice.node.service.keep_dialling(bob.entry(), configured=True)
    await linked(alice, bob)
    await alice.node.service.hang_up(bob.id)
    await apart(alice, bob)
    alice.node.service.resume(bob.id)
    await linked(alice, bob)


@pytest.mark.parametrize("configured", [True, False])
async def test_redial_dials_what_is_configured_and_down_ahead_of_its_turn(configured: bool) -> None:  # noqa: FBT001
    dialled: list[float] = []
    clock = ManualClock(now=0.0)

    async def dial(entry: PeerEntry, *, configured: bool) -> NodeId:
        dialled.append(clock.now())
        raise DialError("nobody there")

    dialler = Dialler(dial, lambda _: None, clock, lambda: 0.5, Bites())
    dialler.keep(PeerEntry(Endpoint.tcp("192.0.2.1", 9100)), configured=configured)
    async with task_scope() as tasks:
        dialler.start(tasks)
        for seconds in (0, 1, 2, 4, 8, 16, 32):
            clock.advance(seconds)
            await turns()
        dialler.redial()
        await turns()
        clock.advance(20)
        dialler.redial()
        await turns()
        clock.advance(60)
        await turns()
        dialler.stop()
    assert dialled == [0, 1, 3, 7, 15, 31, 63, *([63, 83, 143] if configured else [143])]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.limit("peers remembered because their user hung up")
async def test_only_so_many_that_hung_up_are_remembered() -> None:
    async def dial(entry: PeerEntry, *, configured: bool) -> NodeId:
        raise AssertionError

    dialler = Dialler(dial, lambda _: None, ManualClock(), lambda: 0.5, Bites())
    ids = [NodeId(number.to_bytes(16)) for number in range(LEFT_US.value + 1)]
    for node_id in ids:
        dialler.left_by(node_id)
    assert [node_id for node_id in ids if not dialler.is_left_alone(node_id)] == ids[:1]


@pytest.mark.parametrize("configured", [True, False])
async def test_who_answers_at_a_configured_address_is_pinned_and_nobody_else(
    start_node: StartNode,
    configured: bool,  # noqa: FBT001
) -> None:
    alice, bob = await start_node(1, policy="trust_on_first_use"), await start_node(2)
    alice.node.service.keep_dialling(bob.entry(), configured=configured)
    await eventually(lambda: [dial.state for dial in alice.node.service.dials()] == ["up"])
    assert alice.keystore.pinned(bob.entry().endpoint) == (bob.id if configured else None)


async def test_an_incoming_link_tells_where_its_peer_listens(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await alice.node.service.dial(bob.entry())
    await linked(alice, bob)
    (link,) = bob.node.service.links()
    assert link.listens_at == alice.entry().endpoint
