"""Sending says what happened, from the place where the frame is really queued."""

import asyncio
import random

import pytest

from pimd.contract import PluginPayload, Sent
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh import congestion
from pimd.mesh.congestion import Congestion
from pimd.proto.frames import GoodbyeReason
from pimd.proto.traffic import TrafficClass
from tests.limits import Lower
from tests.mesh.conftest import StartNode
from tests.mesh.test_node import eventually, linked

BIG = PluginPayload("test.big", bytes(60_000))


async def test_sent_is_true_exactly_for_what_was_queued(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    got = bob.node.payloads.register("test", ["test.big"])
    assert alice.node.send_routed(NodeId(bytes(16)), BIG) is Sent.NO_ROUTE
    link = alice.node._links.best(bob.id)
    assert link is not None
    link.driver.pause_writing()
    sent = []
    while (what := alice.node.send_routed(bob.id, BIG)) is Sent.SENT:
        sent.append(what)
    assert what is Sent.CONGESTED
    assert not what
    assert all(sent)
    link.driver.resume_writing()
    await eventually(lambda: len(got) == len(sent))
    assert alice.node.service.counters()["payloads_sealed"] == len(sent)


async def test_no_card_is_said_where_the_route_is_known_and_the_card_is_not(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    await alice.keystore.forget(bob.id)
    assert alice.node.send_routed(bob.id, BIG) is Sent.NO_CARD


async def test_ready_waits_for_room_and_ends_with_the_route(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    assert await alice.node.ready(bob.id)
    assert not await alice.node.ready(NodeId(bytes(16)))
    link = alice.node._links.best(bob.id)
    assert link is not None
    link.driver.pause_writing()
    while alice.node.send_routed(bob.id, BIG):
        pass
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(alice.node.ready(bob.id)) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        link.driver.resume_writing()
    assert all(task.result() for task in waiting)
    link.driver.pause_writing()
    monkeypatch.setattr(link.driver, "resume_writing", lambda: None)  # the socket may have been full meanwhile
    while alice.node.send_routed(bob.id, BIG):
        pass
    async with asyncio.TaskGroup() as tasks:
        last = tasks.create_task(alice.node.ready(bob.id))
        await asyncio.sleep(0)
        link.close(GoodbyeReason.SHUTDOWN)
    assert last.result() is False
    assert alice.node.service.counters()["messages_dropped"] > 0  # what was queued is counted as lost with its link


async def test_whoever_gives_up_waiting_is_not_kept(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    link = alice.node._links.best(bob.id)
    assert link is not None
    link.driver.pause_writing()
    while alice.node.send_routed(bob.id, BIG):
        pass
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await alice.node.ready(bob.id)
    assert not alice.node._congestion.is_owed(bob.id, TrafficClass.MESSAGE)


@pytest.mark.limit("destinations owed a notice of room")
async def test_notices_are_owed_for_so_many_destinations(lower: Lower) -> None:
    lower(congestion.NOTICES, 10)
    owed, given = Congestion(lambda _: None, Bites()), list[NodeId]()
    ids = [NodeId(number.to_bytes(16)) for number in range(15)]
    for id_ in ids:
        owed.owe(id_, TrafficClass.DATAGRAM, given.append)
    assert given == []  # not within the call
    await asyncio.sleep(0)
    assert given == ids[:5]
    owed.links_changed()
    assert given == ids


@pytest.mark.parametrize("seed", range(5))
async def test_over_random_congestion_sent_is_what_arrives_or_is_counted(start_node: StartNode, seed: int) -> None:
    rng = random.Random(seed)
    alice, bob = await linked(start_node)
    got = bob.node.payloads.register("test", [f"test.{n}" for n in range(3)])
    arrived = sent = 0
    link = alice.node._links.best(bob.id)
    assert link is not None
    waiting = link.driver.link._send_queue.data.by_class[TrafficClass.MESSAGE].waiting
    for _ in range(400):
        match rng.randrange(8):
            case 0:
                link.driver.pause_writing()
            case 1:
                link.driver.resume_writing()
            case 2:
                await asyncio.sleep(0)
            case _:
                payload = PluginPayload(f"test.{rng.randrange(3)}", bytes(rng.choice((10, 5_000, 60_000))))
                before = waiting.size
                what = alice.node.send_routed(bob.id, payload)
                sent += bool(what)
                # Nothing leaves within the call: what was queued waits, and what was refused does not.
                assert (what is Sent.SENT) == (waiting.size > before)
                assert what in (Sent.SENT, Sent.CONGESTED)
        while len(got):
            await got.get()
            arrived += 1
    link.driver.pause_writing()
    while alice.node.send_routed(bob.id, BIG):
        sent += 1
    link.driver.abort()
    await eventually(lambda: alice.node.service.link(bob.id) is None and bob.node.service.link(alice.id) is None)
    waited = len(got)
    lost = alice.node.service.counters().get("messages_dropped", 0)
    refused = bob.node.service.counters().get("dropped_plugin_queue_full", 0)
    in_transit = sent - arrived - waited - refused - lost
    # What was encrypted already, or in the kernel, may be cut off with its link.
    assert 0 <= in_transit <= alice.node.service.counters()["payloads_sealed"] - arrived
    assert alice.node.service.counters()["payloads_sealed"] == sent
