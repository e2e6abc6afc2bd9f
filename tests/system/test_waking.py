"""A daemon that was stopped, as it is on a laptop that slept."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.conftest import Pair
from tests.system.daemon import Daemon, UnixClient

pytestmark = pytest.mark.system

WORDS = "this program stood still for"


def row(client: UnixClient) -> Any:
    (found,) = client.call("peers.list")
    return found


def poll(holds: Callable[[], bool]) -> None:
    while not holds():
        pass


def stopped(who: Daemon) -> None:
    assert who.process is not None
    who.process.send_signal(signal.SIGSTOP)


def woken(who: Daemon) -> None:
    assert who.process is not None
    who.process.send_signal(signal.SIGCONT)
    poll(lambda: WORDS in who.log.read_text())


def test_a_stopped_daemon_asks_its_neighbours_when_it_goes_on_and_keeps_those_that_answer(pair: Pair) -> None:
    alice, bob = pair
    with alice.socket() as client:
        client.call("peers.subscribe")
        stopped(bob)
        poll(lambda: row(client)["last_seen_s"] >= 6)
        woken(bob)
        assert f"{WORDS} " in bob.log.read_text()
        assert "asking all neighbours (1)" in bob.log.read_text()
        poll(lambda: row(client)["last_seen_s"] < 6)
        assert not [one for one in client.notifications if one["params"].get("kind") == "disconnected"]
    assert "blocked" not in bob.log.read_text()  # nobody is blamed for it
    assert WORDS not in alice.log.read_text()


@pytest.mark.slow  # silence is noticed after 15 s
def test_a_daemon_that_was_given_up_meanwhile_dials_at_once_when_it_goes_on(pair: Pair) -> None:
    alice, bob = pair  # alice dials
    with bob.socket() as client:
        client.call("peers.subscribe")
        stopped(alice)
        client.wait_for("disconnected")
        woken(alice)
        client.wait_for("connected")
