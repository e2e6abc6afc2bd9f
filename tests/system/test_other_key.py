"""Somebody else at the address of a friend, and a friend with a new key."""

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system


def until(condition: Callable[[], Any], seconds: float = 40) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
    return found


def configured(daemon: Daemon) -> dict[str, Any]:
    (row,) = daemon.call("peers.configured")
    return dict(row)


def friends(daemon: MakeDaemon, config: str = "", *, label: str = "bob") -> tuple[Daemon, Daemon, str]:
    """Alice knows bob by his address; bob is off now, and something of alice's waits for him."""
    bob = daemon("bob").start()
    alice = daemon("alice", config)
    bob.environ["PIMD_TRANSPORT__LISTEN_PORT"] = str(bob.mesh_port)
    bob_id = bob.node_id
    if "ADDRESS" in config:
        alice.config.write_text(config.replace("ADDRESS", f"127.0.0.1:{bob.mesh_port}").replace("BOB", bob_id))
    alice.start()
    if "ADDRESS" not in config:
        assert alice.pim("add", f"127.0.0.1:{bob.mesh_port}", "--label", label).returncode == 0
    until(lambda: configured(alice)["state"] == "up")
    bob.kill()
    until(lambda: configured(alice)["state"] != "up")
    return alice, bob, bob_id


def stranger_at(daemon: MakeDaemon, bob: Daemon, name: str = "mallory") -> Daemon:
    return daemon(name, PIMD_TRANSPORT__LISTEN_PORT=bob.environ["PIMD_TRANSPORT__LISTEN_PORT"]).start()


ENTRY = '[[peers]]\nmechanism = "tcp"\naddress = "ADDRESS"\nlabel = "bob"\n'
INLINE = 'peers = [{ mechanism = "tcp", address = "ADDRESS", label = "bob", node_id = "BOB" }]\n'


@pytest.mark.parametrize(
    "config",
    [
        "",
        f'[security]\nauthorization_policy = "trust_on_first_use"\n{ENTRY}',
        ENTRY,
        f'{ENTRY}node_id = "BOB"\n',
        INLINE,
    ],
)
def test_what_is_for_a_friend_never_goes_to_who_got_his_address(daemon: MakeDaemon, config: str) -> None:
    alice, bob, bob_id = friends(daemon, config)
    alice.kill()  # what was met must outlast the process
    alice.start()
    stranger = stranger_at(daemon, bob)
    until(lambda: configured(alice)["state"] == "other_key")
    row = configured(alice)
    assert (row["known"], row["answers"]) == (bob_id, stranger.node_id)
    words = f"bob at {row['address']} has another key: known {bob_id}, answers {stranger.node_id}."
    assert row["last_error"].startswith(words)
    told = alice.pim("peers").stdout
    assert f"pim accept bob {bob_id} {stranger.node_id}" in told
    assert [line.split()[2] for line in told.splitlines() if line.startswith(bob_id)] == ["other"]
    assert alice.log.read_text().count(words) == 1
    assert alice.pim("send", "bob", "for bob alone").returncode == 0
    stranger.call("peers.add_static", {"address": f"127.0.0.1:{alice.mesh_port}"})
    until(lambda: any(peer["node_id"] == stranger.node_id for peer in alice.call("peers.list")))
    alice.pim("send", "bob", "still for bob alone")
    assert stranger.call("messages.list_conversations")["conversations"] == []
    stranger.kill()
    bob.start()
    bodies = until(lambda: received(bob, alice) if len(received(bob, alice)) == 2 else [])
    assert bodies == ["for bob alone", "still for bob alone"]


def received(at: Daemon, sender: Daemon) -> list[str]:
    messages = at.call("messages.history", {"peer_node_id": sender.node_id})["messages"]
    return [message["body"] for message in reversed(messages) if message["direction"] == "received"]


