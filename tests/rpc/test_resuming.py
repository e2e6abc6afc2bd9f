"""Subscriptions that go on where they were: numbers, what is held, what is missing; and readers that read next to nothing."""

import asyncio
import json
import socket
from typing import Any

import pytest

from pimd.rpc.limits import HELD, HELD_BYTES, UNIX_CONNECTIONS, WAITING_EVENTS
from tests.limits import Lower
from tests.rpc.conftest import Connect, Ticked, World


async def next_event(client: Any) -> dict[str, Any]:
    while "method" not in (received := await client.receive()):
        pass
    return dict(received["params"])


async def events(client: Any, count: int) -> list[int]:
    return [(await next_event(client))["seq"] for _ in range(count)]


async def ended(client: Any) -> bool:
    """Whether nothing waits any more: the next that comes is an answer."""
    client.send('{"jsonrpc":"2.0","id":"end","method":"get_data"}')
    return bool((await client.receive()).get("id") == "end")


async def place(connect: Connect) -> dict[str, Any]:
    """Where the stream is now, as a subscriber learns it."""
    client = await connect("unix")
    result = dict((await client.call("test.subscribe"))["result"])
    await client.close()
    return {"since": result["seq"], "epoch": result["epoch"]}


async def test_what_came_since_is_there_and_nothing_before(world: World, connect: Connect) -> None:
    for n in range(20):
        world.tick(n)
    here = await place(connect)
    for n in range(30):  # five of them are the history
        world.tick(n)
    client = await connect("unix")
    result = (await client.call("test.subscribe", here))["result"]
    assert (result["seq"], result["missed"], result["epoch"]) == (50, 0, here["epoch"])
    world.tick(30)
    assert await events(client, 31) == list(range(21, 52))
    assert await ended(client)


async def test_who_missed_nothing_gets_nothing(world: World, connect: Connect) -> None:
    for n in range(20):
        world.tick(n)
    client = await connect("unix")
    result = (await client.call("test.subscribe", await place(connect)))["result"]
    assert result["missed"] == 0
    assert await ended(client)


@pytest.mark.limit("notifications held of one stream")
async def test_what_is_not_held_any_more_is_said(world: World, connect: Connect, lower: Lower) -> None:
    assert HELD.value == 4096
    lower(HELD, 5)
    here = await place(connect)
    for n in range(12):
        world.tick(n)
    client = await connect("unix")
    result = (await client.call("test.subscribe", here | {"since": 2}))["result"]
    assert result["missed"] == 5
    marker = await next_event(client)
    assert marker == {"kind": "lagged", "missed": 5, "next_seq": 8, "subscription": result["subscription_id"]}
    assert await events(client, 5) == [8, 9, 10, 11, 12]


@pytest.mark.limit("bytes of notifications held of one stream")
async def test_bytes_that_are_held_are_limited(world: World, connect: Connect, lower: Lower) -> None:
    lower(HELD_BYTES, 1000)
    here = await place(connect)
    for n in range(10):
        world.tick(n, kind="x" * 200)
    client = await connect("unix")
    assert (await client.call("test.subscribe", here))["result"]["missed"] == 7
    assert (await next_event(client))["next_seq"] == 8
    assert await events(client, 3) == [8, 9, 10]


async def test_after_a_restart_all_that_is_held_comes_and_that_more_may_be_missing(
    world: World, connect: Connect
) -> None:
    for n in range(8):
        world.tick(n)
    client = await connect("unix")
    result = (await client.call("test.subscribe", {"since": 4711, "epoch": "of another start"}))["result"]
    assert result["missed"] is None
    marker = await next_event(client)
    assert (marker["kind"], marker["missed"], marker["next_seq"]) == ("lagged", None, 1)
    assert await events(client, 8) == list(range(1, 9))


async def test_a_filter_holds_for_what_came_since(world: World, connect: Connect) -> None:
    here = await place(connect)
    for n in (1, 2, 3, 2):
        world.server.streams.publish("few.event", Ticked(kind="few", n=n))
    client = await connect("unix")
    await client.call("few.subscribe", {"value": 2, "since": 0, "epoch": here["epoch"]})
    assert await events(client, 2) == [2, 4]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"epoch": None}, "epoch"), ({"since": 1}, "has had 0 events"), ({"since": -1}, "since"), ({"epoch": 1}, "epoch")],
)
async def test_a_place_that_cannot_be_is_refused(connect: Connect, wrong: dict[str, Any], said: str) -> None:
    client = await connect("unix")
    error = (await client.call("test.subscribe", await place(connect) | wrong))["error"]
    assert error["code"] == -32602
    assert said in error["message"]


async def test_what_the_feature_itself_missed_is_said_in_its_place(world: World, connect: Connect) -> None:
    client = await connect("unix")
    await client.call("test.subscribe")
    world.tick(1)
    world.server.streams.skip("test.event", 3)
    world.server.streams.skip("test.event", 4)
    world.tick(2)
    assert (await next_event(client))["seq"] == 1
    marker = await next_event(client)
    assert (marker["kind"], marker["missed"], marker["next_seq"]) == ("lagged", 7, 9)
    assert (await next_event(client))["seq"] == 9
    late = await connect("unix")
    epoch = world.server.streams.epoch
    assert (await late.call("test.subscribe", {"since": 0, "epoch": epoch}))["result"]["missed"] == 7
    assert (await next_event(late))["seq"] == 1
    assert (await next_event(late))["next_seq"] == 9
    assert await events(late, 1) == [9]
    assert (await late.call("test.subscribe", {"since": 9, "epoch": epoch}))["result"]["missed"] == 0
    assert (await late.call("test.subscribe", {"since": 0, "epoch": "other"}))["result"]["missed"] is None


@pytest.mark.limit("notifications waiting for one subscription")
async def test_who_reads_next_to_nothing_changes_nothing_for_a_hundred_others(
    world: World, connect: Connect, lower: Lower
) -> None:
    lower(UNIX_CONNECTIONS, 128)
    lower(WAITING_EVENTS, 20)
    assert world.server.unix is not None
    loop, stream = asyncio.get_running_loop(), world.server.streams.get("test.event")
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(world.server.unix.path))
        slow.setblocking(False)  # noqa: FBT003 - its only form
        for number, method in enumerate(("rpc.hello", "kept.subscribe", "test.subscribe")):
            request = {"jsonrpc": "2.0", "id": number, "method": method}
            await loop.sock_sendall(slow, json.dumps(request).encode() + b"\n")
        while not stream._subscribers:
            await asyncio.sleep(0)
        (slowest,) = stream._subscribers
        for n in range(1, 7):  # more than the system takes for it
            world.server.streams.publish("kept.event", Ticked(kind="x" * 100_000, n=n))
        others = [await connect("unix") for _ in range(100)]
        for other in others:
            await other.call("test.subscribe")
        for n in range(50):
            world.tick(n)
            assert len(await loop.sock_recv(slow, 1)) == 1
            for other in others:
                assert (await next_event(other))["seq"] == n + 1  # no marker, and each at once
            assert len(slowest.waiting) <= WAITING_EVENTS.value
