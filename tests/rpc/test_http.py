"""The HTTP RPC listener: token, browsers, statuses, sizes."""

import asyncio
import contextlib
import io
import json
from typing import Any

import aiohttp
import pytest

from pimd.rpc import http_connection
from pimd.rpc.limits import (
    CONNECTIONS,
    FIRST_MESSAGE,
    MESSAGE,
)
from pimd.rpc.websocket import FRAME_OVERHEAD
from tests.limits import Lower
from tests.rpc.conftest import TOKEN, Connect, Dial, World

CALL = '{"jsonrpc": "2.0", "id": 1, "method": "rpc.methods"}'
GOOD = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


async def ask(
    client: Any,
    *,
    method: str = "POST",
    path: str = "/rpc",
    body: Any = CALL,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any, Any]:
    """Return status, headers and parsed body."""
    url = client.url.replace("/rpc", path)
    async with client.session.request(method, url, data=body, headers=GOOD if headers is None else headers) as response:
        text = await response.text()
        return response.status, response.headers, json.loads(text) if text else None


@pytest.mark.parametrize(
    "given", [None, "Bearer", "Bearer " + "0" * 64, "Basic " + TOKEN, f"Bearer {TOKEN}0", "Bearer \udcff"]
)
async def test_without_the_right_token_nothing_is_answered(connect: Connect, given: str | None) -> None:
    headers = {"Content-Type": "application/json"} | ({"Authorization": given} if given is not None else {})
    if given is not None and not given.isascii():
        headers["Authorization"] = "Bearer \xff"
    status, answered, body = await ask(await connect("http"), headers=headers)
    assert status == 401
    assert answered["WWW-Authenticate"].startswith("Bearer")
    assert body["error"]["code"] == -32003
    assert "rpc.token" in body["error"]["message"]


