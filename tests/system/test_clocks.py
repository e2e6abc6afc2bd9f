"""A whole daemon on the clocks of a real kernel."""

import signal
import subprocess

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system
DAY_S = 24 * 3600


def in_another_time(days: int) -> list[str]:
    """A command before another that then finds CLOCK_BOOTTIME, and that alone, so many days later in the same boot."""
    return ["unshare", "--time", "--boottime", str(days * DAY_S)]


def missing() -> str | None:
    try:
        done = subprocess.run([*in_another_time(1), "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "needs the command unshare (util-linux)"
    return None if done.returncode == 0 else f"time namespaces cannot be made here: {done.stderr.strip()}"


MISSING = missing()


def status(alice: Daemon, peer: str) -> str:
    (message,) = alice.call("messages.history", {"peer_node_id": peer})["messages"]
    return str(message["status"])


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_the_days_in_which_the_machine_slept_count(daemon: MakeDaemon) -> None:
    alice, peer = daemon("alice").start(), "ab" * 16
    alice.call("peers.import_identity", {"node_id": peer, "x25519_pubkey": "09" + "00" * 31})
    alice.call("messages.send", {"peer_node_id": peer, "body": "before the machine slept"})
    alice.kill(signal.SIGTERM)
    alice.prefix = in_another_time(13)
    alice.start()
    assert status(alice, peer) == "pending"
    alice.kill(signal.SIGTERM)
    alice.prefix = in_another_time(15)
    alice.start()
    while status(alice, peer) == "pending":
        pass
    assert status(alice, peer) == "failed"
