"""Messages over several hops between whole nodes on real sockets."""

import asyncio
import itertools

import pytest

from pimd.contract import PluginPayload, RouteFound, RouteLost
from pimd.ids import NodeId
from pimd.net.transports.tcp import TcpTransport
from pimd.proto.frames import MeshData
from tests.mesh.conftest import Running, StartNode
from tests.mesh.test_node import eventually

HELLO = PluginPayload("test.hello", b"hello")


async def connect(one: Running, other: Running) -> None:
    assert await one.node.service.dial(other.entry()) == other.id


async def line(start_node: StartNode, count: int, **more: object) -> list[Running]:
    nodes = [await start_node(number + 1, **more) for number in range(count)]
    for one, other in itertools.pairwise(nodes):
        await connect(one, other)
    return nodes


def hops(one: Running) -> dict[NodeId, int]:
    return {route.destination: route.hops for route in one.node.service.routes()}


async def test_a_payload_travels_five_hops_with_its_proven_source(start_node: StartNode) -> None:
    nodes = await line(start_node, 6)
    first, last = nodes[0], nodes[-1]
    queue = last.node.payloads.register("test", ["test.hello"])
    await eventually(lambda: hops(first).get(last.id) == 5 and hops(last).get(first.id) == 5)
    assert first.node.send_routed(last.id, HELLO)
    delivery = await asyncio.wait_for(queue.get(), 10)
    assert (delivery.src, delivery.body) == (first.id, b"hello")
    known = first.keystore.get(last.id)
    assert known is not None
    assert known.known == "signed"
    middle = nodes[2].node.service.counters()
    assert middle["forwarded_frames"] == 1
    assert middle["forwarded_bytes"] > 0


async def test_hops_are_counted_whatever_the_links_cost(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TcpTransport, "cost", 1024)
    nodes = await line(start_node, 4)
    await eventually(lambda: len(hops(nodes[0])) == 3)
    found = [nodes[0].node.service.route(node.id) for node in nodes[1:]]
    assert [(route.hops, route.metric) for route in found if route is not None] == [(1, 1024), (2, 2048), (3, 3072)]


async def test_nodes_that_announce_no_abilities_are_told_no_hops_and_are_reached_as_before(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TcpTransport, "cost", 512)
    first, middle, last = await start_node(1, abilities=0), await start_node(2, abilities=0), await start_node(3)
    await connect(first, middle)
    await connect(middle, last)
    await eventually(lambda: set(hops(first)) == {middle.id, last.id} and set(hops(last)) == {middle.id, first.id})
    assert hops(first) == {middle.id: 1, last.id: 3}  # told a metric of 512, which counts as two
    assert hops(last) == {middle.id: 1, first.id: 2}
    queue = last.node.payloads.register("test", ["test.hello"])
    assert first.node.send_routed(last.id, HELLO)
    assert (await asyncio.wait_for(queue.get(), 10)).src == first.id


async def test_a_node_that_does_not_relay_forwards_nothing_and_says_so(start_node: StartNode) -> None:
    first, middle, last = await start_node(1), await start_node(2, relays=False), await start_node(3)
    await connect(first, middle)
    await connect(middle, last)
    await eventually(lambda: set(hops(middle)) == {first.id, last.id})
    await eventually(lambda: middle.id in hops(first))
    assert last.id not in hops(first)
    link = first.node._links.best(middle.id)
    assert link is not None
    link.send(MeshData(first.id, last.id, 0x60, b"please"))
    await eventually(lambda: middle.node.service.counters().get("dropped_not_relayed", 0) == 1)
    known = first.keystore.get(middle.id)
    assert known is not None
    assert known.flags & 2 == 0


async def test_when_a_relay_goes_another_way_is_found(start_node: StartNode) -> None:
    first, upper, lower, last = [await start_node(number) for number in (1, 2, 3, 4)]
    for one, other in ((first, upper), (upper, last), (first, lower), (lower, last)):
        await connect(one, other)
    await eventually(lambda: hops(first).get(last.id) == 2)
    used = next(route.next_hop for route in first.node.service.routes() if route.destination == last.id)
    gone = upper if used == upper.id else lower
    await gone.node.stop()
    await eventually(lambda: used not in hops(first) and hops(first).get(last.id) == 2)
    queue = last.node.payloads.register("test", ["test.hello"])
    assert first.node.send_routed(last.id, HELLO)
    assert (await asyncio.wait_for(queue.get(), 10)).src == first.id


async def test_routes_found_and_lost_are_told(start_node: StartNode) -> None:
    first, middle, last = await line(start_node, 3)
    await eventually(lambda: last.id in hops(first))
    events = first.node.service.subscribe()
    await last.node.stop()
    assert await asyncio.wait_for(anext(events), 10) == RouteLost(last.id)
    again = await start_node(5)
    await connect(middle, again)
    assert await asyncio.wait_for(anext(events), 10) == RouteFound(again.id)


@pytest.mark.parametrize(("ttl", "counter"), [(0, "dropped_ttl"), (5, "dropped_back_where_it_came_from")])
async def test_frames_that_cannot_go_on_are_dropped_and_counted(start_node: StartNode, ttl: int, counter: str) -> None:
    first, middle, last = await line(start_node, 3)
    await eventually(lambda: last.id in hops(first))
    link = first.node._links.best(middle.id)
    assert link is not None
    destination = last.id if ttl == 0 else first.id
    link.send(MeshData(NodeId(bytes(16)), destination, 0x60, b"x", ttl=ttl))
    await eventually(lambda: middle.node.service.counters().get(counter, 0) == 1)
