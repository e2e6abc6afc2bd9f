"""JSON-RPC 2.0 on all RPC listeners: the examples of the specification's section 7, and the corners around them."""

import json
from typing import Any

import pytest

from tests.rpc.conftest import Connect, World

LISTENERS = ["unix", "http", "websocket"]
PARSE = {"jsonrpc": "2.0", "error": {"code": -32700}, "id": None}
INVALID = {"jsonrpc": "2.0", "error": {"code": -32600}, "id": None}


def same(answer: Any, expected: Any) -> bool:
    """Equal but for messages and data of errors, which are ours to choose."""
    if isinstance(expected, list):
        return isinstance(answer, list) and len(answer) == len(expected) and all(map(same, answer, expected))
    if isinstance(expected, dict) and "error" in expected:
        given = {**answer, "error": {"code": answer["error"]["code"]}}
        return bool(given == expected) and bool(answer["error"]["message"])
    return bool(answer == expected)


EXAMPLES = [
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        {"jsonrpc": "2.0", "result": 19, "id": 1},
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        {"jsonrpc": "2.0", "result": -19, "id": 2},
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        {"jsonrpc": "2.0", "result": 19, "id": 3},
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        {"jsonrpc": "2.0", "result": 19, "id": 4},
    ),
    ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    (
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        {"jsonrpc": "2.0", "error": {"code": -32601}, "id": "1"},
    ),
    ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', PARSE),
    ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID),
    ('[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]', PARSE),
    ("[]", INVALID),
    ("[1]", [INVALID]),
    ("[1,2,3]", [INVALID, INVALID, INVALID]),
    (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},'
        ' {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},'
        ' {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},'
        ' {"foo": "boo"},'
        ' {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},'
        ' {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]',
        [
            {"jsonrpc": "2.0", "result": 7, "id": "1"},
            {"jsonrpc": "2.0", "result": 19, "id": "2"},
            INVALID,
            {"jsonrpc": "2.0", "error": {"code": -32601}, "id": "5"},
            {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"},
        ],
    ),
    (
        '[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},'
        ' {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]',
        None,
    ),
]


@pytest.mark.parametrize("listener", LISTENERS)
async def test_the_fifteen_examples(connect: Connect, listener: str) -> None:
    client = await connect(listener)
    for message, expected in EXAMPLES:
        answer = await client.exchange(message)
        assert same(answer, expected), (message, answer)


def request(method: str = "echo", **members: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, **members})


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("id_", ["", "x", 0, -1, 1.5, 2**70, None])
async def test_an_id_comes_back_as_it_was(connect: Connect, listener: str, id_: Any) -> None:
    answer = await (await connect(listener)).exchange(request(id=id_))
    assert answer == {"jsonrpc": "2.0", "result": None, "id": id_}
    assert type(answer["id"]) is type(id_)


@pytest.mark.parametrize("id_", [True, False, {}, [], [1]])
async def test_other_ids_are_invalid(connect: Connect, id_: Any) -> None:
    assert same(await (await connect("http")).exchange(request(id=id_)), INVALID)


@pytest.mark.parametrize("params", [None, {}, [], {"value": None}, {"other": 1}])
async def test_params_may_be_absent_null_empty_or_more_than_known(connect: Connect, params: Any) -> None:
    assert (await (await connect("http")).exchange(request(params=params)))["result"] is None


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"minuend": 1}, "subtrahend"),
        ({"minuend": "1", "subtrahend": 2}, "minuend"),
        ([1, True], "subtrahend"),
        ([1, 2, 3], "minuend, subtrahend"),
        ([1, 2.5], "subtrahend"),
    ],
)
async def test_wrong_params_name_the_field(connect: Connect, params: Any, field: str) -> None:
    error = (await (await connect("http")).exchange(request("subtract", params=params)))["error"]
    assert error["code"] == -32602
    assert field in error["message"]


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(
    "text",
    [
        '{"jsonrpc":"2.0","id":1,"method":"echo","params":[NaN]}',
        '{"jsonrpc":"2.0","id":1,"method":"echo","params":[-Infinity]}',
        '{"jsonrpc":"2.0","id":1,"method":"echo","params":[1e999]}',
        '{"jsonrpc":"2.0","id":1,"method":"echo","params":["\\ud800"]}',
        '{"jsonrpc":"2.0","id":1,"method":"echo","params":["\\udc00\\ud800"]}',
        '{"jsonrpc":"2.0","id":1,"method":"echo","params":[' + "[" * 100_000 + "]" * 100_000 + "]}",
        '{"jsonrpc":"2.0","id":1,"method":"echo","params":[' + "1" * 5000 + "]}",
        "nonsense",
        "{",
    ],
)
async def test_what_is_no_json_is_a_parse_error(connect: Connect, listener: str, text: str) -> None:
    assert same(await (await connect(listener)).exchange(text), PARSE)


