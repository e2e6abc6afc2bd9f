"""Trouble with the disk is told in words and with a code of its own, whichever method met it."""

import json
from pathlib import Path

import pytest

from pimd.clock import SystemClock
from pimd.contract import NoParams
from pimd.database import DatabaseError
from pimd.rpc.connection import Connection
from pimd.rpc.registry import Method
from pimd.rpc.server import RpcServer


async def test_what_could_not_be_stored_says_why_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    async def store(_: Connection, __: NoParams) -> None:
        raise DatabaseError(Path("peers.db"), "keystore", "the disk is full; free some space and try again")

    server = RpcServer(SystemClock(), lambda name: {"hint": name}, list)
    server.registry.add([Method("store", "test", store, "Store.", None)])
    message = server.dispatch.parse(b'{"jsonrpc": "2.0", "id": 1, "method": "store"}')
    answer = await server.dispatch.answer(message, Connection("http"))
    answer.sent()
    assert answer.text is not None
    error = json.loads(answer.text)["error"]
    assert error["code"] == -32062
    assert "nothing was changed" in error["message"]
    assert "free some space" in error["message"]
    assert "Traceback" not in caplog.text
