"""The Unix socket RPC listener: hello, lines, limits, files."""

import asyncio
import json
import os
import socket

import pytest

from pimd.rpc import unix
from pimd.rpc.limits import CALLS_IN_ALL, CALLS_PER_CONNECTION, MESSAGE, UNIX_CONNECTIONS
from tests.limits import Lower
from tests.rpc.conftest import Connect, World


async def test_nothing_is_answered_before_a_hello_that_succeeded(connect: Connect) -> None:
    client = await connect("unix", greet=False)
    assert (await client.call("rpc.methods"))["error"]["code"] == -32600
    assert (await client.call("rpc.hello", {"rpc_version": 2}))["error"]["code"] == -32001
    assert (await client.call("rpc.methods"))["error"]["code"] == -32600
    hello = await client.call("rpc.hello", {"client": "test/1", "rpc_version": 1})
    assert hello["result"]["rpc_version"] == 1
    assert hello["result"]["daemon"].startswith("pimd/")
    assert hello["result"]["features"] == ["test"]
    assert "result" in await client.call("rpc.methods")


async def test_hello_and_a_call_may_be_sent_at_once(connect: Connect) -> None:
    client = await connect("unix", greet=False)
    client.send('{"jsonrpc":"2.0","id":1,"method":"rpc.hello"}\n{"jsonrpc":"2.0","id":2,"method":"get_data"}')
    assert [(await client.receive())["id"] for _ in range(2)] == [1, 2]


async def test_blank_lines_and_carriage_returns_are_nothing(connect: Connect) -> None:
    client = await connect("unix")
    client.send('\n\n \r\n{"jsonrpc":"2.0","id":7,"method":"get_data"}\r')
    assert (await client.receive())["id"] == 7


async def test_what_was_asked_before_a_half_close_is_answered(world: World, connect: Connect) -> None:
    client = await connect("unix")
    client.send('{"jsonrpc":"2.0","id":1,"method":"slow"}')
    client.writer.write_eof()
    await world.started.acquire()
    world.gate.set()
    assert (await client.receive())["result"] == "done"
    assert await client.receive() is None


@pytest.mark.limit("bytes of one RPC message")
async def test_a_line_over_the_limit_ends_the_connection(connect: Connect) -> None:
    client = await connect("unix")
    client.send(b" " * (MESSAGE.value + 1))
    assert (await client.receive())["error"]["code"] == -32600
    assert await client.receive() is None


async def test_a_line_of_the_limit_is_served(connect: Connect) -> None:
    client = await connect("unix")
    call = b'{"jsonrpc":"2.0","id":1,"method":"get_data"}'
    client.send(call + b" " * (MESSAGE.value - len(call)))
    assert (await client.receive())["id"] == 1


async def test_a_line_that_is_not_finished_in_time_ends_the_connection(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect("unix")
    monkeypatch.setattr(unix, "MESSAGE_S", 0.01)
    client.writer.write(b'{"jsonrpc"')
    assert "finished within" in (await client.receive())["error"]["message"]
    assert await client.receive() is None


@pytest.mark.limit("calls in flight of one RPC connection")
async def test_too_many_calls_in_flight_are_refused_and_the_rest_served(world: World, connect: Connect) -> None:
    client = await connect("unix")
    for n in range(CALLS_PER_CONNECTION.value + 3):
        client.send(json.dumps({"jsonrpc": "2.0", "id": n, "method": "slow"}))
    refused = [await client.receive() for _ in range(3)]
    assert {answer["error"]["code"] for answer in refused} == {-32005}
    world.gate.set()
    served = [await client.receive() for _ in range(CALLS_PER_CONNECTION.value)]
    assert {answer["result"] for answer in served} == {"done"}


@pytest.mark.limit("calls in flight over all RPC connections")
async def test_calls_in_all_are_limited(world: World, connect: Connect, lower: Lower) -> None:
    lower(CALLS_IN_ALL, 1)
    first, second = await connect("unix"), await connect("unix")
    first.send('{"jsonrpc":"2.0","id":1,"method":"slow"}')
    await world.started.acquire()
    assert (await second.call("get_data"))["error"]["code"] == -32005
    world.gate.set()
    assert (await first.receive())["result"] == "done"


@pytest.mark.limit("RPC connections over the Unix socket")
async def test_too_many_connections_are_told_so(connect: Connect, lower: Lower) -> None:
    lower(UNIX_CONNECTIONS, 0)
    client = await connect("unix", greet=False)
    assert (await client.receive())["error"]["code"] == -32005
    assert await client.receive() is None


async def test_a_probe_that_sends_nothing_leaves_nothing(
    world: World, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect("unix", greet=False)
    client.writer.write_eof()
    assert await client.receive() is None
    assert len(world.server.budgets.unix) == 0
    assert caplog.text == ""


@pytest.mark.slow
async def test_a_client_that_does_not_read_is_not_read_from(world: World, connect: Connect) -> None:
    greedy, other = await connect("unix"), await connect("unix")
    big = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x" * 2**20]}).encode() + b"\n"
    sock = greedy.writer.get_extra_info("socket")
    raw = socket.socket(fileno=os.dup(sock.fileno()))
    raw.settimeout(0)
    taken = 0
    for _ in range(10_000):
        try:
            taken += raw.send(big[taken % len(big) :])
        except BlockingIOError:
            if not (await other.call("get_data"))["result"]:
                break
            await asyncio.sleep(0)
            continue
    raw.close()
    assert taken < 64 * 2**20
    assert (await other.call("get_data"))["result"] == ["hello", 5]


async def test_stopping_closes_the_idle_at_once_and_lets_calls_end(world: World, connect: Connect) -> None:
    idle, busy = await connect("unix"), await connect("unix")
    busy.send('{"jsonrpc":"2.0","id":1,"method":"slow"}')
    await world.started.acquire()
    async with asyncio.TaskGroup() as group:
        group.create_task(world.server.stop())
        assert await idle.receive() is None
        world.gate.set()
        assert (await busy.receive())["result"] == "done"
        assert await busy.receive() is None


async def test_stopping_waits_300_ms_at_most(world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimd.rpc.server.GRACE_S", 0.01)
    busy = await connect("unix")
    busy.send('{"jsonrpc":"2.0","id":1,"method":"slow"}')
    await world.started.acquire()
    await world.server.stop()
    assert await busy.receive() is None


# --- the file


async def test_the_socket_is_private(world: World) -> None:
    assert world.server.unix is not None
    path = world.server.unix.path
    assert path.stat().st_mode & 0o777 == 0o660
    assert path.parent.stat().st_mode & 0o777 == 0o750
    await world.server.stop()
    assert not path.exists()
