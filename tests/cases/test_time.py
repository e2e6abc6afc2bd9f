"""Wall clocks that are wrong, jump, or go back."""

import time

import pytest

from tests.cases.conftest import MakeMachine
from tests.cases.machine import Machine, until, until_linked

YEAR_S = 365 * 86400
EXPIRY_LOOKED_AT_S = 75
"""Seconds in which a daemon has looked at least once for messages that are too old."""


def linked(machine: MakeMachine, *, clock: float = 0, date: float | None = None) -> tuple[Machine, Machine]:
    """Alice, whose clock is that far ahead or shows that date, and bob."""
    alice, bob = machine("alice"), machine("bob").start()
    alice.set_clock(clock)
    if date is not None:
        alice.set_date(date)
    alice.start().link(bob)
    return alice, bob


@pytest.mark.system
def test_an_answer_stands_below_its_question_though_a_clock_is_ahead(machine: MakeMachine) -> None:
    """bisq-network/bisq2#3137: a clock ten minutes ahead, the answer is listed first."""
    alice, bob = linked(machine, clock=600)
    alice.send(bob, "question")
    until(lambda: bob.bodies(alice))
    bob.send(alice, "answer")
    until(lambda: len(alice.history(bob)) == 2)
    assert alice.bodies(bob) == bob.bodies(alice) == ["question", "answer"]
    assert alice.last_preview() == "answer"


@pytest.mark.system
def test_what_is_written_after_the_clock_went_back_stands_below(machine: MakeMachine) -> None:
    """dabeani/meshcoreterm#239, guysoft/OctoPi#606: after a power cut the clock starts in the past."""
    alice, bob = linked(machine)
    alice.send(bob, "first")
    until(lambda: bob.bodies(alice))
    alice.kill()
    alice.set_clock(-3600)
    alice.start()
    until_linked(alice, bob)
    alice.send(bob, "second")
    until(lambda: len(bob.history(alice)) == 2)
    assert alice.bodies(bob) == bob.bodies(alice) == ["first", "second"]
    assert alice.last_preview() == bob.last_preview() == "second"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_message_of_1970_does_not_expire_when_the_clock_is_set(machine: MakeMachine) -> None:
    """systemd/systemd#6057, raspberrypi/linux#1751: boards boot in 1970 and jump when NTP answers."""
    alice, bob = linked(machine, date=30)
    bob_id = bob.node_id
    bob.kill()
    alice.send(bob_id, "written before NTP answered")
    alice.set_clock(0)
    time.sleep(EXPIRY_LOOKED_AT_S)
    assert [message["status"] for message in alice.history(bob_id)] == ["pending"]
    bob.start()
    alice.link(bob)
    until(lambda: bob.bodies(alice) == ["written before NTP answered"])


def test_one_start_in_2046_loses_nothing_that_waits(machine: MakeMachine) -> None:
    """uugear/Witty-Pi#13: the clock chip delivers a wrong date at boot; monero-project/kovri#77."""
    alice, bob = linked(machine)
    bob_id = bob.node_id
    bob.kill()
    for number in range(5):
        alice.send(bob_id, f"waits {number}")
    alice.kill()
    alice.set_clock(20 * YEAR_S)
    alice.start()
    until(lambda: alice.call("status"))
    alice.set_clock(0)
    assert {message["status"] for message in alice.history(bob_id)} == {"pending"}
    bob.start()
    alice.link(bob)
    until(lambda: len(bob.history(alice)) == 5)


@pytest.mark.system
def test_local_times_do_not_run_backwards_when_summer_time_ends(machine: MakeMachine) -> None:
    """02:50 and then 02:10 need an offset."""
    end_of_summer_time = 1792889400  # 2026-10-25 00:50 UTC, ten minutes before
    bob = machine("bob").start()
    alice = machine("alice", TZ="CET-1CEST,M3.5.0,M10.5.0/3")
    alice.set_date(end_of_summer_time)
    alice.start().link(bob)
    alice.send(bob, "still summer time")
    alice.set_date(end_of_summer_time + 1200)
    alice.send(bob, "twenty minutes later")
    first, second = alice.pim("inbox", bob.node_id).stdout.splitlines()
    assert first.startswith("2026-10-25 02:50:")
    assert "+02" in first.split("me:")[0]
    assert second.startswith("2026-10-25 02:10:")
    assert "+01" in second.split("me:")[0]
