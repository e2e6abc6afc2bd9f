"""Messages over a relay, through its death and its return."""

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon, UnixClient


def until_state(client: UnixClient, node_id: str, state: str) -> None:
    """Wait for a peer's row to say so; every change is announced."""
    while not any(
        row["node_id"] == node_id and row["state"] == state for row in client.call("peers.list", {"all": True})
    ):
        client.notifications.append(client.receive())


def until_delivered(client: UnixClient, id_: str) -> None:
    while True:
        event = client.wait_for("message_status")
        if event["message_id"] == id_ and event["new_status"] == "delivered":
            return


def line_of_three(daemon: MakeDaemon) -> tuple[Daemon, Daemon, Daemon]:
    relay = daemon("relay").start()
    relay.environ["PIMD_TRANSPORT__LISTEN_PORT"] = str(relay.mesh_port)
    entry = f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{relay.mesh_port}"\n'
    return daemon("alice", entry).start(), relay, daemon("carol", entry).start()


@pytest.mark.system
def test_a_message_crosses_a_relay_that_cannot_read_it_and_waits_while_the_relay_is_dead(daemon: MakeDaemon) -> None:
    alice, relay, carol = line_of_three(daemon)
    carol_id = carol.node_id
    with alice.socket() as at_alice:
        at_alice.call("peers.subscribe")
        at_alice.call("messages.subscribe")
        until_state(at_alice, carol_id, "relayed")
        row = alice.call("peers.get", {"node_id": carol_id})
        assert (row["route_hops"], row["transport"], row["known"]) == (2, "relay", "signed")
        # Anybody could call itself carol: the name is hers once she is a contact.
        unsure = alice.pim("send", "carol", "x")
        assert (unsure.returncode, carol_id in unsure.stderr) == (1, True)
        assert alice.pim("send", carol_id[:8], "over two hops").returncode == 0
        assert alice.pim("inbox", "carol").returncode == 0
        assert [m["body"] for m in alice.call("messages.history", {"peer_node_id": carol_id})["messages"]] == [
            "over two hops"
        ]
        until_delivered(at_alice, alice.call("messages.history", {"peer_node_id": carol_id})["messages"][0]["id"])
        assert relay.call("messages.list_conversations") == {"conversations": []}

        relay.kill()
        until_state(at_alice, carol_id, "connecting")
        waiting = at_alice.call("messages.send", {"peer_node_id": carol_id, "body": "while it was dead"})
        relay.start()
        until_delivered(at_alice, waiting["id"])
    bodies = [m["body"] for m in carol.call("messages.history", {"peer_node_id": alice.node_id})["messages"]]
    assert bodies == ["while it was dead", "over two hops"]


@pytest.mark.system
def test_a_daemon_that_does_not_relay_keeps_its_neighbours_apart(daemon: MakeDaemon) -> None:
    relay = daemon("relay", "[relay]\nenabled = false\n").start()
    entry = f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{relay.mesh_port}"\n'
    alice, carol = daemon("alice", entry).start(), daemon("carol", entry).start()
    with relay.socket() as client:
        client.call("peers.subscribe")
        for other in (alice, carol):
            until_state(client, other.node_id, "active")
    assert relay.call("status")["role"] == ["client"]
    assert alice.call("status")["role"] == ["client", "relay"]
    assert carol.node_id not in [row["node_id"] for row in alice.call("peers.list")]
