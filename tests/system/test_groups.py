"""A group of three processes: what `groups.send` answered survives kill -9 of any of them, and is shown once."""

import random
import time
from collections.abc import Callable

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon

PATIENCE_S = 60.0


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Ask again until it is so; nothing announces what several daemons agree on."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def texts(daemon: Daemon, group: str) -> list[str]:
    page = daemon.call("groups.history", {"group": group, "limit": 500})
    return [one["body"] for one in page["messages"]]


def state(daemon: Daemon, group: str) -> str:
    rows = daemon.call("groups.list")["groups"]
    return next((str(one["state"]) for one in rows if one["group_id"] == group), "unknown")


def three_in_a_group(daemon: MakeDaemon) -> tuple[list[Daemon], str]:
    alice = daemon("alice").start()
    alice.environ["PIMD_TRANSPORT__LISTEN_PORT"] = str(alice.mesh_port)
    entry = f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{alice.mesh_port}"\n'
    others = [daemon(name, entry).start() for name in ("bob", "carol")]
    group = str(alice.call("groups.create", {"name": "friends"})["group_id"])
    for other in others:
        eventually(lambda other=other: "result" in alice.ask("peers.get", {"node_id": other.node_id}), "a link")  # type: ignore[misc]
        alice.call("groups.invite", {"group": group, "node_id": other.node_id})
        eventually(lambda other=other: state(other, group) == "invited", "an invitation")  # type: ignore[misc]
        other.call("groups.join", {"group": group})
        eventually(lambda other=other: state(other, group) == "joined", "a member")  # type: ignore[misc]
    return [alice, *others], group


@pytest.mark.system
def test_what_was_answered_survives_kill_9_and_is_shown_once(daemon: MakeDaemon) -> None:
    daemons, group = three_in_a_group(daemon)
    draw, written = random.Random(12), list[str]()
    for number in range(24):
        writer = draw.choice(daemons)
        text = f"{writer.name} {number}"
        writer.call("groups.send", {"group": group, "body": text})
        written.append(text)
        if number % 3 == 2:
            victim = draw.choice(daemons)
            victim.kill()
            victim.start()
    for one in daemons:
        eventually(lambda one=one: sorted(texts(one, group)) == sorted(written), f"all texts at {one.name}")  # type: ignore[misc]
        rows = one.call("groups.list")["groups"]
        assert [row["members_agree"] for row in rows] == [True]


@pytest.mark.system
def test_the_commands_of_pim(daemon: MakeDaemon) -> None:
    (alice, bob, carol), group = three_in_a_group(daemon)

    def said(one: Daemon, *words: str) -> str:
        done = one.pim("group", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "other members: 2" in said(alice, "send", "friends", "good evening")
    eventually(lambda: "good evening" in said(bob, "history", group[:6]), "the text")
    eventually(lambda: "delivered to 2 of 2" in said(alice, "history", "friends"), "the states")
    assert "joined  3" in said(carol, "list")
    assert "it reads nothing" in said(alice, "remove", "friends", carol.node_id)
    eventually(lambda: "removed" in said(carol, "list"), "the removal")
    assert "left" in said(bob, "leave", "friends")
    refused = carol.pim("group", "send", "friends", "hello?")
    assert (refused.returncode, "no member of 'friends': removed" in refused.stderr) == (1, True)
    assert "no group here is called 'foes'" in alice.pim("group", "history", "foes").stderr
