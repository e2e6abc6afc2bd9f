"""`pim inbox`: conversations, one of them, and new messages as they come."""

import argparse
import json
from collections import deque
from typing import Any

from pimd.cli.commands import conversation_table, say, strangers
from pimd.cli.connection import Connection, UnixConnection, call
from pimd.cli.errors import NoDaemonError
from pimd.cli.names import resolve
from pimd.cli.output import complain, put
from pimd.cli.text import moment, visible
from pimd.cli.waiting import Connect, wait_for_socket

SHOWN = 50
REMEMBERED = 10_000
RECONNECT_S = 1.0
_WHY_RESTARTED = {
    "account_changed": "its account is another than before; it lost its messages, or somebody else has its key",
    "reset": "it could not open a message; what it has not acknowledged is encrypted anew",
}


def inbox(connect: Connect, options: argparse.Namespace) -> None:
    """List conversations, or print one; with `--follow` go on printing what comes."""
    connection = connect()
    peer = resolve(connection, options.who) if options.who is not None else None
    if options.follow:
        _Follower(connect, options, peer).run(connection)
    elif peer is not None:
        _print_conversation(connection, options, peer)
    else:
        rows = call(connection, "messages.list_conversations")["conversations"]
        text = conversation_table(rows) if rows else "no messages yet; `pim send NAME-OR-ID TEXT` begins"
        say(options, rows, "\n".join([text, *strangers(connection)]))


def _print_conversation(connection: Connection, options: argparse.Namespace, peer: str) -> None:
    page = call(connection, "messages.history", {"peer_node_id": peer, "limit": SHOWN})
    messages = list(reversed(page["messages"]))
    name = None if options.who == peer else options.who
    lines = [(message["position"], 0, 0, _line(message, name)) for message in messages]
    lines += [(one["after_position"], 1, one["at_ms"], _between(one)) for one in page.get("lines", [])]
    text = "\n".join(line for *_, line in sorted(lines)) or f"no messages with {peer}"
    say(options, messages, text)
    _mark_read(connection, options, messages)


def _between(one: dict[str, Any]) -> str:
    often = f" ({one['times']} times)" if one["times"] > 1 else ""
    return f"{moment(one['at_ms'])}  -- {visible(one['text'])}{often}"


def _mark_read(connection: Connection, options: argparse.Namespace, messages: list[dict[str, Any]]) -> None:
    unread = [m for m in messages if m["direction"] == "received" and m["status"] == "delivered"]
    if unread and not options.keep_unread:
        last = unread[-1]
        params = {"peer_node_id": last["peer_node_id"], "up_to_ts_ms": last["timestamp_ms"], "up_to_id": last["id"]}
        call(connection, "messages.mark_read", params)


def _line(message: dict[str, Any], name: str | None) -> str:
    who = "me" if message["direction"] == "sent" else visible(name or message["peer_node_id"][:8])
    words = [message["status"]] if message["direction"] == "sent" else []
    words += [f"receipt {message['receipt']}"] if message.get("receipt") else []
    words += ["imported"] if message.get("imported") else []
    state = f" [{', '.join(words)}]" if words else ""
    body = "\n    ".join(visible(line) for line in message["body"].split("\n"))
    return f"{moment(message['timestamp_ms'])}  {who}: {body}{state}"


class _Follower:
    """Prints each received message once, across reconnections."""

    def __init__(self, connect: Connect, options: argparse.Namespace, peer: str | None) -> None:
        self._connect = connect
        self._options = options
        self._peer = peer
        self._printed: deque[str] = deque(maxlen=REMEMBERED)
        self._known: set[str] = set()

    def run(self, connection: Connection) -> None:
        """Print messages until interrupted; when the daemon is gone, wait for it and connect again."""
        while True:
            if not isinstance(connection, UnixConnection):
                raise NoDaemonError("--follow needs the daemon's Unix socket; say where it is with --socket")
            try:
                self._follow(connection)
            except NoDaemonError as error:
                complain(f"{error}; waiting for it to come back")
                connection.close()
                connection = self._wait()

    def _wait(self) -> Connection:
        return wait_for_socket(self._connect, RECONNECT_S)

    def _follow(self, connection: UnixConnection) -> None:
        # Subscribe before reading: a message between the two is received twice and printed once.
        call(connection, "messages.subscribe")
        self._catch_up(connection)
        while True:
            params = connection.notification().get("params", {})
            if params.get("kind") == "lagged":
                self._catch_up(connection)
            elif params.get("kind") == "message_received":
                self._print(connection, params["message"], params["conversation"]["name"])
            elif params.get("kind") == "session_restarted" and self._peer in (None, params["peer_node_id"]):
                self._tell_restarted(params["name"], params["reason"])

    def _catch_up(self, connection: UnixConnection) -> None:
        """Print what is unread, oldest first."""
        rows = call(connection, "messages.list_conversations")["conversations"]
        missed = [
            (message, row["name"])
            for row in rows
            if row["unread_count"] and self._peer in (None, row["peer_node_id"])
            for message in self._unread(connection, row["peer_node_id"], row["unread_count"])
        ]
        for message, name in sorted(missed, key=lambda one: int(one[0]["position"])):
            self._print(connection, message, name)

    def _unread(self, connection: UnixConnection, peer: str, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {"peer_node_id": peer, "limit": 500}
        while True:
            page = call(connection, "messages.history", params)
            found += [m for m in page["messages"] if m["direction"] == "received" and m["status"] == "delivered"]
            if not page["has_more"] or len(found) >= count:
                return found
            last = page["messages"][-1]
            params |= {"before_ts_ms": last["timestamp_ms"], "before_id": last["id"]}

    def _tell_restarted(self, name: str, reason: str) -> None:
        if not self._options.json:  # whose lines are messages
            why = _WHY_RESTARTED.get(reason, visible(reason))
            put(f"-- secure session with {visible(name)} restarted: {why}")

    def _print(self, connection: UnixConnection, message: dict[str, Any], name: str) -> None:
        if self._peer not in (None, message["peer_node_id"]) or message["id"] in self._known:
            return
        if len(self._printed) == REMEMBERED:
            self._known.discard(self._printed[0])
        self._printed.append(message["id"])
        self._known.add(message["id"])
        put(json.dumps(message) if self._options.json else _line(message, name))
        _mark_read(connection, self._options, [message])
