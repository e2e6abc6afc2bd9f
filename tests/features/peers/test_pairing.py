"""Linking on request, between whole daemons."""

import socket

import pytest

from tests.system.conftest import MakeDaemon, Pair
from tests.system.daemon import Daemon


def linked(daemon: MakeDaemon) -> tuple[Daemon, Daemon]:
    """Bob dials alice, who has no address of his but what his link says."""
    alice = daemon("alice").start()
    bob = daemon("bob").start()
    bob.call("peers.pair", {"trust": "once", "address": f"127.0.0.1:{alice.mesh_port}"})
    return alice, bob


def test_a_peer_that_linked_by_itself_is_kept_by_its_id(daemon: MakeDaemon) -> None:
    alice, bob = linked(daemon)
    bob_id = bob.node_id
    row = alice.call("peers.pair", {"node_id": bob_id.upper(), "trust": "persist", "label": "bob"})
    assert (row["node_id"], row["state"], row["label"], row["static"]) == (bob_id, "active", "bob", True)
    assert f'address = "127.0.0.1:{bob.mesh_port}"' in alice.config.read_text()
    alice.call("peers.pair", {"node_id": bob_id, "trust": "persist"})
    assert alice.config.read_text().count("[[peers]]") == 1
    alice.call("peers.pair", {"node_id": bob_id, "trust": "once"})
    assert alice.call("peers.pair", {"node_id": bob_id, "trust": "once", "label": ""})["label"] == "bob"


def test_a_configured_peer_that_is_down_is_dialled_and_the_failure_told(daemon: MakeDaemon) -> None:
    alice, bob = linked(daemon)
    bob_id = bob.node_id
    alice.call("peers.pair", {"node_id": bob_id, "trust": "persist"})
    with alice.socket() as client:
        client.call("peers.subscribe")
        bob.kill()
        client.wait_for("disconnected")
        error = alice.ask("peers.pair", {"node_id": bob_id, "trust": "once"})["error"]
        assert error["code"] == -32603
        failed = client.wait_for("pair_failed")
        assert failed["peer"]["node_id"] == bob_id
        assert failed["reason"] == error["message"]


def test_somebody_nobody_knows_cannot_be_paired_by_id(shared_daemon: Daemon) -> None:
    error = shared_daemon.ask("peers.pair", {"node_id": "ab" * 16, "trust": "once"})["error"]
    assert error["code"] == -32010
    assert "host:port" in error["message"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pair", "connect_dynamic"])
def test_who_answers_the_connection_and_then_nothing_is_given_up_in_time(shared_daemon: Daemon, method: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        params = {"node_id": "ab" * 16, "address": address, "trust": "once"}
        error = shared_daemon.ask(f"peers.{method}", params)["error"]
    assert error["code"] == (-32012 if method == "pair" else -32603)
    assert "within 8 s" in error["message"]


def test_connect_dynamic_links_with_the_one_who_was_meant_and_keeps_nothing(daemon: MakeDaemon) -> None:
    alice, bob = daemon("alice").start(), daemon("bob").start()
    bob_id, address = bob.node_id, f"127.0.0.1:{bob.mesh_port}"
    error = alice.ask("peers.connect_dynamic", {"node_id": "ab" * 16, "address": address})["error"]
    assert error["code"] == -32603
    assert bob_id in error["message"]
    answer = alice.call("peers.connect_dynamic", {"node_id": bob_id.upper(), "address": f" {address}\n"})
    assert answer == {"node_id": bob_id, "address": address, "status": "connected"}
    assert alice.call("peers.list")[0]["state"] == "active"
    assert "peers" not in alice.config.read_text()


@pytest.mark.system
def test_a_peer_that_cannot_be_taken_out_of_the_file_stays_linked(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    copy = alice.home / "alice.toml.bak"
    copy.unlink(missing_ok=True)
    copy.mkdir()  # where a copy of the file is made before it is changed
    error = alice.ask("peers.remove", {"node_id": bob.node_id})["error"]
    copy.rmdir()
    assert error["code"] == -32021
    (row,) = alice.call("peers.list")
    assert (row["node_id"], row["state"], row["static"]) == (bob.node_id, "active", True)
