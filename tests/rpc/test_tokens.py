"""Tokens over real listeners: what each may, until when, and how often."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pimd import macaroon
from pimd.clock import SystemClock
from pimd.contract import EventStream, InvalidParams, NoParams, Overloaded, Params
from pimd.limits import Bites
from pimd.rpc.caveats import Caveat
from pimd.rpc.connection import Connection
from pimd.rpc.core_methods import stream_methods
from pimd.rpc.http import HttpConfig
from pimd.rpc.registry import Method
from pimd.rpc.server import RpcConfig, RpcServer
from pimd.rpc.token_book import RATES, TOKENS, TokenBook
from pimd.rpc.token_methods import TokenMethods
from pimd.store.secret_file import SecretFileError
from tests.limits import Lower
from tests.rpc.conftest import Ticked

MASTER = "cd" * 32
HOUR_MS = 3_600_000


class Clock:
    """Clocks that the test sets."""

    def __init__(self) -> None:
        self.monotonic_s, self.wall_ms, self.lived = 0.0, 1_800_000_000_000, 0

    def now(self) -> float:
        return self.monotonic_s

    def unix_ms(self) -> int:
        return self.wall_ms

    def lived_ms(self) -> int:
        return self.lived


@dataclass
class World:
    server: RpcServer
    book: TokenBook
    clock: Clock

    async def call(self, token: str, method: str, params: Any = None) -> Any:
        """POST one call; returns the answer."""
        assert self.server.http is not None
        headers = {"Authorization": f"Bearer {token}"}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.server.http.url, json=body, headers=headers) as response,
        ):
            return await response.json()

    async def result(self, token: str, method: str, params: Any = None) -> Any:
        return (await self.call(token, method, params))["result"]

    async def refusal(self, token: str, method: str, params: Any = None) -> tuple[int, str]:
        error = (await self.call(token, method, params))["error"]
        return error["code"], error["message"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async def answer(_: Connection, __: Params) -> str:
        return "yes"

    clock = Clock()
    book = TokenBook(tmp_path / "tokens.json", MASTER, clock, Bites())
    server = RpcServer(SystemClock(), lambda name: {"hint": name}, list)
    methods = [
        Method(name, "test", answer, "Answer.", str, NoParams, reads=name == "a.get")
        for name in ("a.get", "a.set", "b.set")
    ]
    stream = stream_methods("test", EventStream("a.event", Ticked), server.streams)
    server.registry.add([*methods, *stream, *TokenMethods(book).methods()])
    async with asyncio.TaskGroup() as group:
        await server.start(RpcConfig(tmp_path / "s", HttpConfig("127.0.0.1", 0)), MASTER, group, book)
        yield World(server, book, clock)
        await server.stop()


async def test_a_token_may_what_it_was_made_for(world: World) -> None:
    made = await world.result(MASTER, "tokens.create", {"name": "reader", "methods": ["a.*"], "read_only": True})
    assert await world.result(made["token"], "a.get") == "yes"
    assert await world.refusal(made["token"], "a.set") == (
        -32003,
        "the token 'reader' does not allow this: it is read-only, and a.set may change something",
    )
    assert await world.refusal(made["token"], "b.set") == (
        -32003,
        "the token 'reader' does not allow this: it may call only these methods: a.*",
    )
    assert (await world.refusal(made["token"], "tokens.create", {"name": "x"}))[0] == -32003
    assert isinstance(await world.result(made["token"], "rpc.methods"), list)
    rows = await world.result(MASTER, "tokens.list")
    assert [(row["name"], row["restrictions"][0]["methods"], row["expired"]) for row in rows] == [
        ("reader", ["a.*"], False)
    ]
    assert made["token"] not in json.dumps(rows)


async def test_any_holder_narrows_its_own(world: World) -> None:
    text = (await world.result(MASTER, "tokens.create", {"name": "a", "methods": ["a.*"]}))["token"]
    narrower = macaroon.narrowed(macaroon.parse(text), Caveat(read_only=True).written).text
    wider = macaroon.narrowed(macaroon.parse(narrower), Caveat(methods=["a.*", "b.*"]).written).text
    assert await world.result(text, "a.set") == "yes"
    for one in (narrower, wider):
        assert await world.result(one, "a.get") == "yes"
        assert (await world.refusal(one, "a.set"))[0] == -32003
    assert (await world.refusal(wider, "b.set"))[0] == -32003
    unknown = macaroon.narrowed(macaroon.parse(text), b'{"weekdays":["mon"]}').text
    assert await world.refusal(unknown, "a.get") == (
        -32003,
        "the token 'a' has a restriction that this version does not know; upgrade pimd",
    )


async def test_who_is_restricted_makes_no_token_that_may_more(world: World) -> None:
    first = (await world.result(MASTER, "tokens.create", {"name": "one", "methods": ["tokens.create", "a.get"]}))[
        "token"
    ]
    second = (await world.result(first, "tokens.create", {"name": "two"}))["token"]
    assert await world.result(second, "a.get") == "yes"
    assert (await world.refusal(second, "a.set"))[0] == -32003


async def test_a_revoked_token_ends_with_all_narrowed_from_it(world: World) -> None:
    text = (await world.result(MASTER, "tokens.create", {"name": "gone"}))["token"]
    narrower = macaroon.narrowed(macaroon.parse(text), Caveat(read_only=True).written).text
    assert await world.result(narrower, "a.get") == "yes"
    assert (await world.result(MASTER, "tokens.revoke", {"name": "gone"}))["name"] == "gone"
    for one in (text, narrower):
        code, why = await world.refusal(one, "a.get")
        assert (code, why.partition(":")[0]) == (-32003, "the token is wrong or was revoked")
    assert await world.refusal(MASTER, "tokens.revoke", {"name": "gone"}) == (
        -32602,
        "there is no token 'gone'; tokens.list names them",
    )


@pytest.mark.parametrize(
    ("wall_ms", "lived_ms"),
    [(1_800_000_000_000 + HOUR_MS, 0), (0, HOUR_MS)],
    ids=["wall clock", "lived time, and the wall clock went back"],
)
async def test_a_token_expires_when_either_clock_says_so(world: World, wall_ms: int, lived_ms: int) -> None:
    text = (await world.result(MASTER, "tokens.create", {"name": "short", "expires_s": 3600}))["token"]
    assert await world.result(text, "a.get") == "yes"
    world.clock.wall_ms, world.clock.lived = wall_ms, lived_ms
    assert await world.refusal(text, "a.get") == (-32003, "the token 'short' has expired")
    assert [row["expired"] for row in await world.result(MASTER, "tokens.list")] == [True]
    await world.result(MASTER, "tokens.create", {"name": "next"})
    assert [row["name"] for row in await world.result(MASTER, "tokens.list")] == ["next"]


async def test_a_rate_is_shared_by_all_narrowed_from_a_token(world: World) -> None:
    made = await world.result(MASTER, "tokens.create", {"name": "slow", "rate": {"per_s": 0.5, "burst": 2}})
    narrower = macaroon.narrowed(macaroon.parse(made["token"]), Caveat(methods=["a.*"]).written).text
    assert await world.result(made["token"], "a.get") == "yes"
    assert await world.result(narrower, "a.get") == "yes"
    refused = await world.call(narrower, "a.get")
    assert refused["error"] == {
        "code": -32004,
        "message": "the token 'slow' allows 0.5 calls a second, 2 at once; try again in 2 s",
        "data": {"retry_after_s": 2},
    }
    world.clock.monotonic_s += 2
    assert await world.result(narrower, "a.get") == "yes"
    assert (await world.refusal(made["token"], "a.get"))[0] == -32004


async def test_a_websocket_with_a_narrowed_token(world: World) -> None:
    params = {"name": "events", "methods": ["a.get"], "streams": ["a"]}
    text = (await world.result(MASTER, "tokens.create", params))["token"]
    assert world.server.http is not None
    url = world.server.http.url.replace("/rpc", "/ws")
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:

        async def call(method: str, params: Any = None) -> Any:
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            return await socket.receive_json()

        assert (await call("rpc.authenticate", {"token": text}))["result"] == {"authenticated": True}
        assert (await call("rpc.hello", {"push": True}))["error"]["message"] == (
            "the token 'events' is restricted, and `push` sends every stream; subscribe instead"
        )
        assert "subscription_id" in (await call("a.subscribe"))["result"]
        assert (await call("a.set"))["error"]["code"] == -32003
        world.server.streams.publish("a.event", Ticked(kind="tick", n=1))
        assert (await socket.receive_json())["params"]["n"] == 1
        world.book.revoke("events")
        assert (await call("a.get"))["error"]["message"] == "the token 'events' was revoked"
        world.server.streams.publish("a.event", Ticked(kind="tick", n=2))
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSED


async def test_tokens_are_kept_over_a_restart(world: World, tmp_path: Path) -> None:
    text = (await world.result(MASTER, "tokens.create", {"name": "kept", "read_only": True}))["token"]
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
    again = TokenBook(tmp_path / "tokens.json", MASTER, world.clock, Bites())
    assert again.entries == world.book.entries
    assert again.grant(text) is not None
    assert TokenBook(tmp_path / "tokens.json", MASTER[::-1], world.clock, Bites()).grant(text) is None
    assert text not in (tmp_path / "tokens.json").read_text()
    (tmp_path / "tokens.json").write_text("{")
    with pytest.raises(SecretFileError, match=r"tokens\.json: is damaged; move it away"):
        TokenBook(tmp_path / "tokens.json", MASTER, world.clock, Bites())


@pytest.mark.limit("tokens that are valid at a time")
def test_so_many_tokens_at_most(lower: Lower, tmp_path: Path) -> None:
    lower(TOKENS, 2)
    book = TokenBook(tmp_path / "tokens.json", MASTER, Clock(), Bites())
    book.create("one", None, None)
    with pytest.raises(InvalidParams, match="there is a token named 'one' already"):
        book.create("one", None, None)
    book.create("two", None, None)
    with pytest.raises(Overloaded, match="there are 2 tokens; revoke some"):
        book.create("three", None, None)
    book.revoke("one")
    book.create("three", None, None)
    assert [entry.name for entry in book.entries] == ["two", "three"]


@pytest.mark.limit("rates of narrowed tokens that are counted")
def test_so_many_rates_are_counted(lower: Lower, tmp_path: Path) -> None:
    lower(RATES, 1)
    book = TokenBook(tmp_path / "tokens.json", MASTER, Clock(), Bites())
    rate = Caveat.model_validate({"rate": {"per_s": 1, "burst": 1}}).rate
    assert rate is not None
    assert book.wait_s(b"one", rate) == 0
    assert book.wait_s(b"one", rate) == 1
    assert book.wait_s(b"two", rate) == 0
    assert book.wait_s(b"one", rate) == 0
