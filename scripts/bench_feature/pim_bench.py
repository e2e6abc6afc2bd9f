"""Two features that only `scripts/bench links` runs: one that measures, and one that never stops sending."""

import asyncio
import time
from typing import ClassVar

from pimd.contract import (
    DaemonPlugin,
    Feature,
    NodeIdHex,
    NoParams,
    Params,
    PluginContext,
    PluginPayload,
    Result,
    Sent,
    rpc,
)
from pimd.ids import NodeId

BULK_BYTES = 60_000
PING, PONG, BULK = "probe.ping", "probe.pong", "bulk.data"


class PingParams(Params):
    """Payloads that are answered, and how many of them are on their way at once."""

    node_id: NodeIdHex
    count: int
    at_once: int = 1
    size: int = 100


class PacketParams(Params):
    """Datagrams to send as fast as there is room."""

    node_id: NodeIdHex
    count: int
    size: int


class Target(Params):
    """Whom to send to."""

    node_id: NodeIdHex


class Times(Result):
    """Seconds of each round trip, and of all together."""

    each: list[float]
    total: float


class Count(Result):
    """So many."""

    count: int


class ProbePlugin(DaemonPlugin):
    """Measures round trips of payloads, and counts datagrams."""

    name: ClassVar[str] = "probe"
    payload_kinds: ClassVar[tuple[str, ...]] = (PING, PONG)

    async def start(self, ctx: PluginContext) -> None:
        """Count datagrams from now on."""
        self._ctx = ctx
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._received = 0
        self._writable = asyncio.Event()
        ctx.datagrams.set_receiver(self._take)
        ctx.datagrams.set_writable(lambda _: self._writable.set())

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """Answer a ping; end the wait for a pong."""
        if kind == PING:
            await self._ctx.control.send_routed(src, PluginPayload(PONG, body))
        elif (pong := self._pongs.pop(body, None)) is not None:
            pong.set_result(None)

    def _take(self, src: NodeId, packet: bytes) -> None:
        del src, packet
        self._received += 1

    @rpc("probe.pings", timeout_s=600)
    async def pings(self, params: PingParams) -> Times:
        """Send payloads and wait for each answer."""
        numbers, each = iter(range(params.count)), list[float]()
        began = time.perf_counter()

        async def one_after_another() -> None:
            for number in numbers:
                each.append(await self._ping(params.node_id, number.to_bytes(8).ljust(params.size, b"\0")))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(params.at_once):
                tasks.create_task(one_after_another())
        return Times(each=each, total=time.perf_counter() - began)

    async def _ping(self, peer: NodeId, body: bytes) -> float:
        began = time.perf_counter()
        pong = self._pongs[body] = asyncio.get_running_loop().create_future()
        while await self._ctx.control.send_routed(peer, PluginPayload(PING, body)) is Sent.CONGESTED:
            await self._ctx.control.ready(peer)
        async with asyncio.timeout(10):
            await pong
        return time.perf_counter() - began

    @rpc("probe.packets", timeout_s=600)
    async def packets(self, params: PacketParams) -> Count:
        """Send datagrams, each as soon as there is room."""
        packet = bytes(params.size)
        for _ in range(params.count):
            while self._ctx.datagrams.send(params.node_id, packet) is not Sent.SENT:
                self._writable.clear()
                await self._writable.wait()
        return Count(count=params.count)

    @rpc("probe.received")
    async def received(self, _params: NoParams) -> Count:
        """Say how many datagrams came since the start."""
        return Count(count=self._received)


class BulkPlugin(DaemonPlugin):
    """Sends as fast as there is room, without end."""

    name: ClassVar[str] = "bulk"
    payload_kinds: ClassVar[tuple[str, ...]] = (BULK,)

    async def start(self, ctx: PluginContext) -> None:
        """Send nothing yet."""
        self._ctx = ctx
        self._received = 0
        self._to: NodeId | None = None

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """Count it."""
        del src, kind
        self._received += len(body)

    @rpc("bulk.start")
    async def begin(self, params: Target) -> None:
        """Send to a node until `bulk.stop`."""
        self._to = params.node_id
        self._ctx.spawn("send", self._send(params.node_id))

    @rpc("bulk.stop")
    async def end(self, _params: NoParams) -> None:
        """Send no more."""
        self._to = None

    @rpc("bulk.received")
    async def received(self, _params: NoParams) -> Count:
        """Say how many bytes came since the start."""
        return Count(count=self._received)

    async def _send(self, to: NodeId) -> None:
        payload = PluginPayload(BULK, bytes(BULK_BYTES))
        while self._to is to:
            if await self._ctx.control.send_routed(to, payload) is Sent.CONGESTED:
                await self._ctx.control.ready(to)


PROBE = Feature(name="probe", summary="Measures.", namespaces=("probe",), plugin=ProbePlugin)
BULK_FEATURE = Feature(name="bulk", summary="Sends without end.", namespaces=("bulk",), plugin=BulkPlugin)
