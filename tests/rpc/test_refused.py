"""A request that is refused early is answered, and what it held is told to nobody."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from pimd.rpc import client_socket
from pimd.rpc.limits import CONNECTIONS, LINGERING_BYTES, MESSAGE
from tests.limits import Lower
from tests.mesh.test_node import eventually
from tests.rpc.conftest import GOOD_HEAD, TOKEN, Connect, Dial, World
from tests.rpc.test_http import GOOD, ask

BIG = 24 * 2**20
"""Bytes that no buffers of the kernel hold."""
SECRET = "c0ffee" * 10


def send_all_then_read(port: int, head: str) -> bytes:
    """Do as most clients do: look at the answer only when all was sent."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head.encode())
        client.sendall(bytes(BIG))
        received = b""
        while more := client.recv(65536):
            received += more
        return received


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("POST /rpc HTTP/1.1", GOOD_HEAD, 413),
        ("POST /rpc HTTP/1.0", GOOD_HEAD, 413),
        ("POST /rpc HTTP/1.1", GOOD_HEAD.replace(TOKEN, "0" * 64), 401),
        ("POST /rpc HTTP/1.1", "Host: localhost\r\n", 401),
        ("POST /rpc HTTP/1.1", GOOD_HEAD.replace("localhost", "evil.example"), 403),
        ("POST /rpc HTTP/1.1", GOOD_HEAD.replace("application/json", "text/plain"), 415),
        ("PUT /rpc HTTP/1.1", GOOD_HEAD, 405),
        ("POST /nowhere HTTP/1.1", GOOD_HEAD, 404),
        ("POST /rpc HTTP/1.1", GOOD_HEAD + "X: " + "x" * 10_000 + "\r\n", 431),
    ],
)
async def test_who_still_sends_a_body_gets_the_answer(world: World, line: str, headers: str, status: int) -> None:
    assert world.server.http is not None
    head = f"{line}\r\n{headers}Content-Length: {BIG}\r\n\r\n"
    received = await asyncio.to_thread(send_all_then_read, world.server.http.port, head)
    assert int(received.split()[1]) == status
    assert json.loads(received.split(b"\r\n\r\n")[1])["error"]["message"]
    await eventually(lambda: world.server.budgets.lingering.held == 0)
    assert len(world.server.big_messages) == 0


@pytest.mark.limit("wrong tokens over all callers")
async def test_too_many_wrong_tokens_are_answered_while_a_body_is_sent(world: World, connect: Connect) -> None:
    assert world.server.http is not None
    wrong = {**GOOD, "Authorization": "Bearer " + "0" * 64}
    client = await connect("http")
    for _ in range(11):
        await ask(client, headers=wrong)
    head = f"POST /rpc HTTP/1.1\r\n{GOOD_HEAD.replace(TOKEN, '0' * 64)}Content-Length: {BIG}\r\n\r\n"
    assert (await asyncio.to_thread(send_all_then_read, world.server.http.port, head)).split()[1] == b"429"


async def test_a_chunked_body_over_the_limit_is_answered(connect: Connect) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BIG // 65536):
            yield bytes(65536)

    status, headers, _ = await ask(await connect("http"), body=chunks())
    assert (status, headers["Connection"]) == (413, "close")


async def test_who_finds_no_place_gets_the_answer(world: World, lower: Lower) -> None:
    assert world.server.http is not None
    head = f"POST /rpc HTTP/1.1\r\n{GOOD_HEAD}Content-Length: {BIG}\r\n\r\n"
    lower(CONNECTIONS, 0)
    assert (await asyncio.to_thread(send_all_then_read, world.server.http.port, head)).split()[1] == b"503"


