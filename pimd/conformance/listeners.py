"""Clients of the three listeners; each sends bytes as they are, and returns one answer or None for none."""

import json
from asyncio import StreamReader, StreamWriter, open_unix_connection, timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp

ANSWER_S = 30.0
LONGEST = 64 << 20
LAST = "the last"
SENTINEL = json.dumps({"jsonrpc": "2.0", "id": LAST, "method": "rpc.methods"}).encode()


class Ask(Protocol):
    """One connection."""

    async def __call__(self, request: bytes, *, is_answered: bool) -> Any:
        """Return what is answered to a request; None when nothing is, as it must be without `is_answered`."""


@asynccontextmanager
async def connection(url: str, token: str | None) -> AsyncIterator[Ask]:
    """Open `unix:PATH`, `http://.../rpc` or `ws://.../ws`; raises OSError or aiohttp's errors."""
    if url.startswith("unix:"):
        reader, writer = await open_unix_connection(url.removeprefix("unix:"), limit=LONGEST)
        try:
            yield await _unix(reader, writer)
        finally:
            writer.close()
        return
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        if url.startswith("ws"):
            async with session.ws_connect(url, max_msg_size=LONGEST) as socket:
                yield _websocket(socket)
        else:
            yield _http(session, url)


async def _unix(reader: StreamReader, writer: StreamWriter) -> Ask:
    async def send(raw: bytes) -> None:
        writer.write(raw + b"\n")
        await writer.drain()

    async def receive() -> Any:
        line = await reader.readline()
        if not line:
            raise ConnectionError("the connection was closed")
        return json.loads(line)

    await send(b'{"jsonrpc": "2.0", "id": 0, "method": "rpc.hello", "params": {"client": "conformance/1"}}')
    await receive()
    return _asking(send, receive)


def _websocket(socket: aiohttp.ClientWebSocketResponse) -> Ask:
    async def send(raw: bytes) -> None:
        await socket.send_frame(raw, aiohttp.WSMsgType.TEXT)

    async def receive() -> Any:
        message = await socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"the connection was closed ({socket.close_code})")
        return json.loads(message.data)

    return _asking(send, receive)


def _asking(send: Any, receive: Any) -> Ask:
    """Ask with a call behind a request without an answer, whose own answer shows that there is none."""

    async def ask(request: bytes, *, is_answered: bool) -> Any:
        async with timeout(ANSWER_S):
            await send(request)
            if is_answered:
                return await receive()
            await send(SENTINEL)
            first = await receive()
            return None if isinstance(first, dict) and first.get("id") == LAST else first

    return ask


def _http(session: aiohttp.ClientSession, url: str) -> Ask:
    async def ask(request: bytes, *, is_answered: bool) -> Any:  # noqa: ARG001 - HTTP answers each request
        async with (
            timeout(ANSWER_S),
            session.post(url, data=request, headers={"Content-Type": "application/json"}) as response,
        ):
            body = await response.read()
            return json.loads(body) if body else None

    return ask
