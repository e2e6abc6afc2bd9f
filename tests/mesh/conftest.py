"""Whole nodes on real sockets of this machine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.clock import LivedClock, SystemClock
from pimd.contract import PeerEntry, tcp_endpoint
from pimd.ids import NodeId
from pimd.mesh.node import Node
from pimd.mesh.parts import NodeConfig
from pimd.mesh.policy import Policy, PolicyName
from pimd.net.network import Network
from pimd.net.sockets import OnSocket, leave
from pimd.net.transports.tcp import TcpTransport
from pimd.net.transports.unix import UnixTransport
from pimd.proto.handshake import ABILITIES, LinkConfig
from pimd.proto.identity import Identity
from pimd.proto.mesh_secret import MeshSecret
from pimd.store.eviction import InUse
from pimd.store.keystore import Keystore


@dataclass
class Running:
    """A started node and what it stands on."""

    node: Node
    keystore: Keystore
    identity: Identity

    @property
    def id(self) -> NodeId:
        return self.identity.node_id

    def entry(self, **more: Any) -> PeerEntry:
        return PeerEntry(tcp_endpoint(self.node.service), **more)

    @property
    def port(self) -> int:
        return tcp_endpoint(self.node.service).port


StartNode = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start_node(tmp_path: Path) -> AsyncIterator[StartNode]:
    async with AsyncExitStack() as stack:
        group = asyncio.TaskGroup()
        await stack.enter_async_context(group)
        started: list[Node] = []

        async def start(
            who: int,
            *,
            psk: bytes | None = None,
            secret: MeshSecret | None = None,
            policy: PolicyName = "allow_all",
            authorized: tuple[NodeId, ...] = (),
            port: int = 0,
            unix: Path | None = None,
            on_socket: OnSocket = leave,
            relays: bool = True,
            abilities: int = ABILITIES,
            identity: Identity | None = None,
            clock: LivedClock | None = None,
            **keeps: int,
        ) -> Running:
            clock = clock or SystemClock()
            in_use = InUse(
                lambda peer: node.service.has_route(peer),  # noqa: PLW0108 - made below
                lambda peer: node.service.is_configured(peer),  # noqa: PLW0108
                lambda peer: node.service.is_linked(peer),  # noqa: PLW0108
            )
            keystore = await stack.enter_async_context(Keystore.open(tmp_path / f"{who}.db", clock, in_use, **keeps))
            identity = identity or Identity.from_seed(bytes([who]) * 32)
            rules = Policy(policy, authorized, keystore.is_blocked)
            link = LinkConfig(psk=psk, agent="test/1", abilities=abilities)
            listen = [Endpoint.tcp("127.0.0.1", port)]
            if unix is not None:
                listen.append(Endpoint.parse(f"unix:{unix}"))
            config = NodeConfig(f"node-{who}", listen, link, relays=relays, secret=secret)
            node = Node(
                config, identity, keystore, rules, Network((TcpTransport(on_socket), UnixTransport(on_socket))), clock
            )
            await node.start(group)
            started.append(node)
            stack.push_async_callback(node.stop)
            return Running(node, keystore, identity)

        yield start
        for node in started:
            await node.stop()
        for task in asyncio.all_tasks():
            if task.get_name() == "card reissue":
                task.cancel()
