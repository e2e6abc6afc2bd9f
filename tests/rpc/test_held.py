"""What is held for callers has limits: parsed messages, batches, and answers that nobody reads."""

import asyncio
import json
from typing import Any

import pytest

from pimd.limits import MIB, Bites, Budget, Limit
from pimd.rpc import client_socket, envelope
from pimd.rpc.limits import BATCH_ANSWER, ID, OUTPUT, OWN_BYTES, PARSED, VALUES, ConnectionBytes, OverLimit, reserved
from pimd.rpc.reading import BigMessages, Unparsed
from tests.limits import Lower
from tests.mesh.test_node import eventually
from tests.rpc.conftest import GOOD_HEAD, Connect, Dial, World

LISTENERS = ["unix", "http", "websocket"]


def call(method: str, *params: Any, id_: Any = 1) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})


# --- values


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(
    "values",
    ["[]," * VALUES.value, '"",' * VALUES.value, '{"a":1},' * (VALUES.value // 2), '{"a":' * VALUES.value, "[" * 2**21],
)
@pytest.mark.limit("values in one RPC message")
async def test_a_tree_is_refused_before_it_is_built(connect: Connect, listener: str, values: str) -> None:
    text = f'{{"jsonrpc":"2.0","id":1,"method":"echo","params":[[{values}'
    error = (await (await connect(listener)).exchange(text))["error"]
    assert error["code"] == -32700
    assert error["data"] == {"limit": VALUES.value}


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("value", [",[{" * 10**6, '",\\[{' * 400_000, "\\" * 10**6 + ",", '"' * 10**6 + "," * 10**5])
async def test_a_long_text_is_no_tree(connect: Connect, listener: str, value: str) -> None:
    assert (await (await connect(listener)).exchange(call("echo", value)))["result"] == value


def test_values_are_counted_outside_of_strings_only(lower: Lower) -> None:
    lower(VALUES, 10)
    bites = Bites()
    ten, eleven = "[" + ",".join("1" * 10) + "]", "[" + ",".join("1" * 11) + "]"
    texts = [f'{{"jsonrpc":"2.0","method":"a","params":[{json.dumps(ten * 9)}]}}', f"[{ten}]", eleven + "x"]
    found = [envelope.parse(text.encode(), bites) for text in texts]
    assert isinstance(found[0], envelope.Request)
    assert bites[VALUES] == 2
    assert isinstance(envelope.parse(ten.encode(), bites), envelope.Batch)


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.limit("bytes of parsed RPC messages over all connections")
async def test_big_messages_in_hand_are_limited_and_small_ones_pass(
    world: World, connect: Connect, lower: Lower, listener: str
) -> None:
    lower(PARSED, 4 * MIB)
    busy, client = await connect("unix"), await connect(listener)
    busy.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "slow_any", "params": {"x": "x" * 3 * MIB}}))
    await world.started.acquire()
    refused = await client.ask(call("echo", "x" * 2 * MIB))
    assert (refused["id"], refused["error"]["code"]) == (1, -32005)
    assert (await client.ask(call("echo", "x")))["result"] == "x"
    world.gate.set()
    await world.server.dispatch.idle.wait()
    assert (await client.ask(call("echo", "x" * 2 * MIB)))["result"] == "x" * 2 * MIB


# --- answers


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.limit("bytes of answers of one batch")
async def test_a_batch_ends_when_its_answers_are_too_long(
    world: World, connect: Connect, lower: Lower, listener: str
) -> None:
    lower(BATCH_ANSWER, 5000)
    calls = [call("echo", "x" * 2000, id_=n) for n in range(4)] + [call("update", 1, id_=4)]
    calls.append('{"jsonrpc":"2.0","method":"update","params":[1]}')  # has no answer, so it runs
    answers = await (await connect(listener)).ask(f"[{', '.join(calls)}]")
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3, 4]
    assert ["result" in answer for answer in answers] == [True] * 3 + [False] * 2
    assert {answer["error"]["code"] for answer in answers[3:]} == {-32005}
    assert len(world.notified) == 1
    await eventually(lambda: world.server.budgets.output.held == 0)


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.limit("bytes of answers that wait to be read over all RPC connections")
async def test_answers_that_wait_are_limited_and_small_ones_pass(world: World, connect: Connect, listener: str) -> None:
    client = await connect(listener)
    hog = ConnectionBytes(world.server.budgets.output)
    hog.take(OUTPUT.value - reserved() + OWN_BYTES)
    refused = await client.ask(call("echo", "x" * 2 * OWN_BYTES))
    assert refused["error"]["code"] == -32005
    assert "it was done" in refused["error"]["message"]
    assert (await client.ask(call("echo", "x" * 1000)))["result"] == "x" * 1000
    hog.close()
    assert len((await client.ask(call("echo", "x" * 2 * OWN_BYTES)))["result"]) == 2 * OWN_BYTES
    await eventually(lambda: world.server.budgets.output.held == 0)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_errors_that_wait_are_limited_like_other_answers(world: World, connect: Connect, listener: str) -> None:
    client = await connect(listener)
    hog = ConnectionBytes(world.server.budgets.output)
    hog.take(OUTPUT.value - reserved() + OWN_BYTES)
    refused = await client.ask(call("wrong_at_length", "x" * 2 * OWN_BYTES))
    assert refused["error"]["code"] == -32005
    assert "it failed" in refused["error"]["message"]
    hog.close()
    assert len((await client.ask(call("wrong_at_length", "x" * 2 * OWN_BYTES)))["error"]["data"]) == 2 * OWN_BYTES
    await eventually(lambda: world.server.budgets.output.held == 0)


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("method", ["echo", "nothing_of_that_name", "wrong"])
@pytest.mark.limit("characters of the id of an RPC request")
async def test_an_id_that_each_answer_would_repeat_has_a_limit(connect: Connect, listener: str, method: str) -> None:
    client = await connect(listener)
    assert (await client.ask(call(method, id_="\u00e9" * ID.value)))["id"] == "\u00e9" * ID.value
    refused = await client.ask(call(method, id_="\u00e9" * (ID.value + 1)))
    assert (refused["id"], refused["error"]["code"]) == (None, -32600)
    for answer in await client.ask(f"[{call(method, id_='x' * 10**6)}]"):
        assert len(json.dumps(answer)) < 1000


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("made_up", ["x" * 10**6, "\u00e9" * 10**5])
async def test_what_a_caller_made_up_is_not_repeated_at_length(connect: Connect, listener: str, made_up: str) -> None:
    client = await connect(listener)
    request = {"jsonrpc": "2.0", "id": 1, "method": "subtract", "params": {made_up: 1}}
    for wrong in (
        request,
        request | {"method": made_up},
        request | {"params": made_up},
        request | {"jsonrpc": made_up},
    ):
        answer = await client.ask(json.dumps(wrong))
        assert "error" in answer
        assert len(json.dumps(answer)) < 2000


