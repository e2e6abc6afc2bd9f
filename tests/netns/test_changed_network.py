"""Addresses and cables that change below a link: it is asked after, and dialled again at once."""

import pytest

from tests.netns.conftest import MakeDaemonIn
from tests.netns.namespaces import NamespaceDaemon, Namespaces, Plug, inside

pytestmark = pytest.mark.system

CHANGED = "the network of this machine changed: asking all neighbours"


def until_linked(daemon: NamespaceDaemon, at: str) -> None:
    """Wait until its only link is with this address."""
    with daemon.socket() as client:
        while not any(
            row["state"] == "active" and row["endpoint"].startswith(f"tcp:{at}:") for row in client.call("peers.list")
        ):
            pass


def pair_on(plugs: list[Plug], daemon_in: MakeDaemonIn) -> tuple[NamespaceDaemon, NamespaceDaemon]:
    """Alice, who dials, and bob."""
    here, there = plugs
    bob = daemon_in(there.namespace, "bob").start()
    entry = f'[[peers]]\nmechanism = "tcp"\naddress = "{there.address}:9100"\n'
    alice = daemon_in(here.namespace, "alice", entry).start()
    until_linked(bob, here.address)
    return alice, bob


def test_a_link_whose_address_is_gone_is_given_up_and_comes_back_from_the_new_one(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    plugs = namespaces.switch(namespaces.add("a"), namespaces.add("b"))
    alice, bob = pair_on(plugs, daemon_in)
    here = plugs[0]
    for change in (("del", f"{here.address}/24"), ("add", "10.78.1.9/24")):
        inside(here.namespace, "ip", "addr", *change, "dev", here.interface)
    until_linked(bob, "10.78.1.9")
    log = alice.log.read_text()
    assert CHANGED in log
    assert "ended: no answer within 3 s" in log


def test_a_cable_that_is_plugged_in_again_lets_everybody_be_dialled_at_once(
    namespaces: Namespaces, daemon_in: MakeDaemonIn
) -> None:
    home, other = namespaces.add("a"), namespaces.add("b")
    here, there = namespaces.cable(home, other)
    there.down()
    entry = f'[[peers]]\nmechanism = "tcp"\naddress = "{there.address}:9100"\n'
    alice = daemon_in(home, "alice", entry).start()
    bob = daemon_in(other, "bob").start()
    while not any(row["last_error"] for row in alice.call("peers.configured")):
        pass
    before = alice.log.read_text().count(CHANGED)
    there.up()
    until_linked(bob, here.address)
    while alice.log.read_text().count(CHANGED) == before:
        pass