@pytest.mark.parametrize("listener", ["unix", "http"])
async def test_bytes_that_are_no_utf_8_are_a_parse_error(connect: Connect, listener: str) -> None:
    raw = b'{"jsonrpc":"2.0","id":1,"method":"echo","params":["\xff"]}'
    assert same(await (await connect(listener)).exchange(raw), PARSE)


async def test_a_member_of_the_request_that_stands_twice_is_invalid(connect: Connect) -> None:
    text = '{"jsonrpc":"2.0","id":1,"method":"echo","method":"leave"}'
    assert same(await (await connect("http")).exchange(text), {**INVALID, "id": 1})


@pytest.mark.parametrize(
    "value", [2**53 + 1, -(10**4299), 10**4299, 0.1, "\U0001f600", "\u2028", [[]], {"a": {"b": None}}]
)
@pytest.mark.parametrize("listener", LISTENERS)
async def test_values_come_back_unchanged(connect: Connect, listener: str, value: Any) -> None:
    answer = await (await connect(listener)).exchange(request(params=[value]))
    assert answer["result"] == value


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("method", ["secret", "leave", "cancel", "unwritable", "surrogate"])
async def test_a_method_that_fails_answers_a_reference_that_is_in_the_log(
    connect: Connect, listener: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect(listener)
    answer = await client.exchange(request(method))
    assert answer["error"]["code"] == -32603
    assert "4711" not in json.dumps(answer)
    assert answer["error"]["data"]["reference"] in caplog.text
    assert (await client.exchange(request(params=[1])))["result"] == 1


async def test_a_result_that_json_cannot_hold_becomes_null(connect: Connect) -> None:
    assert (await (await connect("http")).exchange(request("nan")))["result"] == [None]


async def test_a_declared_error_is_answered_as_it_is(connect: Connect) -> None:
    error = (await (await connect("http")).exchange(request("wrong")))["error"]
    assert error == {"code": -32602, "message": "this is never right", "data": {"why": "a test"}}


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("method", ["secret", "wrong", "leave", "nan", "nobody"])
async def test_notifications_are_never_answered(connect: Connect, listener: str, method: str) -> None:
    assert await (await connect(listener)).exchange(json.dumps({"jsonrpc": "2.0", "method": method})) is None


async def test_a_call_that_takes_too_long_is_stopped(connect: Connect) -> None:
    error = (await (await connect("http")).exchange(request("hasty")))["error"]
    assert error["code"] == -32006
    assert "hasty" in error["message"]


async def test_an_unknown_method_says_so_with_data(connect: Connect) -> None:
    error = (await (await connect("http")).exchange(request("no.such")))["error"]
    assert error["code"] == -32601
    assert error["data"] == {"feature": None, "state": "unknown", "hint": "there is no 'no.such'"}


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.limit("members of one batch")
async def test_a_batch_has_at_most_100_members(connect: Connect, listener: str) -> None:
    client = await connect(listener)
    many = [json.loads(request(params=[n], id=n)) for n in range(101)]
    error = (await client.exchange(json.dumps(many)))["error"]
    assert error["code"] == -32600
    assert error["data"] == {"limit": 100}
    answers = await client.ask(json.dumps(many[:100]))
    assert [answer["result"] for answer in answers] == list(range(100))


async def test_a_batch_runs_in_order_and_not_at_once(world: World, connect: Connect) -> None:
    client = await connect("unix")
    batch = [json.loads(request("slow", id=1)), json.loads(request("update", params=[1], id=2))]
    client.send(json.dumps(batch))
    await world.started.acquire()
    assert world.notified == []
    world.gate.set()
    assert [answer["id"] for answer in await client.receive()] == [1, 2]
    assert len(world.notified) == 1