@pytest.mark.limit("bytes of answers that wait to be read over all RPC connections")
async def test_a_call_whose_answer_would_find_no_room_does_not_run(
    world: World, connect: Connect, lower: Lower
) -> None:
    lower(OUTPUT, reserved() + MIB)
    client = await connect("unix")
    big = call("echo", "x" * 2 * MIB)  # more than there is, but alone
    answers = await client.ask(f"[{big}, {call('update', 1, id_=2)}]")
    assert (len(answers[0]["result"]), answers[1]["error"]["code"]) == (2 * MIB, -32005)
    assert "nothing was done" in answers[1]["error"]["message"]
    assert world.notified == []


def test_more_than_the_limit_is_taken_alone(lower: Lower) -> None:
    budget = Budget(Limit("x", reserved() + 10, "bytes", ""), Bites())
    one, other = ConnectionBytes(budget, alone=True), ConnectionBytes(budget, alone=True)
    one.take(OWN_BYTES + 1000)
    other.take(OWN_BYTES)
    assert not other.has_room
    with pytest.raises(OverLimit):
        other.take(1)
    one.close()
    one.take(10**9)  # nothing is counted for a connection that is gone
    assert (one.held, budget.held, other.has_room) == (0, 0, True)
    other.take(1)
    assert budget.held == 1


async def unread(connect: Connect, dial: Dial, listener: str, message: str, times: int) -> Any:
    """Send calls and read no answer; the transport is returned."""
    if listener == "http":
        client = await dial()
        transport = client.reader._transport  # type: ignore[attr-defined]
        transport.pause_reading()
        head = f"POST /rpc HTTP/1.1\r\n{GOOD_HEAD}Content-Length: {len(message)}\r\n\r\n"
        client.writer.write((head + message).encode() * times)
        return transport
    client = await connect(listener)
    if listener == "unix":
        transport = client.writer.transport
        transport.pause_reading()
        client.writer.write((message + "\n").encode() * times)
    else:
        transport = client.socket._response.connection.transport
        transport.pause_reading()
        for _ in range(times):
            await client.socket.send_str(message)
    return transport


@pytest.mark.parametrize("listener", LISTENERS)
async def test_who_reads_nothing_is_closed_in_the_end(
    world: World, connect: Connect, dial: Dial, monkeypatch: pytest.MonkeyPatch, listener: str
) -> None:
    monkeypatch.setattr(client_socket, "UNREAD_S", 0.05)
    transport = await unread(connect, dial, listener, call("echo", "x" * 3 * MIB), 3)
    budgets = world.server.budgets
    await eventually(lambda: budgets.output.held > 0)
    await eventually(lambda: budgets.output.held == 0 and not budgets.unix._taken and not budgets.http._taken)
    transport.resume_reading()


class Buffer:
    """Of a transport what a slow client changes."""

    def __init__(self) -> None:
        self.size = 5 * MIB
        self.aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        return self.size

    def abort(self) -> None:
        self.aborted.set()


async def test_who_reads_slowly_or_holds_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_socket, "UNREAD_S", 0.0)
    output, buffer = ConnectionBytes(Budget(OUTPUT, Bites())), Buffer()
    watch = client_socket.UnreadOutput(output, Unparsed(BigMessages(Bites()), lambda: None))
    output.take(OWN_BYTES)
    watch.paused(buffer)  # type: ignore[arg-type]
    for _ in range(50):
        await asyncio.sleep(0)
    assert not buffer.aborted.is_set()  # it reads nothing, but holds no room of others
    output.take(1)
    await buffer.aborted.wait()
    buffer.aborted.clear()
    watch.paused(buffer)  # type: ignore[arg-type]
    for _ in range(50):
        buffer.size -= 1
        await asyncio.sleep(0)
    assert not buffer.aborted.is_set()
    watch.resumed()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not buffer.aborted.is_set()
