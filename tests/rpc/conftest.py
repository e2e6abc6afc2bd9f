"""A real server with methods made for tests, and a client for each RPC listener."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from pydantic import ConfigDict

from pimd.clock import SystemClock
from pimd.contract import EventStream, InvalidParams, Params, PeerNotFound, Result, after_answer
from pimd.rpc.connection import Connection
from pimd.rpc.core_methods import stream_methods
from pimd.rpc.http import HttpConfig
from pimd.rpc.registry import Method
from pimd.rpc.server import RpcConfig, RpcServer
from tests.rpc.raw import Raw

TOKEN = "ab" * 32
GOOD_HEAD = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
SENTINEL = '{"jsonrpc": "2.0", "id": "sentinel", "method": "rpc.methods"}'


class AnyParams(Params):
    """Takes everything."""

    model_config = ConfigDict(extra="allow", strict=True)


class SubtractParams(Params):
    """As in the specification."""

    minuend: int
    subtrahend: int


class SumParams(Params):
    """As in the specification: three numbers by position."""

    a: int
    b: int = 0
    c: int = 0
    d: int = 0
    e: int = 0


class ValueParams(Params):
    """Any JSON value."""

    value: Any = None


class Ticked(Result):
    """An event."""

    kind: str
    n: int


@dataclass
class World:
    """The server, and what its methods do."""

    server: RpcServer
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    notified: list[Any] = field(default_factory=list)

    def tick(self, n: int, kind: str = "tick") -> None:
        self.server.streams.publish("test.event", Ticked(kind=kind, n=n))


class Client(Protocol):
    """One RPC listener."""

    async def exchange(self, message: str | bytes) -> Any:
        """Send one message and return the parsed answer, None when there is none; for what is answered at once."""

    async def ask(self, message: str) -> Any:
        """Send one message and return the parsed answer, however long it takes."""


async def subtract(_: Connection, params: SubtractParams) -> int:
    return params.minuend - params.subtrahend


async def sum_(_: Connection, params: SumParams) -> int:
    return params.a + params.b + params.c + params.d + params.e


async def get_data(_: Connection, __: Params) -> list[Any]:
    return ["hello", 5]


async def echo(_: Connection, params: ValueParams) -> Any:
    return params.value


async def secret(_: Connection, __: Params) -> None:
    raise RuntimeError("the secret is 4711")


async def wrong(_: Connection, __: Params) -> None:
    raise InvalidParams("this is never right", {"why": "a test"})


async def wrong_at_length(_: Connection, params: ValueParams) -> None:
    raise InvalidParams("this is never right", params.value)


async def undeclared(_: Connection, __: Params) -> None:
    raise PeerNotFound("who?")


async def leave(_: Connection, __: Params) -> None:
    raise SystemExit(3)


async def cancel(_: Connection, __: Params) -> None:
    raise asyncio.CancelledError


async def unwritable(_: Connection, __: Params) -> Any:
    return object()


async def nan(_: Connection, __: Params) -> Any:
    return [float("nan")]


async def surrogate(_: Connection, __: Params) -> Any:
    return "\ud800"


def _methods(world: World) -> list[Method]:
    async def notify(_: Connection, params: AnyParams | SumParams) -> None:
        world.notified.append(params)

    async def slow(_: Connection, __: Params) -> str:
        world.started.release()
        await world.gate.wait()
        return "done"

    async def eventful(_: Connection, __: Params) -> str:
        after_answer(lambda: world.tick(1))
        return "answered"

    functions: list[tuple[str, Any, Any, type[Params]]] = [
        ("subtract", subtract, int, SubtractParams),
        ("sum", sum_, int, SumParams),
        ("get_data", get_data, list[Any], Params),
        ("update", notify, None, SumParams),
        ("notify_sum", notify, None, SumParams),
        ("notify_hello", notify, None, SumParams),
        ("foobar_known", notify, None, SumParams),
        ("echo", echo, Any, ValueParams),
        ("secret", secret, None, Params),
        ("wrong", wrong, None, Params),
        ("wrong_at_length", wrong_at_length, None, ValueParams),
        ("undeclared", undeclared, None, Params),
        ("leave", leave, None, Params),
        ("cancel", cancel, None, Params),
        ("unwritable", unwritable, Any, Params),
        ("nan", nan, Any, Params),
        ("surrogate", surrogate, Any, Params),
        ("slow", slow, str, Params),
        ("slow_any", slow, str, AnyParams),
        ("eventful", eventful, str, Params),
    ]
    made = [Method(name, "test", call, f"Do {name}.", result, params) for name, call, result, params in functions]
    hasty = Method("hasty", "test", slow, "Wait.", str, Params, timeout_s=0.01)
    stream = EventStream("test.event", Ticked, history=5)
    filtered = EventStream("few.event", Ticked, ValueParams, lambda wanted, event: event.n == wanted.value)
    kept = EventStream("kept.event", Ticked, history=2, remembers=lambda event: event.n > 0)
    return [
        *made,
        hasty,
        *stream_methods("test", kept, world.server.streams),
        *stream_methods("test", stream, world.server.streams),
        *stream_methods("test", filtered, world.server.streams),
    ]


def _absent(name: str) -> dict[str, Any]:
    return {"feature": None, "state": "unknown", "hint": f"there is no {name[:20]!a}"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    server = RpcServer(SystemClock(), _absent, lambda: ["test"])
    world = World(server)
    server.registry.add(_methods(world))
    http = HttpConfig("127.0.0.1", 0, ("http://allowed.example",), ("pimd.example",))
    async with asyncio.TaskGroup() as group:
        await server.start(RpcConfig(tmp_path / "run" / "pim.sock", http), TOKEN, group)
        yield world
        world.gate.set()
        await server.stop()


async def answer_before_sentinel(
    send_sentinel: Callable[[], Awaitable[None]], receive: Callable[[], Awaitable[Any]], idle: asyncio.Event
) -> Any:
    """Return the answer to what was sent before, or None; on a busy machine a batch may be answered later than a single call."""
    found = []
    for _ in range(2):
        await send_sentinel()
        while not _is_sentinel(answer := await receive()):
            found.append(answer)
        await idle.wait()  # all that was sent is answered
    assert len(found) <= 1
    return found[0] if found else None


def _is_sentinel(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.get("id") == "sentinel"


class LineClient:
    """The Unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle: asyncio.Event) -> None:
        self.reader = reader
        self.writer = writer
        self.idle = idle

    def send(self, message: str | bytes) -> None:
        raw = message.encode() if isinstance(message, str) else message
        self.writer.write(raw + b"\n")

    async def receive(self) -> Any:
        line = await self.reader.readline()
        return json.loads(line) if line else None

    async def call(self, method: str, params: Any = None) -> Any:
        self.send(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params}))
        while (answer := await self.receive()).get("id") != method:
            pass
        return answer

    async def ask(self, message: str) -> Any:
        self.send(message)
        return await self.receive()

    async def exchange(self, message: str | bytes) -> Any:
        self.send(message)
        return await answer_before_sentinel(self._send_sentinel, self.receive, self.idle)

    async def _send_sentinel(self) -> None:
        self.send(SENTINEL)

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class HttpClient:
    """POST /rpc."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def ask(self, message: str) -> Any:
        return await self.exchange(message)

    async def exchange(self, message: str | bytes) -> Any:
        async with self.session.post(
            self.url,
            data=io.BytesIO(message.encode() if isinstance(message, str) else message),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        ) as response:
            body = await response.text()
            assert (response.status, bool(body)) in ((200, True), (204, False))
            return json.loads(body) if body else None


class WebSocketClient:
    """GET /ws."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, idle: asyncio.Event) -> None:
        self.socket = socket
        self.idle = idle

    async def receive(self) -> Any:
        return json.loads(await self.socket.receive_str())

    async def ask(self, message: str) -> Any:
        await self.socket.send_str(message)
        return await self.receive()

    async def exchange(self, message: str | bytes) -> Any:
        await self.socket.send_str(message if isinstance(message, str) else message.decode())
        return await answer_before_sentinel(lambda: self.socket.send_str(SENTINEL), self.receive, self.idle)


