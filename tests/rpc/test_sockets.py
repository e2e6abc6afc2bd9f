"""What the sockets of the RPC listeners are set to, looked at on live ones."""

import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from pimd.clock import SystemClock
from pimd.net.sockets import BACKLOG
from pimd.rpc.http import HttpConfig
from pimd.rpc.limits import UNIX_CONNECTIONS
from pimd.rpc.server import RpcConfig, RpcServer
from tests.mesh.test_node import eventually
from tests.net.test_sockets import backlog, filled, option
from tests.rpc.conftest import TOKEN, Connect, World


@pytest.mark.parametrize("listener", ["http", "websocket"])
async def test_an_answer_is_sent_at_once_and_a_client_that_vanished_is_noticed(
    world: World, connect: Connect, listener: str
) -> None:
    client = await connect(listener)
    await client.exchange('{"jsonrpc": "2.0", "id": 1, "method": "rpc.methods"}')
    assert world.server.http is not None
    [connection] = world.server.http._server.connections
    assert connection.transport is not None
    assert option(connection.transport, socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert option(connection.transport, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


async def test_so_many_clients_wait_to_be_accepted(world: World) -> None:
    assert world.server.http is not None
    assert world.server.unix is not None
    [server], connections = world.server.http._listeners, world.server.unix.connections
    assert [backlog(bound) for bound in server.sockets] == [BACKLOG]
    waiting = filled(world.server.unix.path)
    assert len(waiting) == BACKLOG + 1  # Linux takes one more
    await eventually(lambda: len(connections) == min(len(waiting), UNIX_CONNECTIONS.value))
    for one in waiting:
        one.close()
    await eventually(lambda: not connections)


@pytest.mark.parametrize(("host", "families"), [("::", ["127.0.0.1", "[::1]"]), ("localhost", ["127.0.0.1"])])
async def test_a_host_of_both_families_is_reached_over_each(host: str, families: list[str]) -> None:
    server = RpcServer(SystemClock(), lambda _: {}, list)
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as session:
        await server.start(RpcConfig(None, HttpConfig(host, 0)), TOKEN, group)
        assert server.http is not None
        answers: list[Any] = []
        for family in families:
            async with session.get(f"http://{family}:{server.http.port}/healthz") as response:
                answers.append(await response.json())
        await server.stop()
    assert answers == [{"status": "ok"}] * len(families)
