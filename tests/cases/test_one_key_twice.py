"""A data directory that was copied, and both machines run."""

import shutil
import time

import pytest

from tests.cases.conftest import MakeMachine
from tests.cases.machine import until, until_linked

WATCHED_S = 40


@pytest.mark.slow
def test_somebody_says_that_two_machines_use_one_key(machine: MakeMachine) -> None:
    """tailscale/tailscale#506, #392, #1498: both fight over the address, and nobody is told."""
    hub = machine("hub").start()
    one = machine("one").start()
    one.link(hub)
    one_id = one.node_id
    one.kill()
    two = machine("two", one.config.read_text())
    shutil.copytree(one.data_dir, two.data_dir)
    one.start(), two.start()
    end = time.monotonic() + WATCHED_S
    cards: set[str] = set()
    until(lambda: one_id in [row["node_id"] for row in hub.call("peers.list")])
    while time.monotonic() < end:
        cards.add(hub.call("peers.export_identity", {"node_id": one_id})["card"])
        time.sleep(0.5)
    told = [daemon.name for daemon in (hub, one, two) if "same key" in daemon.log_text()]
    assert told
    assert len(cards) <= 3
    assert hub.log_text().count("linked with") <= 8
    until_linked(one if one.is_running else two, hub)