Connect = Callable[..., Awaitable[Any]]


@pytest.fixture
async def connect(world: World) -> AsyncIterator[Connect]:
    """Open a client: `unix` (greeted unless told otherwise), `http`, or `websocket` (with the token unless told otherwise)."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        assert world.server.unix is not None
        assert world.server.http is not None
        path, url = world.server.unix.path, world.server.http.url

        async def open_(listener: str, *, greet: bool = True, token: bool = True) -> Any:
            if listener == "unix":
                client = LineClient(
                    *await asyncio.open_unix_connection(str(path), limit=2**24), world.server.dispatch.idle
                )
                stack.push_async_callback(client.close)
                if greet:
                    assert "result" in await client.call("rpc.hello")
                return client
            if listener == "http":
                return HttpClient(session, url)
            headers = {"Authorization": f"Bearer {TOKEN}"} if token else {}
            socket = await session.ws_connect(url.replace("/rpc", "/ws"), headers=headers)
            stack.push_async_callback(socket.close)
            return WebSocketClient(socket, world.server.dispatch.idle)

        yield open_
        world.gate.set()


Dial = Callable[[], Awaitable[Raw]]


@pytest.fixture
async def dial(world: World) -> AsyncIterator[Dial]:
    """Connect to the HTTP port, for HTTP by hand."""
    made: list[Raw] = []

    async def dial() -> Raw:
        assert world.server.http is not None
        made.append(Raw(*await asyncio.open_connection("127.0.0.1", world.server.http.port)))
        return made[-1]

    yield dial
    for one in made:
        one.writer.close()
        with suppress(ConnectionError):
            await one.writer.wait_closed()
