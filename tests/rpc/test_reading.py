"""Big messages are read a few at a time: the others wait unread, and small ones do not wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from pimd.limits import KIB, MIB, Bites
from pimd.rpc import client_socket
from pimd.rpc.limits import BIG_MESSAGES, MESSAGE, OWN_BYTES
from pimd.rpc.reading import BigMessages, Unparsed
from tests.limits import Lower
from tests.mesh.test_node import eventually
from tests.rpc.conftest import GOOD_HEAD, TOKEN, Connect, Dial, World
from tests.rpc.test_held import call

LISTENERS = ["unix", "http", "websocket"]
BIG = call("echo", "x" * 3 * MIB)


def framed(listener: str, message: str) -> bytes:
    body = message.encode()
    if listener == "unix":
        return body + b"\n"
    if listener == "websocket":
        return b"\x81\xff" + len(body).to_bytes(8, "big") + bytes(4) + body
    return f"POST /rpc HTTP/1.1\r\n{GOOD_HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Begin = Callable[[str], Awaitable[Stream]]


@pytest.fixture
async def begin(world: World) -> AsyncIterator[Begin]:
    """Connect so that the next bytes are those of a message."""
    assert world.server.unix is not None
    assert world.server.http is not None
    path, port = str(world.server.unix.path), world.server.http.port
    writers: list[asyncio.StreamWriter] = []

    async def begin(listener: str) -> Stream:
        if listener == "unix":
            reader, writer = await asyncio.open_unix_connection(path, limit=2**24)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        writers.append(writer)
        if listener == "unix":
            writer.write(b'{"jsonrpc":"2.0","id":0,"method":"rpc.hello"}\n')
            await reader.readline()
        elif listener == "websocket":
            writer.write(
                f"GET /ws HTTP/1.1\r\n{GOOD_HEAD}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    yield begin
    for writer in writers:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def unfinished(begin: Begin, listener: str) -> Stream:
    """Send all of a message but the last byte."""
    reader, writer = await begin(listener)
    writer.write(framed(listener, BIG)[:-1])
    return reader, writer


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.limit("RPC messages of more than 64 KiB that are read at once")
async def test_the_next_big_message_waits_unread_and_small_ones_pass(
    world: World, connect: Connect, begin: Begin, listener: str
) -> None:
    places = world.server.big_messages
    first = [await unfinished(begin, one) for one in (LISTENERS * 2)[: BIG_MESSAGES.value]]
    await eventually(lambda: len(places) == BIG_MESSAGES.value)
    late = await begin(listener)
    late[1].write(framed(listener, BIG))
    await eventually(lambda: bool(places._waiting))
    for other in LISTENERS:
        assert (await (await connect(other)).ask(call("echo", "x" * 32 * KIB)))["result"] == "x" * 32 * KIB
    waiting = next(iter(places._waiting))
    assert waiting.held < MIB
    first[0][1].write(framed(LISTENERS[0], BIG)[-1:])  # one ends: the next begins
    assert b"x" * 3 * MIB in await first[0][0].readline()
    assert b"x" * 3 * MIB in await late[0].readuntil(b"}")


@pytest.mark.parametrize("listener", LISTENERS)
async def test_who_leaves_while_it_waits_or_reads_keeps_no_place(world: World, begin: Begin, listener: str) -> None:
    places = world.server.big_messages
    streams = [await unfinished(begin, listener) for _ in range(BIG_MESSAGES.value + 2)]
    await eventually(lambda: len(places) == BIG_MESSAGES.value and len(places._waiting) == 2)
    for _, writer in streams:
        writer.transport.abort()
    await eventually(lambda: not places._taken and not places._waiting)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_the_time_in_which_it_waits_is_not_counted(
    world: World, begin: Begin, lower: Lower, listener: str
) -> None:
    lower(BIG_MESSAGES, 1)
    places = world.server.big_messages
    hog = Unparsed(places, lambda: None)
    hog.take(OWN_BYTES + 1)
    assert hog.may_go_on()
    reader, writer = await begin(listener)
    writer.write(framed(listener, BIG))
    await eventually(lambda: bool(places._waiting))
    connection: Any = next(iter(places._waiting)).go_on.__self__  # type: ignore[attr-defined]
    connection._late()  # as after 10 s
    await asyncio.sleep(0)
    assert places._waiting
    hog.close()
    assert b"x" * 3 * MIB in await reader.readuntil(b"}")


async def test_who_holds_a_place_and_reads_no_answers_is_closed(
    world: World, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_socket, "UNREAD_S", 0.05)
    reader, writer = await begin("unix")
    transport: Any = reader._transport  # type: ignore[attr-defined]
    transport.pause_reading()
    for _ in range(20):  # answers of 60 KiB are no reason
        writer.write(framed("unix", call("echo", "x" * 60 * KIB)))
    writer.write(framed("unix", BIG))
    budgets = world.server.budgets
    await eventually(lambda: not budgets.unix._taken)
    assert len(world.server.big_messages) == 0
    transport.resume_reading()


@pytest.mark.parametrize("listener", ["http", "websocket"])
async def test_who_has_not_shown_the_token_gets_no_place(world: World, dial: Dial, listener: str) -> None:
    client = await dial()
    head = GOOD_HEAD.replace(TOKEN, "0" * 64)
    if listener == "websocket":
        head = head.partition("Authorization")[0]
        head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        await client.send(f"GET /ws HTTP/1.1\r\n{head}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(framed("websocket", BIG)[: OWN_BYTES * 2])
        assert await client.closed()
    else:
        await client.send(f"POST /rpc HTTP/1.1\r\n{head}Content-Length: {MESSAGE.value}\r\n\r\n" + "x" * 2 * OWN_BYTES)
        assert (await client.answer())[0] == 401
    assert not world.server.big_messages._bites[BIG_MESSAGES]
    assert len(world.server.big_messages) == 0


async def test_text_that_is_no_utf_8_ends_a_websocket(begin: Begin) -> None:
    reader, writer = await begin("websocket")
    writer.write(b"\x81\x81" + bytes(4) + b"\xff")
    assert (await reader.readexactly(4))[2:] == (1007).to_bytes(2, "big")


def test_places_are_given_in_the_order_of_asking(lower: Lower) -> None:
    lower(BIG_MESSAGES, 1)
    places, went_on = BigMessages(Bites()), list[int]()
    ones = [Unparsed(places, lambda n=n: went_on.append(n)) for n in range(4)]  # type: ignore[misc]
    for one in ones:
        one.take(OWN_BYTES)
        assert one.may_go_on()
        one.take(1)
    assert [one.may_go_on() for one in (*ones, *ones)] == [True, False, False, False] * 2
    ones[1].give_back(1)  # it needs none any more, and may be read
    assert went_on == [1]
    ones[0].give_back(1)
    assert (went_on, ones[2].has_place, ones[3].is_waiting) == ([1, 2], True, True)
    ones[2].close()
    assert (went_on, ones[3].has_place) == ([1, 2, 3], True)
    ones[3].give_back(10**9)
    assert (ones[3].held, len(places)) == (0, 0)