@pytest.mark.limit("wrong tokens over all callers")
async def test_after_ten_wrong_tokens_wrong_ones_wait_and_the_right_one_does_not(connect: Connect) -> None:
    client = await connect("http")
    wrong = {**GOOD, "Authorization": "Bearer " + "0" * 64}
    statuses = [(await ask(client, headers=wrong))[0] for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    _, headers, body = await ask(client, headers=wrong)
    assert body["error"]["code"] == -32004
    assert 1 <= body["error"]["data"]["retry_after_s"] <= 60
    assert int(headers["Retry-After"]) <= 60
    assert (await ask(client))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:9102"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Origin": "http://allowed.example"}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:9102"}, 200),
        ({"Host": "pimd.example"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
async def test_browsers_get_in_only_where_allowed(connect: Connect, headers: dict[str, str], status: int) -> None:
    client = await connect("http")
    found, answered, body = await ask(client, headers=GOOD | headers)
    assert found == status
    assert ("error" in body) == (status != 200)
    assert ("Access-Control-Allow-Origin" in answered) == (headers.get("Origin") == "http://allowed.example")


async def test_a_preflight_is_answered_for_an_allowed_origin_only(connect: Connect) -> None:
    client = await connect("http")
    asked = {"Access-Control-Request-Method": "POST"}
    status, headers, _ = await ask(
        client, method="OPTIONS", body=b"", headers=asked | {"Origin": "http://allowed.example"}
    )
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == "http://allowed.example"
    assert "Authorization" in headers["Access-Control-Allow-Headers"]
    assert (await ask(client, method="OPTIONS", body=b"", headers=asked | {"Origin": "http://evil.example"}))[0] == 403
    assert (await ask(client, method="OPTIONS", body=b"", headers={}))[0] == 405


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/rpc", 405), ("PUT", "/rpc", 405), ("POST", "/healthz", 405), ("GET", "/", 404), ("POST", "/rpc/", 404)],
)
async def test_other_methods_and_paths(connect: Connect, method: str, path: str, status: int) -> None:
    assert (await ask(await connect("http"), method=method, path=path, body=b""))[0] == status


async def test_health_needs_no_token_and_the_description_does(connect: Connect) -> None:
    client = await connect("http")
    assert (await ask(client, method="GET", path="/healthz", body=b"", headers={}))[::2] == (200, {"status": "ok"})
    assert (await ask(client, method="GET", path="/openrpc.json", body=b"", headers={}))[0] == 401
    status, _, document = await ask(client, method="GET", path="/openrpc.json", body=b"")
    assert status == 200
    assert document["openrpc"].startswith("1.3")


async def test_a_notification_is_answered_204(connect: Connect) -> None:
    assert (await ask(await connect("http"), body='{"jsonrpc":"2.0","method":"update"}'))[0] == 204


async def test_what_waits_for_an_answer_comes_after_it(connect: Connect) -> None:
    client, subscriber = await connect("http"), await connect("unix")
    await subscriber.call("test.subscribe")
    assert (await client.exchange('{"jsonrpc":"2.0","id":1,"method":"eventful"}'))["result"] == "answered"
    assert (await subscriber.receive())["params"]["n"] == 1
    assert (await client.exchange(CALL))["id"] == 1


@pytest.mark.limit("bytes of one RPC message")
async def test_a_body_over_the_limit_is_413_also_in_chunks(connect: Connect) -> None:
    client = await connect("http")

    async def chunks() -> Any:
        for _ in range(MESSAGE.value // 65536 + 1):
            yield b" " * 65536

    assert (await ask(client, body=io.BytesIO(b" " * (MESSAGE.value + 1))))[0] == 413
    assert (await ask(client, body=chunks()))[0] == 413
    assert (await ask(client, body=io.BytesIO(CALL.encode().ljust(MESSAGE.value))))[0] == 200


async def test_subscribing_names_the_other_listeners(connect: Connect) -> None:
    error = (await (await connect("http")).exchange('{"jsonrpc":"2.0","id":1,"method":"test.subscribe"}'))["error"]
    assert error["code"] == -32600
    assert "Unix socket" in error["message"]
    assert "/ws" in error["message"]


async def test_a_message_that_is_not_finished_in_time_is_cut(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "MESSAGE_S", 0.05)
    assert world.server.http is not None
    head = (
        f"POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    )
    for start in ("", "POST /rpc HTTP/1.1\r\n", head + "Content-Length: 5\r\n\r\n1"):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.http.port)
        writer.write(start.encode())
        with contextlib.suppress(ConnectionResetError):
            assert b"200 OK" not in await reader.read()
        writer.close()
    assert len(world.server.big_messages) == 0


async def test_each_message_of_a_connection_has_its_own_deadline(
    world: World, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await dial()
    await client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await client.answer())[0] == 200
    monkeypatch.setattr(http_connection, "MESSAGE_S", 0.01)
    await client.send("GET /healthz HTTP/1.1\r\n")
    async with asyncio.timeout(10):
        assert await client.closed()


@pytest.mark.parametrize("more", [0, 1])
async def test_the_bytes_before_a_token_are_counted_exactly(dial: Dial, more: int) -> None:
    client = await dial()
    await client.send(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    call = '{"jsonrpc":"2.0","id":1,"method":"rpc.authenticate","params":["0"]}'.ljust(FIRST_MESSAGE.value)
    ping = bytes([0x89, 0x80 | (50 + more)]) + bytes(4) + bytes(50 + more)
    message = b"\x81\xfe" + FIRST_MESSAGE.value.to_bytes(2, "big") + bytes(4) + call.encode()
    assert len(ping + message) == FIRST_MESSAGE.value + FRAME_OVERHEAD + more
    await client.send(ping + message)
    if more:
        assert await client.closed()
    else:
        await client.reader.readuntil(b"-32003")


@pytest.mark.limit("RPC connections over HTTP and WebSocket")
async def test_too_many_connections_are_told_so(world: World, connect: Connect, lower: Lower) -> None:
    client = await connect("http")
    lower(CONNECTIONS, 0)
    status, _, body = await ask(client)
    assert status == 503
    assert body["error"]["code"] == -32005


async def test_stopping_does_not_wait_long_for_a_call(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pimd.rpc.server.GRACE_S", 0.01)
    client = await connect("http")

    async def call() -> None:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.exchange('{"jsonrpc":"2.0","id":1,"method":"slow"}')

    async with asyncio.TaskGroup() as group:
        group.create_task(call())
        await world.started.acquire()
        await world.server.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await connect("websocket")
