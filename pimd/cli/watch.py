"""`pim watch`: the notifications of any stream as they come, over restarts of the daemon."""

import argparse
import json
import time
from typing import Any

from pimd.cli.connection import Connection, UnixConnection, call
from pimd.cli.errors import AnsweredError, NoDaemonError, UsageError
from pimd.cli.output import complain, put
from pimd.cli.text import counted
from pimd.cli.waiting import Connect, wait_for_socket

RECONNECT_S = 1.0
METHOD_NOT_FOUND = -32601


def watch(connect: Connect, options: argparse.Namespace) -> None:
    """Print the params of each notification on a line, until interrupted; what is missing is said on standard error."""
    params = _params(options.params)
    connection = connect()
    watcher = _Watcher(options.stream.removesuffix(".event"), params)
    while True:
        if not isinstance(connection, UnixConnection):
            raise NoDaemonError("watch needs the daemon's Unix socket; say where it is with --socket")
        try:
            watcher.follow(connection)
        except NoDaemonError as error:
            complain(f"{error}; waiting for it to come back")
            connection.close()
            connection = wait_for_socket(connect, RECONNECT_S)


def _params(text: str | None) -> dict[str, Any]:
    try:
        params = {} if text is None else json.loads(text)
    except ValueError as error:
        raise UsageError(f"the parameters are not JSON: {error}") from None
    if not isinstance(params, dict):
        raise UsageError("the parameters must be a JSON object")
    return params


class _Watcher:
    """Remembers where it is, so that it goes on there on another connection."""

    def __init__(self, namespace: str, params: dict[str, Any]) -> None:
        self._namespace = namespace
        self._params = params
        self._place: dict[str, Any] = {}
        """`since` and `epoch`; empty before the first subscription."""

    def follow(self, connection: UnixConnection) -> None:
        """Subscribe behind the last event, and print; `NoDaemonError` when the daemon is gone."""
        answer = self._subscribe(connection)
        self._place = {"since": answer["seq"], "epoch": answer["epoch"]} if not self._place else self._place
        while True:
            event = connection.notification()["params"]
            if event.get("kind") == "lagged":
                self._place = {"since": event["next_seq"] - 1, "epoch": answer["epoch"]}
                complain(_missing(event["missed"]))
            else:
                self._place = {"since": event["seq"], "epoch": answer["epoch"]}
                put(json.dumps(event))

    def _subscribe(self, connection: Connection) -> dict[str, Any]:
        while True:
            try:
                return dict(call(connection, f"{self._namespace}.subscribe", {**self._params, **self._place}))
            except AnsweredError as error:
                if error.error.get("code") != METHOD_NOT_FOUND:
                    raise
                if error.error.get("data", {}).get("state") != "starting":
                    streams = sorted(name for row in call(connection, "features.list") for name in row["events"])
                    complain(f"the streams that are here: {', '.join(streams) or 'none'}")
                    raise
            time.sleep(RECONNECT_S)


def _missing(missed: int | None) -> str:
    if missed is None:
        return "the daemon was started anew; what happened between is not known"
    return f"{counted(missed, 'event')} missing here"
