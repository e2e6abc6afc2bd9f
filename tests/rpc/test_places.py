"""Places of connections: each kind has its own, and those that proved nothing go first."""

import pytest

from pimd.limits import Bites
from pimd.rpc.limits import CONNECTIONS, LINGERING, UNIX_CONNECTIONS, Places
from tests.limits import Lower
from tests.mesh.test_node import eventually
from tests.rpc.conftest import TOKEN, Connect, Dial, LineClient, World
from tests.rpc.raw import Raw

CALL = '{"jsonrpc": "2.0", "id": 1, "method": "get_data"}'


class One:
    """A connection of which it is noted whether it lost its place."""

    def __init__(self) -> None:
        self.displaced = False

    def displace(self) -> None:
        self.displaced = True


def test_the_oldest_that_proved_nothing_goes(lower: Lower) -> None:
    lower(CONNECTIONS, 3)
    places = Places(CONNECTIONS, Bites())
    proven, old, new, newest, last = (One() for _ in range(5))
    assert [places.enter(one) for one in (proven, old, new)] == [True] * 3
    places.prove(proven)
    assert places.enter(newest)
    assert [one.displaced for one in (proven, old, new, newest)] == [False, True, False, False]
    places.leave(old)  # as it does once its socket is closed
    assert len(places) == 3
    places.prove(new)
    places.prove(newest)
    assert not places.enter(last)
    places.leave(newest)
    assert places.enter(last)


@pytest.mark.limit("RPC connections over HTTP and WebSocket")
async def test_idle_connections_without_a_token_lock_nobody_out(world: World, dial: Dial, connect: Connect) -> None:
    idle = [await dial() for _ in range(CONNECTIONS.value + 10)]
    await eventually(lambda: world.server.budgets.http._unproven.__len__() == CONNECTIONS.value)
    assert (await (await connect("http")).exchange(CALL))["result"] == ["hello", 5]
    assert (await (await connect("websocket")).exchange(CALL))["result"] == ["hello", 5]
    assert (await (await connect("unix")).exchange(CALL))["result"] == ["hello", 5]
    assert await idle[0].closed()
    await idle[-1].send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")  # the newest stay
    assert (await idle[-1].answer())[0] == 200


@pytest.mark.parametrize("proof", ["header", "message"])
@pytest.mark.limit("RPC connections over HTTP and WebSocket")
async def test_who_has_shown_the_token_keeps_the_place(
    world: World, connect: Connect, dial: Dial, lower: Lower, proof: str
) -> None:
    http, websocket = await connect("http"), await connect("websocket", token=proof == "header")
    if proof == "message":
        await websocket.ask(f'{{"jsonrpc":"2.0","id":1,"method":"rpc.authenticate","params":["{TOKEN}"]}}')
    assert (await http.exchange(CALL))["id"] == 1
    lower(CONNECTIONS, len(world.server.budgets.http))
    refused = await dial()
    await refused.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    status, _, body = await refused.answer()
    assert (status, body["error"]["code"]) == (503, -32005)
    assert (await websocket.exchange(CALL))["id"] == 1
    assert (await http.exchange(CALL))["id"] == 1


@pytest.mark.parametrize("wrong", ["Authorization: Bearer " + "0" * 64 + "\r\n", ""])
async def test_who_came_without_the_right_token_loses_the_place(
    world: World, dial: Dial, lower: Lower, wrong: str
) -> None:
    lower(CONNECTIONS, 1)
    first = await dial()
    await first.send(f"POST /rpc HTTP/1.1\r\nHost: localhost\r\n{wrong}Content-Length: 0\r\n\r\n")
    assert (await first.answer())[0] == 401
    second = await dial()
    assert await first.closed()
    await second.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await second.answer())[0] == 200


@pytest.mark.limit("RPC connections over the Unix socket")
async def test_on_the_unix_socket_who_did_not_greet_goes_first(connect: Connect) -> None:
    greeted = await connect("unix")
    idle: list[LineClient] = [await connect("unix", greet=False) for _ in range(UNIX_CONNECTIONS.value)]
    assert await idle[0].receive() is None
    assert (await greeted.call("get_data"))["result"] == ["hello", 5]
    assert (await (await connect("http")).exchange(CALL))["id"] == 1


@pytest.mark.limit("refused RPC connections whose clients still send")
async def test_of_refused_clients_that_stay_only_so_many_are_kept(world: World, dial: Dial, lower: Lower) -> None:
    lower(CONNECTIONS, 0)
    lower(LINGERING, 2)
    stay: list[Raw] = [await dial() for _ in range(3)]
    await stay[2].closed()
    assert world.server.budgets.lingering.held == 2
    for one in stay[:2]:
        one.writer.close()
    await eventually(lambda: world.server.budgets.lingering.held == 0)
