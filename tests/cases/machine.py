"""A daemon whose wall clock the test sets, and what its users ask for."""

import time
from collections.abc import Callable
from typing import Any

from tests.netns.namespaces import ask
from tests.system.daemon import Daemon

INTERVAL_S = 0.05
"""Between two questions to a daemon, so that it has the processor."""

SITE = """
import os, time
_wall_ns, _file = time.time_ns, os.environ["TEST_WALL_CLOCK"]
def _offset_ns():
    with open(_file) as file:
        return int(float(file.read()) * 1e9)
time.time_ns = lambda: max(0, _wall_ns() + _offset_ns())
time.time = lambda: time.time_ns() / 1e9
"""
"""A `sitecustomize` that adds what a file says to the wall clock; only that process sees it."""


class Machine(Daemon):
    """Its wall clock is right until `set_clock`."""

    def set_clock(self, offset_s: float) -> None:
        """Put the wall clock ahead of the real one, at once; the first time before the start."""
        file = self.home / f"{self.name}.clock"
        written = file.with_suffix(".new")
        written.write_text(str(offset_s))
        written.replace(file)
        if "TEST_WALL_CLOCK" not in self.environ:
            site = self.home / "site"
            site.mkdir(exist_ok=True)
            (site / "sitecustomize.py").write_text(SITE)
            self.environ["TEST_WALL_CLOCK"] = str(file)
            self.environ["PYTHONPATH"] = f"{site}:{self.environ['PYTHONPATH']}"

    def ask(self, method: str, params: Any = None) -> dict[str, Any]:
        """Call over the Unix socket, which is there in a network namespace too."""
        with self.socket() as client:
            return ask(client, method, params)

    def set_date(self, unix_s: float) -> None:
        """Set the wall clock, at once."""
        self.set_clock(unix_s - time.time_ns() / 1e9)

    def link(self, other: Daemon) -> None:
        """Add the other's address, and wait for the link."""
        self.call("peers.add_static", {"address": f"127.0.0.1:{other.mesh_port}"})
        until_linked(self, other)

    def send(self, to: Daemon | str, body: str) -> str:
        """Return the id of the message."""
        peer = to if isinstance(to, str) else to.node_id
        return str(self.call("messages.send", {"peer_node_id": peer, "body": body})["id"])

    def history(self, of: Daemon | str) -> list[dict[str, Any]]:
        """All messages with a peer, the oldest first."""
        peer = of if isinstance(of, str) else of.node_id
        return list(reversed(self.call("messages.history", {"peer_node_id": peer, "limit": 500})["messages"]))

    def bodies(self, of: Daemon | str) -> list[str]:
        """The texts of a conversation, the oldest first."""
        return [message["body"] for message in self.history(of)]

    def last_preview(self) -> str:
        """The text that the list of conversations shows for the first of them."""
        return str(self.call("messages.list_conversations")["conversations"][0]["last_message_preview"])

    def log_text(self) -> str:
        return self.log.read_text()


def until(condition: Callable[[], Any]) -> None:
    """Wait for what the daemons do by themselves; the time limit of the test ends it."""
    while not condition():
        time.sleep(INTERVAL_S)


def until_linked(one: Daemon, other: Daemon) -> None:
    wanted = other.node_id
    until(lambda: any(row["node_id"] == wanted and row["state"] == "active" for row in one.call("peers.list")))
