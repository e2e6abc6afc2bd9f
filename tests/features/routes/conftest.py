"""A routes plugin on a clock moved by hand; the test plays every other node, honest or not."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pimd.assembly.guard import Guard
from pimd.assembly.services import PluginIdentity
from pimd.assembly.timers import Timers
from pimd.clock import ManualClock
from pimd.contract import (
    CONFIG,
    DEFAULT_ROUTE,
    KEYSTORE,
    MESH,
    CancellationToken,
    Membership,
    PluginContext,
    PluginPayload,
    RouteInfo,
    Sent,
    ServiceKey,
)
from pimd.ids import NodeId
from pimd.proto.cards import issue
from pimd.proto.identity import Identity
from pimd.store.default_route import DefaultRoute
from pimd.store.keystore import Keystore
from pimd_features.routes import FEATURE
from pimd_features.routes.models import Traced, TraceParams
from pimd_features.routes.plugin import RoutesPlugin
from pimd_features.routes.wire import ANSWER_KIND, ASK_KIND, Answer, Ask
from tests.features.no_datagrams import NoDatagrams


async def nowhere(*, on: bool) -> None:
    raise PermissionError("an administrator decides")


def node(number: int) -> NodeId:
    return NodeId(number.to_bytes(16))


class TableMesh:
    """The part of `Mesh` that routes uses."""

    def __init__(self) -> None:
        self.table: dict[NodeId, RouteInfo] = {}
        self.membership = Membership("open", None, None)

    def lead(self, destination: NodeId, via: NodeId, hops: int, learned_at: float = 1000.0) -> None:
        self.table[destination] = RouteInfo(destination, via, 256 * hops, 1, learned_at, hops)

    def routes(self) -> list[RouteInfo]:
        return list(self.table.values())

    def route(self, destination: NodeId) -> RouteInfo | None:
        return self.table.get(destination)


@dataclass
class World:
    """The plugin, and what leaves it."""

    clock: ManualClock
    keystore: Keystore
    identity: Identity
    mesh: TableMesh = field(default_factory=TableMesh)
    plugin: RoutesPlugin = field(default_factory=RoutesPlugin)
    default_route: DefaultRoute = field(default_factory=lambda: DefaultRoute(lambda: False, nowhere))
    sent: "asyncio.Queue[tuple[NodeId, PluginPayload]]" = field(default_factory=asyncio.Queue)
    unreachable: set[NodeId] = field(default_factory=set)

    def __getitem__(self, key: ServiceKey[Any]) -> Any:
        return {MESH: self.mesh, KEYSTORE: self.keystore, CONFIG: self, DEFAULT_ROUTE: self.default_route}[key]

    def node_name(self) -> str:
        return "me"

    async def send_direct(self, peer: NodeId, frame: PluginPayload) -> None:
        raise AssertionError("a trace is always sealed")

    async def send_routed(self, dst: NodeId, frame: PluginPayload) -> Sent:
        if dst in self.unreachable:
            return Sent.NO_ROUTE
        self.sent.put_nowait((dst, frame))
        return Sent.SENT

    async def ready(self, dst: NodeId) -> bool:
        return dst not in self.unreachable

    async def start(self, directory: Path) -> None:
        await self.plugin.start(
            PluginContext(
                peers=self.keystore,
                control=self,
                datagrams=NoDatagrams(),
                identity=PluginIdentity(FEATURE, self.identity),
                data_dir=directory,
                cancel=CancellationToken(),
                clock=self.clock,
                settings=FEATURE.settings(),
                log=logging.getLogger("test"),
                services=self,  # type: ignore[arg-type] # the one method it needs
                spawn=None,  # type: ignore[arg-type] # it starts no tasks
                call_later=Timers(Guard("routes", self.clock)).call_later,
                every=None,  # type: ignore[arg-type] # it does nothing periodically
                run_blocking=None,  # type: ignore[arg-type] # nothing of it blocks
            )
        )

    def learn(self, seed: int, flags: int = 0, name: str = "somebody") -> NodeId:
        card = issue(Identity.from_seed(bytes([seed]) * 32), 1, flags, name)
        self.keystore.learn(card, direct=False)
        return card.node_id

    @contextmanager
    def tracing(self, destination: NodeId, **more: Any) -> Iterator["asyncio.Task[Traced]"]:
        params = TraceParams(node_id=destination, **more)
        task = asyncio.get_running_loop().create_task(self.plugin.trace(params))
        yield task
        task.cancel()

    async def asked(self, hop: NodeId, destination: NodeId) -> int:
        """Return the id of the question that leaves next; it must be for `hop`."""
        dst, payload = await self.sent.get()
        ask = Ask.decode(payload.body)
        assert (dst, payload.kind, ask.destination) == (hop, ASK_KIND, destination)
        return ask.id

    async def answer(self, hop: NodeId, id_: int, next_hop: NodeId | None, name: str = "") -> None:
        await self.plugin.handle_payload(hop, ANSWER_KIND, Answer(id_, next_hop, name).encode())

    async def ask(self, src: NodeId, destination: NodeId, id_: int = 7) -> Answer | None:
        """Ask the plugin, as another node would; None when it sends nothing."""
        await self.plugin.handle_payload(src, ASK_KIND, Ask(destination, id_).encode())
        if self.sent.empty():
            return None
        dst, payload = self.sent.get_nowait()
        assert (dst, payload.kind) == (src, ANSWER_KIND)
        return Answer.decode(payload.body)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = ManualClock()
    async with Keystore.open(tmp_path / "peers.db", clock) as keystore:
        world = World(clock, keystore, Identity.from_seed(bytes(32)))
        await world.start(tmp_path)
        yield world
