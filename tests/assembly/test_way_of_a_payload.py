"""The way of an inbound payload is as short as docs/architecture.md says."""

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from pimd.assembly.guard import Guard
from pimd.assembly.plugin_host import PAYLOADS_AT_ONCE_S, PluginHost
from pimd.assembly.threads import Threads
from pimd.assembly.timers import Timers
from pimd.contract import CONGESTION_MET, Bites, CancellationToken, DaemonPlugin, PluginContext, PluginPayload
from pimd.ids import NodeId
from pimd.mesh.peer_link import PeerLink
from pimd.proto.frames import FLAG_CONGESTED, MeshData
from pimd.task_scope import task_scope
from tests.mesh.conftest import Running, StartNode, start_node
from tests.mesh.test_node import eventually, linked
from tests.ways import MOST, documented, traced

__all__ = ["start_node"]


class Taker(DaemonPlugin):
    """Takes payloads of one kind."""

    name: ClassVar[str] = "test"
    payload_kinds: ClassVar[tuple[str, ...]] = ("test.x",)

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.marked: list[bool] = []

    async def start(self, ctx: PluginContext) -> None:
        raise AssertionError("the way is that of a plugin which runs")

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        self.bodies.append(body)
        self.marked.append(CONGESTION_MET.get())


@pytest.fixture
async def group() -> AsyncIterator[asyncio.TaskGroup]:
    async with task_scope() as tasks:
        yield tasks


def serve(node: Running, group: asyncio.TaskGroup, plugin: Taker | None = None) -> tuple[Taker, PluginHost]:
    plugin = plugin or Taker()
    guard = Guard("test", node.node._clock)
    host = PluginHost(guard, plugin, CancellationToken(), Timers(guard), Threads("test", Bites()))
    host.serve(node.node.payloads.register("test", ["test.x"]), group)
    return plugin, host


async def test_an_inbound_payload_goes_through_the_documented_files(
    start_node: StartNode, group: asyncio.TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    plugin, host = serve(bob, group)
    assert alice.node.send_routed(bob.id, PluginPayload("test.x", b"first"))  # shared keys are made once
    await eventually(lambda: plugin.bodies == [b"first"])
    link = bob.node._links.best(alice.id)
    assert link is not None
    read = asyncio.Queue[bytes]()
    receive = link.driver.data_received
    monkeypatch.setattr(link.driver, "data_received", lambda data: read.put_nowait(bytes(data)))
    assert alice.node.send_routed(bob.id, PluginPayload("test.x", b"second"))
    data = await read.get()
    found: set[str] = set()
    with traced(found):
        receive(data)
        while len(plugin.bodies) < 2:
            await asyncio.sleep(0)
    await host.stop()
    assert found == documented("What happens to an inbound payload")
    assert len(found) <= MOST


async def test_a_plugin_learns_which_payloads_met_congestion(
    start_node: StartNode, group: asyncio.TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    plugin, host = serve(bob, group)
    receive = bob.node._frames.receive

    def mark_the_second(link: PeerLink, frame: MeshData) -> None:
        if len(plugin.bodies) == 1:
            frame.flags |= FLAG_CONGESTED
        receive(link, frame)

    monkeypatch.setattr(bob.node._frames, "receive", mark_the_second)
    for number in range(3):
        assert alice.node.send_routed(bob.id, PluginPayload("test.x", bytes([number])))
        await eventually(lambda: len(plugin.bodies) == number + 1)  # noqa: B023 - awaited within the round
    await host.stop()
    assert plugin.marked == [False, True, False]


async def test_payloads_that_wait_leave_turns_to_others(start_node: StartNode, group: asyncio.TaskGroup) -> None:
    node = await start_node(1)
    taken: list[float] = []
    loop = asyncio.get_running_loop()

    class Busy(Taker):
        async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
            began = loop.time()
            while loop.time() - began < 2 * PAYLOADS_AT_ONCE_S:
                pass
            taken.append(began)

    _, host = serve(node, group, Busy())
    for number in range(20):
        node.node.payloads.deliver(NodeId(bytes(16)), PluginPayload("test.x", bytes([number])))
    before: list[int] = []
    while len(taken) < 20:
        before.append(len(taken))
        await asyncio.sleep(0)
    await host.stop()
    assert before[-5:] == [15, 16, 17, 18, 19]  # whoever else waits gets a turn between any two