def send_line_then_read(path: str, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(line)
        return client.makefile("rb").read()


async def test_a_line_that_is_too_long_is_answered_while_it_is_sent(world: World) -> None:
    assert world.server.unix is not None
    received = await asyncio.to_thread(send_line_then_read, str(world.server.unix.path), bytes(BIG))
    assert json.loads(received)["error"]["code"] == -32600
    await eventually(lambda: world.server.budgets.lingering.held == 0)


@pytest.mark.limit("bytes that are read and dropped after a refused RPC message")
async def test_what_is_read_after_a_refusal_has_a_limit(world: World, connect: Connect, lower: Lower) -> None:
    lower(LINGERING_BYTES, 2**20)
    assert world.server.http is not None
    head = f"POST /rpc HTTP/1.1\r\n{GOOD_HEAD}Content-Length: {BIG}\r\n\r\n"
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(send_all_then_read, world.server.http.port, head)
    client = await connect("unix")
    client.send(bytes(BIG))
    with pytest.raises(ConnectionError):
        await client.writer.drain()
    await eventually(lambda: world.server.budgets.lingering.held == 0)


async def test_a_refused_client_that_stays_is_closed(world: World, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_socket, "LINGERING_S", 0.01)
    client = await dial()
    await client.send("POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
    assert (await client.answer())[0] == 401
    await eventually(lambda: world.server.budgets.lingering.held == 0)


async def test_stopping_does_not_wait_for_a_refused_client(world: World, dial: Dial) -> None:
    client = await dial()
    await client.send("POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
    assert (await client.answer())[0] == 401
    assert world.server.budgets.lingering.held == 1
    await world.server.stop()
    await eventually(lambda: world.server.budgets.lingering.held == 0)


# --- Expect


async def test_a_client_that_expects_100_is_told_to_go_on(world: World, dial: Dial) -> None:
    client = await dial()
    body = '{"jsonrpc":"2.0","id":1,"method":"get_data"}'
    head = f"POST /rpc HTTP/1.1\r\n{GOOD_HEAD}Expect: 100-Continue\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(2):
        await client.send(head)
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(body)
        status, _, answer = await client.answer()
        assert (status, answer["result"]) == (200, ["hello", 5])


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        ("1.1", f"Expect: 100-continue\r\nContent-Length: {MESSAGE.value + 1}\r\n", 413),
        ("1.1", "Expect: 100-continue\r\nAuthorization: Bearer 0\r\nContent-Length: 5\r\n", 401),
        ("1.1", "Expect: the unexpected\r\nContent-Length: 5\r\n", 417),
    ],
)
async def test_what_will_be_refused_is_not_asked_for(
    world: World, dial: Dial, version: str, headers: str, status: int
) -> None:
    client = await dial()
    good = GOOD_HEAD if "Authorization" not in headers else "Host: localhost\r\n"
    await client.send(f"POST /rpc HTTP/{version}\r\n{good}{headers}\r\n")
    assert (await client.answer())[0] == status


async def test_http_1_0_knows_no_100(world: World, dial: Dial) -> None:
    client = await dial()
    await client.send(f"POST /rpc HTTP/1.0\r\n{GOOD_HEAD}Expect: 100-continue\r\nContent-Length: 1\r\n\r\n1")
    status, _, answer = await client.answer()
    assert (status, answer["error"]["code"]) == (200, -32600)


# --- what is told to others


@pytest.mark.parametrize(
    "sent",
    [
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: bearer, {SECRET}\r\n\r\n",
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {SECRET}\r\nSec-WebSocket-Protocol: {SECRET}\r\n\r\n",
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Protocol: {SECRET}\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization {SECRET}\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: {SECRET}\x01\r\n\r\n",
        f"{SECRET} / HTTP/1.1\r\n\r\n",
        f"Bearer: {SECRET}\r\n\r\n",
        f"GET /{SECRET} HTTP/9.9\r\n\r\n",
        f"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SECRET}\r\n\r\n",
        f"POST /rpc HTTP/1.1\r\n{GOOD_HEAD}Transfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-{SECRET}: {'x' * 9000}\r\n\r\n",
    ],
)
async def test_neither_logs_nor_answers_repeat_a_token_nor_name_versions(
    world: World, dial: Dial, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    caplog.set_level(logging.DEBUG)
    client = await dial()
    await client.send(sent)
    received = await client.reader.readuntil(b"\r\n\r\n")
    client.writer.write_eof()
    received += await client.reader.read()
    await eventually(lambda: len(world.server.budgets.http) == 0)
    assert received.startswith(b"HTTP/1.")
    formatter = logging.Formatter()
    told = received.decode() + "".join(formatter.format(record) for record in caplog.records)
    for secret in (SECRET, TOKEN, "aiohttp", "Python"):
        assert secret.lower() not in told.lower()
    assert "Server: pimd\r\n" in received.decode()


async def test_every_answer_names_no_version(connect: Connect) -> None:
    client = await connect("http")
    for path, method in (("/healthz", "GET"), ("/rpc", "POST"), ("/nowhere", "GET"), ("/openrpc.json", "GET")):
        _, headers, _ = await ask(client, method=method, path=path)
        assert headers.getall("Server") == ["pimd"]
    _, headers, _ = await ask(client, body='{"jsonrpc":"2.0","method":"update"}')
    assert headers.getall("Server") == ["pimd"]
    socket_ = (await connect("websocket")).socket
    assert socket_._response.headers.getall("Server") == ["pimd"]


@pytest.mark.parametrize(
    "host",
    [
        "user@localhost",
        "user:secret@127.0.0.1:9102",
        "localhost#x",
        "localhost/",
        "localhost?x",
        "evil.example#@localhost",
        "localhost:80:80",
        "localhost:x",
        "localhost, evil.example",
        "[::1]x",
        "[::1",
        "::1",
        "local host",
        "",
    ],
)
async def test_a_host_that_is_more_than_a_host_is_refused(world: World, dial: Dial, host: str) -> None:
    client = await dial()
    await client.send(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert (await client.answer())[0] in {400, 403}


@pytest.mark.parametrize(
    "request_",
    [
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://user@localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n\r\n",
    ],
)
async def test_two_hosts_another_host_or_none_is_refused(world: World, dial: Dial, request_: str) -> None:
    client = await dial()
    await client.send(request_)
    assert (await client.answer())[0] in {400, 403}


async def test_a_failure_of_ours_is_logged_and_answered_without_its_text(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert world.server.http is not None

    async def fails(_: object) -> aiohttp.web.StreamResponse:
        raise RuntimeError("a bug that nobody foresaw")

    monkeypatch.setitem(world.server.http._routes, "/healthz", ("GET", fails))
    status, headers, body = await ask(await connect("http"), method="GET", path="/healthz")
    assert (status, headers["Server"], body["error"]["code"]) == (500, "pimd", -32603)
    assert "nobody foresaw" not in json.dumps(body)
    assert "nobody foresaw" in caplog.text
