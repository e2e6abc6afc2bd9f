"""Subscriptions: numbered, filtered, replayed, never at the cost of others; push mode."""

import asyncio
import json
import logging
from typing import Annotated, Any, Literal

import aiohttp
import pytest

from pimd.contract import InPushMode, Result
from pimd.rpc.feed import REPLAY_AFTER_S, ConnectionFeed
from pimd.rpc.limits import PUSHED_PER_SECOND, SUBSCRIPTIONS, WAITING_BYTES, WAITING_EVENTS
from tests.limits import Lower
from tests.rpc.conftest import Connect, World


async def next_event(client: Any) -> dict[str, Any]:
    while True:
        received = await client.receive()
        if "method" in received:
            return dict(received["params"]) | {"method": received["method"]}


async def test_events_carry_kind_time_subscription_and_number(world: World, connect: Connect) -> None:
    client = await connect("unix")
    id_ = (await client.call("test.subscribe"))["result"]["subscription_id"]
    world.tick(7)
    event = await next_event(client)
    assert event.pop("at").endswith("Z")
    assert event == {"method": "test.event", "kind": "tick", "n": 7, "subscription": id_, "seq": 1}
    world.tick(8)
    assert (await next_event(client))["seq"] == 2


async def test_the_history_comes_first_then_what_is_new(world: World, connect: Connect) -> None:
    for n in range(8):
        world.tick(n)
    client = await connect("unix")
    await client.call("test.subscribe")
    world.tick(8)
    events = [await next_event(client) for _ in range(6)]
    assert [event["n"] for event in events] == [3, 4, 5, 6, 7, 8]
    assert [event["seq"] for event in events] == [4, 5, 6, 7, 8, 9]


async def test_only_what_is_worth_remembering_enters_the_history(world: World, connect: Connect) -> None:
    for n in (1, 2, 3, -4):
        world.server.streams.publish("kept.event", type_of_event(n))
    client = await connect("unix")
    await client.call("kept.subscribe")
    world.server.streams.publish("kept.event", type_of_event(-5))
    events = [await next_event(client) for _ in range(3)]
    assert [(event["n"], event["seq"]) for event in events] == [(2, 2), (3, 3), (-5, 5)]


async def test_a_filter_leaves_gaps_in_the_numbers(world: World, connect: Connect) -> None:
    client = await connect("unix")
    await client.call("few.subscribe", {"value": 2})
    for n in (1, 2, 3, 2):
        world.server.streams.publish("few.event", type_of_event(n))
    assert [(await next_event(client))["seq"] for _ in range(2)] == [2, 4]


def type_of_event(n: int) -> Any:
    from tests.rpc.conftest import Ticked

    return Ticked(kind="few", n=n)


@pytest.mark.limit("notifications waiting for one subscription")
async def test_a_slow_subscriber_is_told_once_what_it_missed_and_costs_nobody_anything(
    world: World, connect: Connect
) -> None:
    slow, quick = await connect("unix"), await connect("unix")
    await slow.call("test.subscribe")
    await quick.call("test.subscribe")
    total = WAITING_EVENTS.value + 50
    for n in range(total):  # no turn of the loop in between: nothing can be written meanwhile
        world.tick(n)
    first = await next_event(slow)
    assert first["kind"] == "lagged"
    assert first["missed"] == WAITING_EVENTS.value
    assert first["next_seq"] == WAITING_EVENTS.value + 1
    rest = [await next_event(slow) for _ in range(50)]
    assert [event["seq"] for event in rest] == list(range(WAITING_EVENTS.value + 1, total + 1))
    world.tick(-1)
    assert (await next_event(slow))["n"] == -1


@pytest.mark.limit("bytes of notifications waiting for one subscription")
async def test_bytes_are_limited_as_well(world: World, connect: Connect, lower: Lower) -> None:
    lower(WAITING_BYTES, 1000)
    client = await connect("unix")
    await client.call("test.subscribe")
    for n in range(20):
        world.tick(n, kind="x" * 100)
    assert (await next_event(client))["kind"] == "lagged"


async def test_unsubscribing_ends_one_or_all_and_twice_is_no_error(world: World, connect: Connect) -> None:
    client = await connect("unix")
    ids = [(await client.call("test.subscribe"))["result"]["subscription_id"] for _ in range(3)]
    for params in ({"subscription_id": ids[0]}, {"subscription_id": ids[0]}, {"subscription_id": "unknown"}):
        assert (await client.call("test.unsubscribe", params))["result"] is None
    world.tick(1)
    assert {(await next_event(client))["subscription"] for _ in range(2)} == set(ids[1:])
    await client.call("test.unsubscribe", None)
    world.tick(2)
    client.send('{"jsonrpc":"2.0","id":"end","method":"get_data"}')
    assert (await client.receive())["id"] == "end"


async def test_closing_the_connection_ends_its_subscriptions(world: World, connect: Connect) -> None:
    client = await connect("unix")
    await client.call("test.subscribe")
    stream = world.server.streams.get("test.event")
    assert len(stream._subscribers) == 1
    await client.close()
    while stream._subscribers:
        await asyncio.sleep(0)


