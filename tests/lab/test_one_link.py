"""Two daemons that dial each other at random moments end with one link, every time."""

import os

import pytest

from pimd.lab import Lab, run
from pimd.lab.daemon import LabDaemon
from pimd.lab.graph import by_links

PAIRS_AT_ONCE = 100
SETTLED_S = 15.0
"""No rule waits longer than 5 s; then the pair is left alone for ten more."""


def links_of_pairs(seed: int, pairs: int) -> list[tuple[int, int, int]]:
    """Let pairs meet; return for each the streams of both and the links that are up at both ends."""

    async def meet() -> list[tuple[int, int, int]]:
        async with Lab(seed, log_level="warning", keeps_events=False) as lab:
            met = [_pair(lab) for _ in range(pairs)]
            for one, other in met:
                for daemon in (one, other):
                    lab.group.create_task(_start_later(lab, daemon))
            await lab.sleep(2.0 + SETTLED_S)
            around = by_links(lab).around
            return [
                (len(one.machine.host.streams), len(other.machine.host.streams), list(around[one.id]).count(other.id))
                for one, other in met
            ]

    return run(meet, seed=seed)


def _pair(lab: Lab) -> tuple[LabDaemon, LabDaemon]:
    one, other = lab.add_daemons(2)
    longest = lab.random.choice((0.001, 0.05, 0.4))
    lab.connect(one, other, (lab.random.uniform(0, longest), lab.random.uniform(0, longest)), dials="both")
    return one, other


async def _start_later(lab: Lab, daemon: LabDaemon) -> None:
    """Mostly within a few round trips of each other, sometimes while the other dials for the second time."""
    await lab.sleep(lab.random.choice((0.02, 0.2, 1.0, 2.0)) * lab.random.random())
    await daemon.start()


@pytest.mark.slow
def test_forty_pairs_that_dial_each_other_at_random_moments_have_one_link_each() -> None:
    assert links_of_pairs(1, 40) == [(1, 1, 1)] * 40


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_all_of_many_pairs_have_one_link_each() -> None:
    rounds = int(os.environ.get("PIMD_PAIRS", "400")) // PAIRS_AT_ONCE
    found = [links for seed in range(rounds) for links in links_of_pairs(seed, PAIRS_AT_ONCE)]
    assert found == [(1, 1, 1)] * (rounds * PAIRS_AT_ONCE)
    assert rounds


@pytest.mark.slow
def test_the_moments_are_close_enough_for_two_connections_at_once() -> None:
    async def count() -> int:
        async with Lab(3, log_level="warning", keeps_events=False) as lab:
            met = [_pair(lab) for _ in range(30)]
            for pair in met:
                for daemon in pair:
                    lab.group.create_task(_start_later(lab, daemon))
            doubled: set[str] = set()
            for _ in range(250):
                doubled |= {one.name for one, _ in met if len(one.machine.host.streams) > 1}
                await lab.sleep(0.01)
            return len(doubled)

    assert run(count, seed=3) > 5


def test_the_source_of_an_identity_is_the_address_of_the_link_that_brought_it_or_the_id_of_a_contact() -> None:
    async def sources() -> list[str]:
        async with Lab(4, log_level="warning", keeps_events=False) as lab:
            relay, alice, bob = lab.add_daemons(3)
            for one in (alice, bob):
                lab.connect(one, relay)
            await lab.start(relay, alice, bob)
            await lab.sleep(SETTLED_S)
            at_relay, at_bob = (one.running_daemon.core.keystore for one in (relay, bob))
            names = {bob.machine.host.address: "address of bob", str(relay.id): "id of the relay"}
            return [names[one] for one in (at_relay.brought_by(bob.id), at_bob.brought_by(alice.id))]

    assert run(sources, seed=4) == ["address of bob", "id of the relay"]  # who dials has the other in its configuration
