"""`peers.*` about the broadcast of identities: changes hold at once, one by one, and over a restart."""

import json
from typing import Any

import pytest

from pimd.settings import load
from tests.system.conftest import MakeDaemon, Pair
from tests.system.daemon import Daemon

AT_FIRST = {
    "outgoing_interval_s": None,
    "watch_incoming": True,
    "min_peer_interval_s": 60,
    "last_broadcast_ms": None,
    "last_recipient_count": None,
}
SOMEBODY = "ab" * 16
KEY = "09" + "00" * 30 + "01"
SAVED = ("outgoing_interval_s", "watch_incoming", "min_peer_interval_s")


def state(daemon: Daemon) -> dict[str, Any]:
    return dict(daemon.call("peers.get_broadcast_state"))


def saved(daemon: Daemon) -> dict[str, Any]:
    found = load(daemon.config.read_text(), daemon.config, {}).settings.messaging.broadcast
    return {key: getattr(found, key) for key in SAVED}


def test_what_is_absent_stays_and_null_turns_only_the_interval_off(daemon: MakeDaemon) -> None:
    alice = daemon(config="# mine\n[messaging.broadcast]\nwatch_incoming = true # yes\n").start()
    assert state(alice) == AT_FIRST
    expected = {key: AT_FIRST[key] for key in SAVED}
    for change, then in (
        ({}, {}),
        ({"min_peer_interval_s": 5}, {"min_peer_interval_s": 5}),
        ({"outgoing_interval_s": 30}, {"outgoing_interval_s": 30}),
        ({"watch_incoming": False}, {"watch_incoming": False}),
        ({"watch_incoming": None, "min_peer_interval_s": None}, {}),
        (
            {"outgoing_interval_s": None, "min_peer_interval_s": 7},
            {"outgoing_interval_s": None, "min_peer_interval_s": 7},
        ),
        ({"outgoing_interval_s": 900, "unknown": 1}, {"outgoing_interval_s": 900}),
    ):
        expected |= then
        answer = alice.call("peers.set_broadcast_config", change)
        assert {key: answer[key] for key in SAVED} == expected == saved(alice), change
        assert {key: state(alice)[key] for key in SAVED} == expected
    assert "watch_incoming = false # yes" in alice.config.read_text()
    alice.kill()
    alice.start()
    assert state(alice) == {**AT_FIRST, **expected}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"outgoing_interval_s": 29}, -32041),
        ({"outgoing_interval_s": 0, "watch_incoming": False}, -32041),
        ({"outgoing_interval_s": -1}, -32602),
        ({"outgoing_interval_s": True}, -32602),
        ({"outgoing_interval_s": 30.5}, -32602),
        ({"outgoing_interval_s": 2**63}, -32602),
        ({"min_peer_interval_s": 0, "watch_incoming": False}, -32602),
        ({"watch_incoming": "no"}, -32602),
    ],
)
def test_a_wrong_change_changes_nothing(shared_daemon: Daemon, params: dict[str, Any], code: int) -> None:
    alice = shared_daemon
    error = alice.ask("peers.set_broadcast_config", params)["error"]
    assert error["code"] == code
    assert next(iter(params)) in error["message"]
    assert state(alice) == AT_FIRST
    assert alice.config.read_text() == ""


def test_what_cannot_be_saved_is_not_in_force_and_says_so(daemon: MakeDaemon) -> None:
    alice = daemon().start()
    (alice.home / "alice.toml.bak").mkdir()
    error = alice.ask("peers.set_broadcast_config", {"outgoing_interval_s": 30, "watch_incoming": False})["error"]
    assert error["code"] == -32021
    assert "alice.toml" in error["message"]
    assert state(alice) == AT_FIRST
    assert alice.config.read_text() == ""


def test_changes_made_at_once_do_not_undo_each_other(daemon: MakeDaemon) -> None:
    alice = daemon().start()
    changes: list[dict[str, Any]] = [{"outgoing_interval_s": 45}, {"watch_incoming": False}, {"min_peer_interval_s": 9}]
    with alice.socket() as one, alice.socket() as two, alice.socket() as three:
        clients = (one, two, three)
        for client, params in zip(clients, changes, strict=True):
            client.send(_request("peers.set_broadcast_config", params))
        answers = [client.receive() for client in clients]
    assert all("result" in answer for answer in answers)
    assert saved(alice) == {"outgoing_interval_s": 45, "watch_incoming": False, "min_peer_interval_s": 9}


def _request(method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 99, "method": method, "params": params}).encode() + b"\n"


def card(daemon: Daemon, of: Daemon) -> str:
    """The card that one daemon holds of another, or its own."""
    return str(daemon.call("peers.export_identity", {"node_id": of.node_id})["card"])


def test_a_broadcast_reaches_the_neighbour_and_is_remembered(pair: Pair) -> None:
    alice, bob = pair
    before = card(alice, alice)
    with bob.socket() as at_bob:
        at_bob.call("messages.subscribe")
        sent = alice.call("peers.broadcast_identity_now")
        assert sent["recipients"] == 1
        assert card(alice, alice) != before
        while card(bob, alice) != card(alice, alice):
            at_bob.wait_for("peer_seen")
    assert state(alice) == {**AT_FIRST, "last_broadcast_ms": sent["sent_at_ms"], "last_recipient_count": 1}


@pytest.mark.slow
def test_a_shorter_interval_begins_at_once(pair: Pair) -> None:
    alice, bob = pair
    before = card(alice, alice)
    with bob.socket() as at_bob:
        at_bob.call("messages.subscribe")
        alice.call("peers.set_broadcast_config", {"outgoing_interval_s": 30})
        while card(bob, alice) == before:
            at_bob.wait_for("peer_seen")
    assert state(alice)["last_recipient_count"] == 1


def broadcast_and_learn(origin: Daemon, at: Daemon) -> None:
    """Return when the new card is on disk there, and whoever is to be told of it was."""
    origin.call("peers.broadcast_identity_now")
    while card(at, origin) != card(origin, origin):
        pass
    at.call("peers.label", {"node_id": origin.node_id, "label": "known"})  # written behind everything before it


@pytest.mark.slow
def test_what_is_told_of_those_behind_a_relay_changes_at_once(daemon: MakeDaemon) -> None:
    relay = daemon("relay").start()
    entry = f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{relay.mesh_port}"\n'
    quiet = "[messaging.broadcast]\nwatch_incoming = false\n"
    alice, carol = daemon("alice", quiet + entry).start(), daemon("carol", entry).start()
    with alice.socket() as client:
        client.call("messages.subscribe")
        while "result" not in alice.ask("peers.get", {"node_id": carol.node_id}):
            pass
        broadcast_and_learn(carol, alice)
        client.call("peers.set_broadcast_config", {"watch_incoming": True})
        broadcast_and_learn(carol, alice)
        client.call("peers.import_identity", {"node_id": SOMEBODY, "x25519_pubkey": KEY})
        told = []
        while (seen := client.wait_for("peer_seen"))["peer_node_id"] != SOMEBODY:
            told.append((seen["peer_node_id"], seen["via"]))
    assert told.count((carol.node_id, "routed")) == 1
