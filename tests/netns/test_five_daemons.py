"""Five daemons on networks of their own, in a line and in a ring: cables are cut, messages still arrive."""

import itertools

import pytest

from tests.netns.conftest import MakeDaemonIn
from tests.netns.namespaces import NamespaceDaemon, Namespaces, Plug
from tests.system.daemon import UnixClient
from tests.system.test_three_daemons import until_delivered

pytestmark = pytest.mark.system

NAMES = ("alice", "bob", "carol", "dave", "erin")
Cables = dict[tuple[str, str], tuple[Plug, Plug]]
Daemons = dict[str, NamespaceDaemon]


def started(namespaces: Namespaces, daemon_in: MakeDaemonIn, pairs: list[tuple[str, str]]) -> tuple[Daemons, Cables]:
    """Five daemons, of each pair the first one dials the second."""
    inside = {name: namespaces.add(name) for name in NAMES}
    cables = {pair: namespaces.cable(inside[pair[0]], inside[pair[1]]) for pair in pairs}
    daemons: Daemons = {}
    for name in NAMES:
        entries = [
            f'[[peers]]\nmechanism = "tcp"\naddress = "{far.address}:9100"\n'
            for (one, _), (_, far) in cables.items()
            if one == name
        ]
        daemons[name] = daemon_in(inside[name], name, "".join(entries)).start()
    return daemons, cables


def until_hops(client: UnixClient, node_id: str, hops: int) -> None:
    """Wait for a route of so many hops; a better one that replaces another is not announced."""
    while not any(
        row["node_id"] == node_id and row["route_hops"] == hops and row["state"] in ("active", "relayed")
        for row in client.call("peers.list")
    ):
        pass


def cut(plugs: tuple[Plug, Plug]) -> None:
    for plug in plugs:
        plug.down()


def mend(plugs: tuple[Plug, Plug]) -> None:
    for plug in plugs:
        plug.up()


def send(client: UnixClient, to: NamespaceDaemon, body: str) -> str:
    return str(client.call("messages.send", {"peer_node_id": to.node_id, "body": body})["id"])


def bodies(daemon: NamespaceDaemon, of: NamespaceDaemon) -> list[str]:
    page = daemon.call("messages.history", {"peer_node_id": of.node_id})["messages"]
    return [message["body"] for message in reversed(page)]


@pytest.mark.slow  # silence is noticed after 15 s
def test_in_a_line_a_message_waits_for_the_cable_in_its_way(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> None:
    daemons, cables = started(namespaces, daemon_in, list(itertools.pairwise(NAMES)))
    alice, erin = daemons["alice"], daemons["erin"]
    with alice.socket() as client:
        client.call("messages.subscribe")
        until_hops(client, erin.node_id, 4)
        until_delivered(client, send(client, erin, "over four cables"))
        cut(cables["carol", "dave"])
        waiting = send(client, erin, "while a cable is cut")
        until_hops_lost(client, erin.node_id)
        assert bodies(erin, alice) == ["over four cables"]
        mend(cables["carol", "dave"])
        until_delivered(client, waiting)
    assert bodies(erin, alice) == ["over four cables", "while a cable is cut"]


def until_hops_lost(client: UnixClient, node_id: str) -> None:
    while any(row["node_id"] == node_id and row["state"] == "relayed" for row in client.call("peers.list")):
        pass


@pytest.mark.slow  # silence is noticed after 15 s
def test_in_a_ring_a_message_takes_the_other_way_round(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> None:
    daemons, cables = started(namespaces, daemon_in, [*itertools.pairwise(NAMES), ("erin", "alice")])
    alice, carol = daemons["alice"], daemons["carol"]
    with alice.socket() as client:
        client.call("messages.subscribe")
        until_hops(client, carol.node_id, 2)
        until_delivered(client, send(client, carol, "the short way"))
        cut(cables["alice", "bob"])
        until_delivered(client, send(client, carol, "the long way"))
        until_hops(client, carol.node_id, 3)
        mend(cables["alice", "bob"])
        until_hops(client, carol.node_id, 2)
        until_delivered(client, send(client, carol, "the short way again"))
    assert bodies(carol, alice) == ["the short way", "the long way", "the short way again"]


@pytest.mark.slow
def test_in_a_ring_a_killed_relay_costs_a_way_and_no_message(namespaces: Namespaces, daemon_in: MakeDaemonIn) -> None:
    daemons, _ = started(namespaces, daemon_in, [*itertools.pairwise(NAMES), ("erin", "alice")])
    alice, carol = daemons["alice"], daemons["carol"]
    with alice.socket() as client:
        client.call("messages.subscribe")
        until_hops(client, carol.node_id, 2)
        daemons["bob"].kill()
        until_delivered(client, send(client, carol, "without bob"))
        until_hops(client, carol.node_id, 3)
    assert bodies(carol, alice) == ["without bob"]
