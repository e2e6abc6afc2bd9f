"""Machines without a clock or a router, and cables that are pulled."""

import pytest

from tests.cases.conftest import MakeMachineIn
from tests.cases.machine import until, until_linked
from tests.netns.conftest import MakeDaemonIn
from tests.netns.namespaces import Namespaces

pytestmark = pytest.mark.system

PRIVATE = """
[mesh]
mode = "private"
passphrase = "correct horse battery"
[mesh.kdf]
m_cost_kib = 1024
t_cost = 1
p_cost = 1
"""


def test_a_private_mesh_finds_a_member_whose_clock_is_in_1970(
    namespaces: Namespaces, machine_in: MakeMachineIn
) -> None:
    """LFManifesto/ReticulumHF#4: no clock chip and no network time in the field."""
    one, two = namespaces.add("one"), namespaces.add("two")
    namespaces.cable(one, two)
    alice = machine_in(one, "alice", PRIVATE, PIMD_DISCOVERY__ENABLED="true").start()
    bob = machine_in(two, "bob", PRIVATE, PIMD_DISCOVERY__ENABLED="true")
    bob.set_date(60)
    bob.start()
    until_linked(alice, bob)


@pytest.mark.timeout(240)
def test_a_link_over_link_local_addresses_survives_its_network_card(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    """ssbc/multiserver#52, ipfs/kubo#529: link-local addresses without an interface are `Invalid argument`."""
    one, two = namespaces.add("one"), namespaces.add("two")
    namespaces.link_local_cable(one, two)
    alice, bob = daemon_in(one, "alice").start(), daemon_in(two, "bob").start()

    refused = bob.pim("add", "fe80::a")
    said = refused.stderr + "".join(str(row["last_error"]) for row in bob.call("peers.configured"))
    assert "%" in said

    assert bob.pim("add", "[fe80::a%plug]:9100").returncode == 0
    until_linked(bob, alice)
    namespaces.pull(one, "plug")
    alice_id = alice.node_id
    until(lambda: not any(row["state"] == "active" for row in bob.call("peers.list")))
    bob.call("messages.send", {"peer_node_id": alice_id, "body": "while the card was out"})
    namespaces.link_local_cable(one, two)
    until(lambda: alice.call("messages.history", {"peer_node_id": bob.node_id})["messages"])
