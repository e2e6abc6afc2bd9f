"""Assemblies of features made up on the spot, on a real node, keystore and data directory."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.assembly.assembly import Assembly
from pimd.assembly.choice import BUILTIN, Candidate
from pimd.assembly.imports import FeatureChoice
from pimd.assembly.known import KnownFeature, known_features
from pimd.assembly.log_ring import LogRing
from pimd.assembly.plan import Plan
from pimd.assembly.plugin_host import PluginHost
from pimd.assembly.running import Core
from pimd.clock import SystemClock
from pimd.contract import CancellationToken, Feature
from pimd.ids import NodeId
from pimd.mesh.node import Node
from pimd.mesh.parts import NodeConfig
from pimd.mesh.policy import Policy
from pimd.net.network import system_network
from pimd.proto.frames import PluginPayload
from pimd.proto.handshake import LinkConfig
from pimd.proto.identity import Identity
from pimd.rpc.connection import Connection
from pimd.rpc.server import RpcServer
from pimd.store.data_dir import hold_data_dir
from pimd.store.default_route import DefaultRoute
from pimd.store.keystore import Keystore
from pimd.task_scope import task_scope

BUILT_IN = known_features().keys()


@dataclass
class Assembled:
    """A running assembly and what it stands on."""

    assembly: Assembly
    core: Core
    rpc: RpcServer

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params or {})}
        dispatch = self.rpc.dispatch
        answer = await dispatch.answer(dispatch.parse(json.dumps(request).encode()), Connection("http"))
        answer.sent()
        assert answer.text is not None
        return json.loads(answer.text)

    def deliver(self, kind: str, body: bytes = b"", src: int = 7) -> None:
        self.core.node.payloads.deliver(NodeId(bytes([src]) * 16), PluginPayload(kind, body))

    def host(self, name: str) -> PluginHost:
        built = self.assembly._lives[name].built
        assert built is not None
        return built.host

    def row(self, name: str) -> Any:
        return self.assembly.row(name)


async def nowhere(*, on: bool) -> None:
    """Keep no wish."""


Assemble = Callable[..., Awaitable[Assembled]]


@pytest.fixture
async def assemble(tmp_path: Path) -> AsyncIterator[Assemble]:
    async with AsyncExitStack() as stack:

        async def start(
            *features: Feature,
            known: Mapping[str, KnownFeature] | None = None,
            config: Any = None,  # few features take it
            candidates: Sequence[Candidate] = (),
            strict: bool = True,
            **choice: Any,
        ) -> Assembled:
            clock = SystemClock()
            data_dir = stack.enter_context(hold_data_dir(tmp_path / "data"))
            keystore = await stack.enter_async_context(Keystore.open(tmp_path / "peers.db", clock))
            identity = Identity.from_seed(bytes(range(32)))
            policy = Policy("allow_all", (), keystore.is_blocked)
            node = Node(
                NodeConfig("test", [Endpoint.tcp("127.0.0.1", 0)], LinkConfig()),
                identity,
                keystore,
                policy,
                system_network(),
                clock,
            )
            # Only installed features are described when they start, which takes long for those with many methods.
            given = [Candidate(f.name, "1", BUILTIN if f.name in BUILT_IN else "test", lambda f=f: f) for f in features]  # type: ignore[misc]
            plan = Plan(FeatureChoice(**choice), known or {}, [*given, *candidates])
            rpc = RpcServer(clock, lambda name: assembly.explain_absent(name), list)  # noqa: PLW0108 - made on the next line
            assembly = Assembly(plan, rpc.registry, rpc.streams)
            core = Core(
                node,
                keystore,
                identity,
                data_dir,
                config,
                LogRing(),
                clock,
                CancellationToken(),
                default_route=DefaultRoute(lambda: False, nowhere),
                wrong_events_raise=strict,
            )
            group = await stack.enter_async_context(task_scope())
            stack.push_async_callback(assembly.stop)
            await assembly.start(core, group)
            return Assembled(assembly, core, rpc)

        yield start


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds; the test's own timeout ends it otherwise."""
    while not condition():
        await asyncio.sleep(0)
