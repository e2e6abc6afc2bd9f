"""What each user wrote and saw, and what must hold of it; knows nothing of the code, only of answers and pages."""

import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.system.daemon import Daemon

PATIENCE_S = 150.0
RANK = {"pending": 0, "sent": 1, "kept": 2, "delivered": 3, "read": 4}


@dataclass
class Judge:
    """Two daemons write to each other; `problems` is what was found wrong, in words."""

    daemons: dict[str, Daemon]
    ids: dict[str, str] = field(default_factory=dict)
    accepted: dict[str, list[str]] = field(default_factory=lambda: {"alice": [], "bob": []})
    """Bodies whose `messages.send` was answered, in that order."""
    unsure: set[str] = field(default_factory=set)
    """Bodies whose call got no answer, because the daemon was killed: they may be there or not."""
    deleted: dict[str, set[str]] = field(default_factory=lambda: {"alice": set(), "bob": set()})
    """Bodies that a user deleted at his end."""
    read: dict[str, set[str]] = field(default_factory=lambda: {"alice": set(), "bob": set()})
    """Bodies that a user marked read, or may have."""
    away: set[str] = field(default_factory=set)
    """Those that are off now, because the script stopped them."""
    group: str = ""
    """The id of their group, once there is one."""
    group_accepted: dict[str, list[str]] = field(default_factory=lambda: {"alice": [], "bob": []})
    problems: list[str] = field(default_factory=list)

    def pages(self, who: str) -> list[dict[str, Any]]:
        """All that one user sees, the oldest first."""
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {"peer_node_id": self.ids[other_of(who)], "limit": 500}
        while True:
            page = self.daemons[who].call("messages.history", params)
            found += page["messages"]
            if not page["has_more"]:
                return found[::-1]
            params["before_id"] = page["messages"][-1]["id"]

    def group_pages(self, who: str) -> list[dict[str, Any]]:
        """All that one user sees in the group, the oldest first."""
        if not self.group:
            return []
        found = self.daemons[who].call("groups.history", {"group": self.group, "limit": 100})["messages"]
        return list(reversed(found))

    def after_restart(self, who: str) -> None:
        """Check at once, with nothing repeated yet: what was accepted is there, and what the other knows as delivered."""
        there = [one["body"] for one in self.group_pages(who)]
        self.problems += [f"{who} lost {body!r} of the group" for body in self.group_accepted[who] if body not in there]
        other = other_of(who)
        theirs = self.pages(other) if other not in self.away else []  # first: what comes meanwhile is no loss
        mine = self.pages(who)
        own = [one["body"] for one in mine if one["direction"] == "sent"]
        received = {one["id"] for one in mine if one["direction"] == "received"}
        for body in self.accepted[who]:
            if body not in own and body not in self.deleted[who]:
                self.problems.append(f"{who} lost {body!r}, which was accepted")
        for one in theirs:
            known = one["direction"] == "sent" and RANK.get(one["status"], -1) >= RANK["delivered"]
            if known and one["id"] not in received and one["body"] not in self.deleted[who]:
                self.problems.append(
                    f"{one['body']!r} counts as {one['status']} at {other}, and {who} does not have it"
                )

    def settled(self) -> bool:
        """Tell whether nothing waits any more."""
        seen = [{one["body"] for one in self.group_pages(who)} for who in self.daemons if self.group]
        if any(not one >= {*self.group_accepted["alice"], *self.group_accepted["bob"]} for one in seen):
            return False
        return all(
            RANK.get(one["status"], -1) >= RANK["delivered"]
            for who in self.daemons
            for one in self.pages(who)
            if one["direction"] == "sent"
        )

    def finish(self) -> None:
        """Wait until nothing waits, then compare what both see."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.settled():
            if time.monotonic() > deadline:
                self.problems.append(f"after {PATIENCE_S:.0f} s messages still wait: {self._waiting()}")
                break
            time.sleep(0.1)
        for who in self.daemons:
            self._compare(who)
            self._compare_group(who)

    def _compare_group(self, who: str) -> None:
        bodies = [one["body"] for one in self.group_pages(who)]
        written = {*self.group_accepted["alice"], *self.group_accepted["bob"]}
        self.problems += [f"{who} lacks {body!r} of the group" for body in written.difference(bodies)]
        for body in set(bodies):
            if bodies.count(body) > 1:
                self.problems.append(f"{who} sees {body!r} of the group {bodies.count(body)} times")
            if body not in written and body not in self.unsure:
                self.problems.append(f"{who} got {body!r} in the group, and nobody wrote it")

    def _waiting(self) -> list[str]:
        pages = [one for who in self.daemons for one in self.pages(who)]
        return [
            f"{one['body']} {one['status']}"
            for one in pages
            if one["direction"] == "sent" and RANK.get(one["status"], -1) < RANK["delivered"]
        ]

    def _compare(self, author: str) -> None:
        reader = other_of(author)
        sent = [one for one in self.pages(author) if one["direction"] == "sent"]
        bodies = [one["body"] for one in self.pages(reader) if one["direction"] == "received"]
        self._compare_accepted(author, [one["body"] for one in sent], bodies)
        for body in set(bodies):
            if bodies.count(body) > 1:
                self.problems.append(f"{reader} sees {body!r} {bodies.count(body)} times")
            if body in self.deleted[reader]:
                self.problems.append(f"{reader} deleted {body!r}, and it is back")
            elif body not in self.accepted[author] and body not in self.unsure:
                self.problems.append(f"{reader} got {body!r}, which {author} never wrote")
        for one in sent:
            if one["status"] == "read" and one["body"] not in self.read[reader]:
                self.problems.append(f"{one['body']!r} counts as read, and {reader} did not read it")

    def _compare_accepted(self, author: str, written: Sequence[str], bodies: Sequence[str]) -> None:
        reader = other_of(author)
        for body in self.accepted[author]:
            if body not in self.deleted[author] and written.count(body) != 1:
                self.problems.append(f"{author} sees the own {body!r} {written.count(body)} times")
            if body not in self.deleted[reader] and body not in bodies:
                self.problems.append(f"{reader} never got {body!r} of {author}")
        if in_order(bodies, self.accepted[author]) != in_order(self.accepted[author], bodies):
            self.problems.append(f"{reader} sees messages of {author} in another order: {bodies}")


def in_order(some: Sequence[str], others: Sequence[str]) -> list[str]:
    """Those of the first that the second has, too."""
    kept = set(others)
    return [one for one in some if one in kept]


def other_of(who: str) -> str:
    """The other of two."""
    return "bob" if who == "alice" else "alice"


@dataclass(frozen=True)
class Verdict:
    """How one run went."""

    what: str
    boundaries: int
    restarts: tuple[float, ...]
    problems: tuple[str, ...]


# --- daemons


def lasting_port() -> str:
    """Return a free port that the system gives to no connection while its daemon is off."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - below the ports that are given by default
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return str(port)


def routed(one: Daemon, other_id: str) -> bool:
    """Tell whether there is a way, and the key that comes with the card is known."""
    rows = one.call("peers.list", {"all": True})
    return any(row["node_id"] == other_id and row["route_hops"] and row["x25519_pubkey"] for row in rows)


def until(true: Callable[[], bool]) -> None:
    """Ask again and again; TimeoutError after `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_S:.0f} s: {true}")
        time.sleep(0.02)


def stop(daemon: Daemon) -> None:
    """Kill it for good, with what traces it."""
    with suppress(OSError, KeyError, ValueError):
        os.kill(int(daemon.runtime["pid"]), 9)
    if daemon.process is not None:
        daemon.kill()