@pytest.mark.parametrize("config", ["", f'# of alice\n{ENTRY}node_id = "BOB" # his laptop\n'])
@pytest.mark.parametrize("move", [True, False])
def test_a_friend_who_was_set_up_anew_is_accepted(daemon: MakeDaemon, config: str, *, move: bool) -> None:
    alice, bob, bob_id = friends(daemon, config)
    alice.pim("send", "bob", "before")
    shutil.rmtree(bob.data_dir)
    with alice.socket() as events:
        events.call("peers.subscribe")
        bob.start()
        seen = events.wait_for("other_key")
        assert (seen["label"], seen["known"], seen["answers"]) == ("bob", bob_id, bob.node_id)
        command = seen["reason"].split("`")[1].split()[1:]
        wrong = alice.pim("accept", "bob", bob.node_id, bob_id)
        assert (wrong.returncode, bob_id in wrong.stderr) == (1, True)
        assert alice.pim("accept", "carol", bob_id, bob.node_id).returncode == 1
        done = alice.pim(*command, *(["--move-messages"] if move else []))
        assert done.returncode == 0, done.stderr
        assert f"bob is {bob.node_id} from now on" in done.stdout
        assert events.wait_for("accepted")["old"] == bob_id
    until(lambda: configured(alice)["state"] == "up")
    alice.pim("send", "bob", "after")
    wanted = ["before", "after"] if move else ["after"]
    assert until(lambda: received(bob, alice) if len(received(bob, alice)) == len(wanted) else []) == wanted
    kept = alice.call("messages.history", {"peer_node_id": bob_id})["messages"]
    assert [message["body"] for message in kept] == ([] if move else ["before"])
    if config:
        assert bob.node_id in alice.config.read_text()
        assert "# his laptop" in alice.config.read_text()
    alice.kill()
    alice.start()
    until(lambda: configured(alice)["state"] == "up")
    assert configured(alice)["node_id"] == bob.node_id


@pytest.mark.parametrize("config", ["", "node_id"])
def test_an_address_where_the_old_key_still_answers_stays_with_it(daemon: MakeDaemon, config: str) -> None:
    """Bob had one machine at two addresses; the second address has another machine of his now."""
    alice, bob, bob_id = friends(daemon)
    first = configured(alice)["address"]
    bob.environ["PIMD_TRANSPORT__LISTEN_PORT"] = "0"
    bob.start()
    second = f"127.0.0.1:{bob.mesh_port}"
    assert alice.pim("add", second, "--label", "Robert").returncode == 0
    until(lambda: [row["state"] for row in alice.call("peers.configured")] == ["up", "up"])
    if config:
        alice.kill()
        alice.config.write_text(alice.config.read_text().replace("label", f'node_id = "{bob_id}"\nlabel'))
        alice.start()
        until(lambda: [row["state"] for row in alice.call("peers.configured")] == ["up", "up"])
    new = daemon("new", PIMD_TRANSPORT__LISTEN_PORT=first.split(":")[1]).start()
    done = alice.pim("accept", "ROBERT", bob_id, new.node_id)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"ROBERT is {new.node_id} from now on")
    assert f"{second} stays with {bob_id}" in done.stdout

    def known() -> dict[str, str]:
        return {row["address"]: row["node_id"] for row in alice.call("peers.configured") if row["state"] == "up"}

    until(lambda: known() == {first: new.node_id, second: bob_id})
    alice.kill()
    alice.start()
    until(lambda: known() == {first: new.node_id, second: bob_id})


def test_a_contact_without_an_address_has_a_new_key_accepted(daemon: MakeDaemon) -> None:
    """He dials, so that nothing is configured here, and is called by a label."""
    alice, bob = daemon("alice").start(), daemon("bob").start()
    bob.call("peers.add_static", {"address": f"127.0.0.1:{alice.mesh_port}"})
    old = bob.node_id
    until(lambda: alice.call("peers.list"))
    alice.call("peers.label", {"node_id": old, "label": "bob"})
    bob.kill()
    unknown = alice.pim("accept", "bob", old, "ab" * 16)
    assert (unknown.returncode, "was never met" in unknown.stderr) == (1, True)
    shutil.rmtree(bob.data_dir)
    bob.start()
    until(lambda: any(peer["node_id"] == bob.node_id for peer in alice.call("peers.list")))
    assert alice.pim("accept", "bob", old[:12], bob.node_id[:12]).returncode == 0
    rows = {row["node_id"]: row for row in json.loads(alice.pim("--json", "peers").stdout)}
    assert (rows[bob.node_id]["own_label"], rows[old]["own_label"]) == ("bob", None)


def test_adding_an_address_again_binds_anew(daemon: MakeDaemon) -> None:
    alice, bob, _ = friends(daemon)
    address = configured(alice)["address"]
    assert alice.pim("remove", "bob").returncode == 0
    stranger = stranger_at(daemon, bob)
    assert alice.pim("add", address, "--label", "mallory").returncode == 0
    until(lambda: configured(alice)["state"] == "up")
    assert configured(alice)["node_id"] == stranger.node_id
