"""Calls of clients that left do not begin, and no call delays the stop."""

import asyncio
import json
import time
from typing import Any

import pytest

from tests.mesh.test_node import eventually
from tests.rpc.conftest import TOKEN, Connect, World

LISTENERS = ["unix", "http", "websocket"]


def batch(*methods: str) -> str:
    calls = [{"jsonrpc": "2.0", "id": n, "method": method} for n, method in enumerate(methods)]
    return json.dumps([one | ({"params": [1]} if one["method"] == "update" else {}) for one in calls])


async def leave(client: Any, listener: str) -> None:
    """Go away without a word, with everything that waits."""
    if listener == "unix":
        client.writer.transport.abort()
    elif listener == "websocket":
        client.socket._response.connection.transport.abort()
    else:
        client.cancel()


async def send(client: Any, listener: str, message: str) -> Any:
    """Send without waiting; return what leaves."""
    if listener == "unix":
        client.send(message)
    elif listener == "websocket":
        await client.socket.send_str(message)
    else:
        return asyncio.get_running_loop().create_task(client.exchange(message))
    return client


@pytest.mark.parametrize("listener", LISTENERS)
async def test_the_rest_of_a_batch_is_dropped_when_its_caller_leaves(
    world: World, connect: Connect, listener: str
) -> None:
    client = await connect(listener)
    client = await send(client, listener, batch("slow", "update", "update"))
    await world.started.acquire()
    await leave(client, listener)
    await eventually(lambda: not world.server.budgets.http._taken and not world.server.budgets.unix._taken)
    await asyncio.sleep(0.02)  # longer than a turn, in which quick members are not looked after
    world.gate.set()
    await world.server.dispatch.idle.wait()
    assert world.notified == []


async def test_a_batch_of_notifications_is_dropped_when_a_unix_client_closes(world: World, connect: Connect) -> None:
    client = await connect("unix")
    client.send('[{"jsonrpc":"2.0","method":"slow"},{"jsonrpc":"2.0","method":"update","params":[1]}]')
    await world.started.acquire()
    client.writer.close()  # the daemon reads an end, as of a half-close
    await client.writer.wait_closed()
    await asyncio.sleep(0.02)
    world.gate.set()
    await world.server.dispatch.idle.wait()
    assert world.notified == []


async def test_after_a_half_close_a_batch_goes_on(world: World, connect: Connect) -> None:
    client = await connect("unix")
    client.send(batch("slow", "update"))
    client.writer.write_eof()
    await world.started.acquire()
    await asyncio.sleep(0.02)
    world.gate.set()
    assert [answer["id"] for answer in await client.receive()] == [0, 1]
    assert len(world.notified) == 1


async def test_messages_that_a_websocket_queued_are_dropped(world: World, connect: Connect) -> None:
    client = await connect("websocket")
    for _ in range(300):
        await client.socket.send_str('{"jsonrpc":"2.0","id":1,"method":"slow"}')
    for _ in range(32):
        await world.started.acquire()
    await leave(client, "websocket")
    await eventually(lambda: not world.server.budgets.http._taken)
    world.gate.set()
    await world.server.dispatch.idle.wait()
    assert world.started.locked()  # no other one began


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("then", ["leaves", "stays"])
async def test_the_stop_ends_slow_calls_by_the_hundred(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch, listener: str, then: str
) -> None:
    monkeypatch.setattr("pimd.rpc.server.GRACE_S", 0.01)
    clients = [await connect(listener) for _ in range(10)]
    sent = [await send(client, listener, batch(*["slow"] * 90, "update")) for client in clients]
    for _ in clients:
        await world.started.acquire()
    if then == "leaves":
        for client in sent:
            await leave(client, listener)
    await world.server.stop()
    await world.server.dispatch.idle.wait()  # though the gate never opened
    assert world.notified == []
    assert world.started.locked()
    if listener == "http":
        await asyncio.wait(sent)


async def test_what_comes_during_the_stop_is_told_so(world: World, connect: Connect) -> None:
    client = await connect("unix")
    client.send(batch("slow", "update"))
    await world.started.acquire()
    async with asyncio.TaskGroup() as group:
        group.create_task(world.server.stop())
        await asyncio.sleep(0)
        world.gate.set()
        first, second = await client.receive()
    assert (first["result"], second["error"]["code"]) == ("done", -32005)
    assert world.notified == []


async def test_a_new_connection_does_not_wait_for_sixty_busy_ones(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    async def busy(method: Any, connection: Any, args: Any, kwargs: Any) -> Any:
        ran.append(method.name)
        time.sleep(0.002)  # noqa: ASYNC251 - the work of a call that never waits
        return '"done"'

    monkeypatch.setattr("pimd.rpc.invoke._perform", busy)
    monkeypatch.setattr("pimd.rpc.turns.TURN_S", 0.001)
    clients = [await connect("unix") for _ in range(20)]
    for client in clients:
        client.send(batch(*["echo"] * 100))
    other = await connect("unix", greet=False)
    other.send('{"jsonrpc":"2.0","id":1,"method":"rpc.hello"}')
    await eventually(lambda: "rpc.hello" in ran)
    assert len(ran) < 20 * 100 / 4


async def test_a_token_in_the_first_message_reaches_no_log(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    client = await connect("websocket", token=False)
    answer = await client.ask(f'{{"jsonrpc":"2.0","id":1,"method":"rpc.authenticate","params":[["{TOKEN}"]]}}')
    assert TOKEN not in json.dumps(answer) + caplog.text