@pytest.mark.limit("subscriptions of one RPC connection")
async def test_a_connection_has_so_many_subscriptions_and_no_more(connect: Connect) -> None:
    client = await connect("unix")
    for _ in range(SUBSCRIPTIONS.value):
        await client.call("test.subscribe")
    assert (await client.call("test.subscribe"))["error"]["code"] == -32005
    await client.call("test.unsubscribe")
    assert "result" in await client.call("test.subscribe")


async def test_what_waits_for_the_answer_comes_after_it(world: World, connect: Connect) -> None:
    client = await connect("unix")
    await client.call("test.subscribe")
    client.send('{"jsonrpc":"2.0","id":1,"method":"eventful"}')
    assert (await client.receive())["result"] == "answered"
    assert (await next_event(client))["n"] == 1


async def test_notifications_come_over_websocket(world: World, connect: Connect) -> None:
    client = await connect("websocket")
    assert "result" in await client.exchange('{"jsonrpc":"2.0","id":1,"method":"test.subscribe"}')
    world.tick(5)
    assert (await next_event(client))["n"] == 5


# --- push mode


@pytest.mark.parametrize("params", [{"push": True}, {"client": "pim-ui/0.1.3"}])
async def test_push_mode_sends_every_stream_after_hello(world: World, connect: Connect, params: dict[str, Any]) -> None:
    client = await connect("unix", greet=False)
    await client.call("rpc.hello", params)
    world.tick(2)
    event = await next_event(client)
    assert event["n"] == 2
    assert "subscription" not in event
    assert "seq" not in event
    world.server.streams.publish("few.event", type_of_event(3))
    assert (await next_event(client))["method"] == "few.event"
    client.send('{"jsonrpc":"2.0","id":"end","method":"get_data"}')
    assert (await client.receive())["id"] == "end"


