"""A keystore with as many strangers as it takes."""

import hashlib
import sqlite3
import threading
import time

import pytest

from pimd.store.keystore import IDENTITIES_KEPT
from tests.cases.conftest import MakeMachine
from tests.cases.machine import until_linked

COMMANDS = (["status"], ["send", "friend", "hello"], ["send", "bob", "hello"], ["peers"], ["inbox"])
CALL_STOPPED_S = 2.0
"""No command may stop other calls for so long; it takes hundredths of that."""


@pytest.mark.slow
def test_everyday_commands_do_not_stop_the_daemon_for_others(machine: MakeMachine) -> None:
    """meshcore-dev/MeshCore#1974, meshtastic/firmware#2446: the list of nodes grows, and clients time out."""
    alice, bob = machine("alice").start(), machine("bob").start()
    alice.link(bob)
    alice.call("peers.label", {"node_id": bob.node_id, "label": "friend"})
    alice.kill()
    now = time.time_ns() // 1_000_000
    rows = (
        (hashlib.sha256(b"%d" % n).digest()[:16], hashlib.sha256(b"k%d" % n).digest(), f"node {n}", now, now)
        for n in range(IDENTITIES_KEPT.value - 1)
    )
    with sqlite3.connect(alice.data_dir / "peers.db") as peers:
        peers.executemany("INSERT INTO identities VALUES (?, ?, ?, 'signed', NULL, 1, 0, ?, ?)", rows)
    peers.close()
    until_linked(alice.start(), bob)
    slowest, stop = [0.0], threading.Event()

    def ask() -> None:
        while not stop.wait(0.05):
            began = time.monotonic()
            alice.call("daemon.info")
            slowest[0] = max(slowest[0], time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for command in COMMANDS:
            done = alice.pim(*command)
            assert done.returncode == 0, done.stderr
    finally:
        stop.set()
        asking.join()
    assert slowest[0] < CALL_STOPPED_S
    assert bob.log_text().count(" ended: ") <= 1
