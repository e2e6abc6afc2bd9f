"""A message that the daemon took is told of, whatever happens to the daemon then."""

import argparse
import json
from typing import Any

import pytest

from pimd.cli.commands import send
from pimd.cli.connection import call_many
from pimd.cli.errors import AnsweredError, NoDaemonError
from pimd.cli.names import resolve

TAKEN = {"id": "ab" * 16, "status": "pending"}


class Leaving:
    """A daemon that takes one message and is gone."""

    def exchange(self, message: Any) -> Any:
        if message["method"] == "peers.resolve":
            return {"jsonrpc": "2.0", "id": message["id"], "result": {"node_id": message["params"]["name"]}}
        if message["method"] != "messages.send":
            raise NoDaemonError("the daemon closed the connection")
        return {"jsonrpc": "2.0", "id": message["id"], "result": TAKEN}

    def close(self) -> None:
        pass


class Overloaded:
    """A daemon that answers a batch with one error."""

    def exchange(self, message: Any) -> Any:
        del message
        return {"jsonrpc": "2.0", "id": None, "error": {"code": -32005, "message": "too much at once"}}

    def close(self) -> None:
        pass


@pytest.mark.parametrize("as_json", [False, True])
def test_a_message_that_was_taken_is_told_of(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001
    send(Leaving(), argparse.Namespace(text="x", who="0" * 32, json=as_json))
    told = capsys.readouterr().out
    if as_json:
        assert json.loads(told) == TAKEN
    else:
        assert told == f"waits here for {'0' * 32} (message {TAKEN['id']})\n"


def test_an_error_for_a_whole_batch_is_an_error() -> None:
    with pytest.raises(AnsweredError, match="too much at once"):
        call_many(Overloaded(), [("peers.list", None)])


class WithoutPeers:
    """A daemon without the feature `peers`."""

    def exchange(self, message: Any) -> Any:
        error = {"code": -32601, "message": "peers.resolve belongs to the feature peers, which is off"}
        return {"jsonrpc": "2.0", "id": message["id"], "error": error}

    def close(self) -> None:
        pass


def test_without_the_feature_peers_a_whole_id_is_taken_and_nothing_else() -> None:
    assert resolve(WithoutPeers(), "AB" * 16) == "ab" * 16
    for wanted in ("ab" * 4, "bob", "x" * 32):
        with pytest.raises(AnsweredError, match="the feature peers, which is off"):
            resolve(WithoutPeers(), wanted)


class Keeping(Leaving):
    """A daemon that remembers what it was to send."""

    def __init__(self) -> None:
        self.params: list[Any] = []

    def exchange(self, message: Any) -> Any:
        if message["method"] == "messages.send":
            self.params.append(message["params"])
        return super().exchange(message)


@pytest.mark.parametrize(("mailbox", "sent"), [(None, {}), (False, {"mailbox": False}), ("box", {"mailbox": "box"})])
def test_a_mailbox_is_named_or_excluded(mailbox: Any, sent: dict[str, Any]) -> None:
    daemon = Keeping()
    send(daemon, argparse.Namespace(who="bob", text="hello", json=True, mailbox=mailbox))
    assert daemon.params == [{"peer_node_id": "bob", "body": "hello"} | sent]
