"""Every code that a call is answered is one that its clients can know of: from the client's contract, or from OpenRPC."""

import json
from typing import Any

import pytest

from pimd.contract import RpcError
from pimd.lab import Lab, run
from pimd.lab.daemon import LabDaemon
from pimd.rpc.connection import Connection
from pimd.rpc.feed import ConnectionFeed
from pimd.rpc.invoke import OF_ANY_METHOD
from pimd.testing.schemas import Draw
from tests.system.daemon import PROJECT

CONTRACT = json.loads((PROJECT / "tests" / "vectors" / "rpc_contract.json").read_text())
METHOD_NOT_FOUND, INTERNAL_ERROR = -32601, -32603
DRAWS = 4
SELF_ENDING = {"daemon.shutdown", "identity.new"}
"""What would end the daemon, or write outside of the lab."""
ABSENT = [
    *(name for name in CONTRACT["methods"] if name.startswith("gateway.")),
    "nobody.knows",
    "peers.knows",
    "subscribe",
    "rpc.x",
    " status",
    "",
]
HOPELESS: list[dict[str, Any]] = [
    {},
    {"node_id": "ab" * 16, "peer_node_id": "ab" * 16, "old": "ab" * 16, "new": "cd" * 16, "name": "x", "trust": "once"},
    {"node_id": 1, "peer_node_id": None, "address": [], "name": {}, "on": "yes", "since": "x"},
    {"address": "nowhere", "mechanism": "bluetooth", "trust": "persist", "message_id": "ab" * 16, "body": ""},
]


def codes_of(document: dict[str, Any]) -> dict[str, set[int]]:
    """What is declared for each method."""
    declared = {one["name"]: {error["code"] for error in one["errors"]} for one in document["methods"]}
    for name, method in CONTRACT["methods"].items():
        declared.setdefault(name, set()).update(error["code"] for error in method["errors"])
    return declared


async def code_of(daemon: LabDaemon, method: str, params: dict[str, Any]) -> int | None:
    async def nowhere(_: str) -> None:
        pass

    feed = ConnectionFeed(daemon.running_daemon.rpc.streams, nowhere)
    try:
        await daemon.call(method, params, Connection("unix", feed))
    except RpcError as error:
        if "reference" in str(error.data):
            pytest.fail(f"{method} failed inside with {params}: {error}")
        return error.code
    finally:
        feed.close()
    return None


def test_no_method_answers_a_code_that_is_not_declared_for_it() -> None:
    async def main() -> set[int]:
        async with Lab(1, log_level="error") as lab:
            one, two = lab.add_daemons(2)
            lab.connect(one, two)
            await lab.start()
            await lab.until(lambda: one.node.service.has_route(two.id), 30)
            document = await one.call("rpc.discover")
            declared, seen = codes_of(document), set[int]()
            draw, schemas = Draw(1, [str(two.id), str(one.id)]), document["components"]["schemas"]
            for described in document["methods"]:
                name = described["name"]
                if name in SELF_ENDING or name.startswith("features."):
                    continue
                drawn = [_drawn(draw, described["params"], schemas) for _ in range(DRAWS)]
                for params in [*HOPELESS, *drawn]:
                    code = await code_of(one, name, params)
                    if code is not None:
                        assert code in declared[name], (name, params, code)
                        seen.add(code)
            return seen

    seen = run(main, seed=1)
    assert {-32602, -32010, -32012, -32060} <= seen


def _drawn(draw: Draw, described: list[dict[str, Any]], schemas: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: draw.value(one["schema"], schemas) for one in described}


def test_what_is_not_there_is_not_found_whatever_it_is_asked_with() -> None:
    async def main() -> None:
        async with Lab(1, settings={"features": {"disabled": ["logs", "groups"]}}) as lab:
            one = lab.add_daemon()
            await lab.start()
            for name in [*ABSENT, "logs.subscribe", "groups.list"]:
                for params in HOPELESS:
                    assert await code_of(one, name, params) == METHOD_NOT_FOUND, name

    run(main, seed=1)


async def test_an_error_that_is_not_declared_is_a_fault_of_the_method(
    world: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect("unix")
    error = (await client.call("undeclared"))["error"]
    assert error["code"] == INTERNAL_ERROR
    assert "reference" in error["data"]
    assert "answers -32010 (who?), which its @rpc does not name" in caplog.text
    assert (await client.call("wrong"))["error"]["code"] == -32602


def test_each_method_declares_what_any_method_can_be_answered_and_no_code_twice() -> None:
    document = json.loads((PROJECT / "docs" / "openrpc.json").read_text())
    assert {error.code for error in OF_ANY_METHOD} == {-32602, -32603, -32003, -32004, -32005, -32006, -32062}
    for method in document["methods"]:
        codes = [error["code"] for error in method["errors"]]
        assert len(set(codes)) == len(codes), method["name"]
        assert {error.code for error in OF_ANY_METHOD} <= set(codes), method["name"]
