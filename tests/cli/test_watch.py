"""Where `pim watch` goes on, on a connection that answers what the test says."""

from typing import Any

import pytest

from pimd.cli import watch
from pimd.cli.connection import UnixConnection
from pimd.cli.errors import NoDaemonError
from pimd.cli.watch import _Watcher

STARTING = {"error": {"code": -32601, "message": "in a moment", "data": {"state": "starting"}}}


def subscribed(epoch: str, seq: int) -> dict[str, Any]:
    return {"result": {"subscription_id": "s", "epoch": epoch, "seq": seq, "missed": 0}}


class Double(UnixConnection):
    """Answers in turn, then has notifications, then is gone."""

    def __init__(self, answers: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
        self.answers, self.events = answers, events
        self.asked: list[Any] = []

    def exchange(self, message: Any) -> Any:
        self.asked.append(message["params"])
        return self.answers.pop(0)

    def notification(self) -> dict[str, Any]:
        if not self.events:
            raise NoDaemonError("gone")
        return {"params": self.events.pop(0)}


def followed(watcher: _Watcher, connection: Double) -> list[Any]:
    with pytest.raises(NoDaemonError):
        watcher.follow(connection)
    return connection.asked


def test_it_goes_on_behind_the_last_event_and_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "RECONNECT_S", 0)
    watcher = _Watcher("peers", {"x": 1})
    assert followed(watcher, Double([subscribed("a", 7)], [])) == [{"x": 1}]
    events = [{"kind": "up", "seq": 8}, {"kind": "lagged", "missed": 3, "next_seq": 12}, {"kind": "up", "seq": 12}]
    assert followed(watcher, Double([subscribed("a", 12)], events)) == [{"x": 1, "since": 7, "epoch": "a"}]
    later = Double([STARTING, subscribed("b", 2)], [{"kind": "lagged", "missed": None, "next_seq": 1}])
    assert followed(watcher, later) == [{"x": 1, "since": 12, "epoch": "a"}] * 2
    assert followed(watcher, Double([subscribed("b", 2)], [])) == [{"x": 1, "since": 0, "epoch": "b"}]
    said = capsys.readouterr()
    assert said.out.count("\n") == 2
    assert "3 events missing" in said.err
    assert "started anew" in said.err