async def test_in_push_mode_the_history_comes_a_moment_after_the_first_subscription(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pimd.rpc.feed.REPLAY_AFTER_S", 0.05)
    world.tick(1)
    world.server.streams.publish("kept.event", type_of_event(1))
    client = await connect("unix", greet=False)
    await client.call("rpc.hello", {"push": True})
    world.tick(2)
    assert (await next_event(client))["n"] == 2  # nothing of before, and the client may not listen yet
    asked_at = asyncio.get_running_loop().time()
    assert "subscription_id" in (await client.call("few.subscribe", {"value": 0}))["result"]
    assert "subscription_id" in (await client.call("test.subscribe"))["result"]
    assert (await client.call("test.unsubscribe"))["result"] is None
    world.tick(3)
    events = [await next_event(client) for _ in range(4)]
    assert asyncio.get_running_loop().time() - asked_at >= 0.04
    assert [event["n"] for event in events if event["method"] == "test.event"] == [1, 2, 3]
    assert [event["n"] for event in events if event["method"] == "kept.event"] == [1]
    await client.call("test.subscribe")
    world.tick(4)
    assert (await next_event(client))["n"] == 4  # it comes once


async def test_a_second_lies_between_the_first_subscription_and_the_history() -> None:
    assert REPLAY_AFTER_S == 1.0


class Moved(Result):
    """An event with a state that clients in push mode do not know."""

    state: Annotated[Literal["here", "gone", "kept"], InPushMode({"kept": "gone"})]


async def test_push_mode_shows_states_that_clients_know_and_subscriptions_all(world: World, connect: Connect) -> None:
    pushed, client = await connect("unix", greet=False), await connect("unix")
    await pushed.call("rpc.hello", {"push": True})
    assert "result" in await client.exchange('{"jsonrpc":"2.0","id":1,"method":"test.subscribe"}')
    states: tuple[Literal["kept", "here"], ...] = ("kept", "here")
    for state in states:
        world.server.streams.publish("test.event", Moved(state=state))
    assert [(await next_event(client))["state"] for _ in range(2)] == ["kept", "here"]
    assert [(await next_event(pushed))["state"] for _ in range(2)] == ["gone", "here"]
    assert Moved.model_json_schema(mode="serialization")["properties"]["state"]["enum"] == ["here", "gone", "kept"]


async def test_push_mode_is_paced(world: World, connect: Connect) -> None:
    client = await connect("unix", greet=False)
    await client.call("rpc.hello", {"push": True})
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(PUSHED_PER_SECOND // 4):
        world.tick(n)
    for _ in range(PUSHED_PER_SECOND // 4):
        await next_event(client)
    # Not a judgement of speed: it must not be quicker than the limit allows.
    assert loop.time() - began >= 0.2


async def test_a_round_of_push_mode_writes_exactly_its_quota(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimd.rpc.feed.PUSHED_PER_SECOND", 3)
    monkeypatch.setattr("pimd.rpc.feed.REPLAY_AFTER_S", 0)
    for n in (1, 2):
        world.server.streams.publish("kept.event", type_of_event(n))  # replayed
        world.tick(n)
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    feed = ConnectionFeed(world.server.streams, send)
    feed.push_all()
    feed.subscribe("test.event", None)
    writing = asyncio.get_running_loop().create_task(feed.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(sent) == 3
    writing.cancel()
    feed.close()


async def test_push_mode_has_no_lag_marker_but_a_line_in_the_log(
    world: World, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect("unix", greet=False)
    await client.call("rpc.hello", {"push": True})
    for n in range(WAITING_EVENTS.value + 3):
        world.tick(n)
    assert [(await next_event(client))["n"] for _ in range(3)] == [WAITING_EVENTS.value + n for n in range(3)]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert str(WAITING_EVENTS.value) in warnings[0].getMessage()


# --- WebSocket without a header


async def test_the_first_message_must_authenticate(connect: Connect) -> None:
    client = await connect("websocket", token=False)
    await client.socket.send_str('{"jsonrpc":"2.0","id":1,"method":"get_data"}')
    assert (await client.receive())["error"]["code"] == -32003
    assert (await client.socket.receive()).type.name in ("CLOSE", "CLOSED")


async def test_a_right_token_opens_the_websocket_and_a_wrong_one_closes_it(connect: Connect) -> None:
    from tests.rpc.conftest import TOKEN

    def authenticate(token: str) -> str:
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "rpc.authenticate", "params": {"token": token}})

    good = await connect("websocket", token=False)
    await good.socket.send_str(authenticate(TOKEN))
    assert (await good.receive())["result"] == {"authenticated": True}
    assert (await good.exchange('{"jsonrpc":"2.0","id":2,"method":"get_data"}'))["result"] == ["hello", 5]
    bad = await connect("websocket", token=False)
    await bad.socket.send_str(authenticate("0" * 64))
    error = (await bad.receive())["error"]
    assert error["code"] == -32003
    assert "0" * 64 not in json.dumps(error)
    assert (await bad.socket.receive()).type.name in ("CLOSE", "CLOSED")


@pytest.mark.limit("bytes of the first message of a WebSocket without a token")
async def test_an_unproven_websocket_may_send_4_kib(connect: Connect) -> None:
    client = await connect("websocket", token=False)
    await client.socket.send_str("x" * 5000)
    assert (await client.socket.receive()).type.name in ("CLOSE", "CLOSED", "ERROR")


async def test_an_unproven_websocket_has_10_seconds(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimd.rpc.websocket.MESSAGE_S", 0.01)
    client = await connect("websocket", token=False)
    assert (await client.receive())["error"]["code"] == -32003


async def test_binary_frames_are_refused_and_the_connection_goes_on(connect: Connect) -> None:
    client = await connect("websocket")
    await client.socket.send_bytes(b"{}")
    assert (await client.receive())["error"]["code"] == -32600
    assert (await client.exchange('{"jsonrpc":"2.0","id":2,"method":"get_data"}'))["result"] == ["hello", 5]


@pytest.mark.parametrize("token", [True, False], ids=["with the token", "not proven yet"])
async def test_a_ping_is_answered_with_what_it_brought(world: World, token: bool) -> None:  # noqa: FBT001
    from tests.rpc.conftest import TOKEN

    assert world.server.http is not None
    url = world.server.http.url.replace("/rpc", "/ws")
    headers = {"Authorization": f"Bearer {TOKEN}"} if token else {}
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers, autoping=False) as socket:
        for data in (b"are you there?", b""):
            await socket.ping(data)
            answer = await socket.receive()
            assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, data)


async def test_stopping_closes_an_idle_websocket_at_once_and_lets_a_call_end(world: World, connect: Connect) -> None:
    idle, busy = await connect("websocket"), await connect("websocket")
    await busy.socket.send_str('{"jsonrpc":"2.0","id":1,"method":"slow"}')
    await world.started.acquire()
    async with asyncio.TaskGroup() as group:
        group.create_task(world.server.stop())
        assert (await idle.socket.receive()).type.name in ("CLOSE", "CLOSED", "ERROR")
        with pytest.raises(aiohttp.ClientConnectionError):
            await connect("websocket")
        world.gate.set()
        assert (await busy.receive())["result"] == "done"
        assert (await busy.socket.receive()).type.name in ("CLOSE", "CLOSED", "ERROR")


async def test_stopping_does_not_wait_long_for_the_call_of_a_websocket(
    world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pimd.rpc.server.GRACE_S", 0.01)
    busy = await connect("websocket")
    await busy.socket.send_str('{"jsonrpc":"2.0","id":1,"method":"slow"}')
    await world.started.acquire()
    await world.server.stop()
    assert (await busy.socket.receive()).type.name in ("CLOSE", "CLOSED", "ERROR")


async def test_a_websocket_that_closes_ends_its_subscriptions(world: World, connect: Connect) -> None:
    client = await connect("websocket")
    await client.exchange('{"jsonrpc":"2.0","id":1,"method":"test.subscribe"}')
    stream = world.server.streams.get("test.event")
    assert len(stream._subscribers) == 1
    await client.socket.close()
    while stream._subscribers:
        await asyncio.sleep(0)
