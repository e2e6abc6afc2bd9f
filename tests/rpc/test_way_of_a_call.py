"""The way of an RPC call is as short as docs/architecture.md says."""

import json

import pytest

from tests.rpc.conftest import Connect
from tests.ways import MOST, documented, traced

CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}})


@pytest.mark.parametrize("listener", ["unix", "http", "websocket"])
async def test_a_call_goes_through_documented_files(connect: Connect, listener: str) -> None:
    client = await connect(listener)
    await client.ask(CALL)  # adapters are made once
    found: set[str] = set()
    with traced(found):
        answer = await client.ask(CALL)
    assert answer["result"] == 19
    assert found - documented("What happens to an RPC call") == set()
    assert 5 < len(found) <= MOST
