"""Two people who are never there at the same time, and the mailbox that a third one runs; processes as users have them."""

import signal
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon, UnixClient

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
ALL = '["peers", "routes", "messaging", "config", "logs", "status", "mailbox"]'


def people(daemon: MakeDaemon) -> tuple[Daemon, Daemon, Daemon]:
    """A running mailbox that serves alice and bob, who are stopped, have its address, and import each other's key."""
    box = daemon("box", f"[features]\nenabled = {ALL}\n").start()
    box.environ["PIMD_TRANSPORT__LISTEN_PORT"] = str(box.mesh_port)
    entry = f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{box.mesh_port}"\nlabel = "the box"\n'
    own = f'[features.messaging]\nmailboxes = ["{box.node_id}"]\n'
    alice, bob = daemon("alice", own + entry), daemon("bob", own + "receipts = true\n" + entry)
    served = []
    for one in (alice, bob):
        one.start()
        served.append(f'"{one.node_id}"')
        one.kill(signal.SIGTERM)
    box.kill(signal.SIGTERM)
    box.config.write_text(f"{box.config.read_text()}[features.mailbox]\nserve = [{', '.join(served)}]\n")
    return alice, bob, box.start()


def identity(one: Daemon) -> dict[str, Any]:
    """Return what another node imports; the daemon runs."""
    own = one.call("peers.export_identity", {"node_id": one.node_id})
    return {"node_id": one.node_id, "x25519_pubkey": own["x25519_pubkey"], "name": one.name}


def until(client: UnixClient, stream: str, is_so: Callable[[], bool]) -> None:
    """Return once something is so; each event of the stream may have changed it."""
    client.call(stream)
    while not is_so():
        client.notifications.append(client.receive())


def states(one: Daemon, other_id: str) -> list[str]:
    page = one.call("messages.history", {"peer_node_id": other_id})["messages"]
    return [message["status"] for message in reversed(page) if message["direction"] == "sent"]


def first_sent(one: Daemon, other_id: str) -> dict[str, Any]:
    page = one.call("messages.history", {"peer_node_id": other_id})["messages"]
    return dict(next(message for message in reversed(page) if message["direction"] == "sent"))


def texts(one: Daemon, other_id: str) -> list[str]:
    return [
        message["body"] for message in reversed(one.call("messages.history", {"peer_node_id": other_id})["messages"])
    ]


def kept(box: Daemon) -> int:
    with sqlite3.connect(box.data_dir / "plugins" / "mailbox" / "mailbox.db") as database:
        count = database.execute("SELECT count(*) FROM kept").fetchone()[0]
    database.close()
    return int(count)


def test_two_who_are_never_there_together_meet_and_talk(daemon: MakeDaemon) -> None:
    alice, bob, box = people(daemon)
    bob.start()
    bob_id, key = bob.node_id, identity(bob)
    with box.socket() as client:
        until(client, "logs.subscribe", lambda: box.call("mailbox.status")["bundles"] == 1)
    bob.kill(signal.SIGTERM)

    alice.start()
    alice_id = alice.node_id
    alice.call("peers.import_identity", key)
    assert alice.pim("send", bob_id, "hello bob", "--receipt", "--mailbox", "the box").returncode == 0
    with alice.socket() as client:
        until(client, "messages.subscribe", lambda: states(alice, bob_id) == ["kept"])
    assert "[kept, receipt asked]" in alice.pim("inbox", bob_id).stdout
    alice.kill()
    shown = box.pim("mailbox").stdout
    assert [line.split()[-4:] for line in shown.splitlines()[:1]] == [["MESSAGES", "SIZE", "OLDEST", "REACHED"]]

    bob.start()
    with bob.socket() as client:
        until(client, "messages.subscribe", lambda: texts(bob, alice_id) == ["hello bob"])
        assert bob.pim("send", alice_id, "hello alice").returncode == 0
        until(client, "messages.subscribe", lambda: states(bob, alice_id) == ["kept"])
    with box.socket() as client:
        until(client, "logs.subscribe", lambda: box.call("mailbox.status")["messages"] >= 3)
    bob.kill()

    alice.start()
    with alice.socket() as client:
        until(client, "messages.subscribe", lambda: states(alice, bob_id) == ["delivered"])
        until(client, "messages.subscribe", lambda: texts(alice, bob_id) == ["hello bob", "hello alice"])
        until(client, "messages.subscribe", lambda: first_sent(alice, bob_id)["receipt"] == "had")
    receipt = alice.pim("receipt", "save", first_sent(alice, bob_id)["id"]).stdout
    assert alice.pim("receipt", "verify", "-", stdin=receipt).stdout.startswith(f"good: {bob_id} signed")
    assert alice.pim("session", bob_id).stdout.splitlines()[-1].split(maxsplit=1) == ["mailboxes", "the box"]


def test_a_mailbox_that_is_killed_after_keeping_has_kept_it_once(daemon: MakeDaemon) -> None:
    alice, bob, box = people(daemon)
    bob.start()
    bob_id, key = bob.node_id, identity(bob)
    with box.socket() as client:
        until(client, "logs.subscribe", lambda: box.call("mailbox.status")["bundles"] == 1)
    bob.kill(signal.SIGTERM)
    alice.start()
    alice_id = alice.node_id
    alice.call("peers.import_identity", key)
    alice.call("messages.send", {"peer_node_id": bob_id, "body": "kept?"})
    while not kept(box):
        pass
    box.kill()
    before = kept(box)
    box.start()
    with alice.socket() as client:
        until(client, "messages.subscribe", lambda: states(alice, bob_id) == ["kept"])
    alice.kill()
    assert before <= kept(box) <= 2  # the message, and her bundle
    bob.start()
    with bob.socket() as client:
        until(client, "messages.subscribe", lambda: texts(bob, alice_id) == ["kept?"])
