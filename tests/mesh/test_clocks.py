"""A neighbour whose wall clock is another one: said once, with the amount, on both sides."""

import asyncio
import logging

import pytest

from pimd.clock import SystemClock
from pimd.mesh.clocks import APART_MS, SAY_S, TOLD, in_words
from pimd.proto.frames import Heartbeat
from pimd.proto.handshake import ABILITIES, ABILITY_CLOCK
from tests.limits import Lower
from tests.mesh.conftest import Running, StartNode
from tests.mesh.test_node import eventually

HOUR_MS = 3_600_000


class OtherClock(SystemClock):
    """Ahead of the machine's."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms
        super().__init__()  # reads the clock

    def unix_ms(self) -> int:
        return max(0, super().unix_ms() + self.ahead_ms)


async def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what is in the log after all that waits to be said."""
    await asyncio.sleep(2 * SAY_S)  # the timers of what is said are due before
    return [record.getMessage() for record in caplog.records if "clocks" in record.getMessage()]


async def link(one: Running, other: Running) -> None:
    """Open a link, and return when both have the other's time and card."""
    await one.node.service.dial(other.entry())
    await eventually(lambda: all(_heard(here, there) for here, there in ((one, other), (other, one))))


def _heard(here: Running, there: Running) -> bool:
    link = here.node._links.best(there.id)
    return link is not None and link.clock_heard and here.keystore.get(there.id) is not None


async def apart(one: Running, other: Running) -> None:
    await one.node.service.hang_up(other.id)
    await eventually(lambda: not one.node.service.links() and not other.node.service.links())


@pytest.mark.parametrize("ahead_ms", [192 * 60_000 + 5000, -(10**13)], ids=["hours", "in 1970"])
async def test_another_clock_is_said_once_on_both_sides_with_the_amount(
    start_node: StartNode, caplog: pytest.LogCaptureFixture, ahead_ms: int
) -> None:
    clock = OtherClock(ahead_ms)
    alice, bob = await start_node(1), await start_node(2, clock=clock)
    await link(alice, bob)
    lines = await said(caplog)
    amount = "3 h 12 min apart" if ahead_ms > 0 else "years"
    assert len(lines) == 2
    assert all(amount in line for line in lines)
    assert sorted(line.partition("this node and ")[2][:8] for line in lines) == ['"node-1"', '"node-2"']
    (of_bob,) = [line for line in lines if bob.id.abbreviated in line]
    (of_alice,) = [line for line in lines if alice.id.abbreviated in line]
    assert ("(this one is behind)" in of_bob) == ("(this one is ahead)" in of_alice) == (ahead_ms > 0)
    for _ in range(2):  # a new link is no news
        await apart(alice, bob)
        await link(alice, bob)
    assert len(await said(caplog)) == 2


async def test_a_difference_of_another_size_is_said_again_and_one_that_was_mended_is_forgotten(
    start_node: StartNode, caplog: pytest.LogCaptureFixture
) -> None:
    clock = OtherClock(-2 * HOUR_MS)
    alice, bob = await start_node(1), await start_node(2, clock=clock)
    counts = []
    for ahead_ms in (-2 * HOUR_MS, -3 * HOUR_MS, 3 * HOUR_MS, 48 * HOUR_MS, APART_MS - 10_000, 48 * HOUR_MS):
        clock.ahead_ms = ahead_ms
        await link(alice, bob)
        counts.append(len(await said(caplog)))
        await apart(alice, bob)
    assert counts == [2, 2, 4, 6, 6, 8]


async def test_who_does_not_know_of_clocks_is_not_told_and_nothing_is_said_of_it(
    start_node: StartNode, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = (
        await start_node(1),
        await start_node(2, clock=OtherClock(HOUR_MS), abilities=ABILITIES - ABILITY_CLOCK),
    )
    await alice.node.service.dial(bob.entry())
    await eventually(lambda: alice.node.is_linked(bob.id) and bob.node.is_linked(alice.id))
    for here, there in ((alice, bob), (bob, alice)):
        here.node.receive(here.node._links.of(there.id)[0], Heartbeat(1000))
    (known,) = await said(caplog)
    assert alice.id.abbreviated in known  # of whom bob knows that it tells its time


async def test_only_the_first_word_of_a_link_counts(start_node: StartNode, caplog: pytest.LogCaptureFixture) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await link(alice, bob)
    alice.node.receive(alice.node._links.of(bob.id)[0], Heartbeat(1))
    assert await said(caplog) == []


@pytest.mark.limit("peers whose other clock was told of")
async def test_only_so_many_peers_are_remembered(
    start_node: StartNode, caplog: pytest.LogCaptureFixture, lower: Lower
) -> None:
    lower(TOLD, 1)
    caplog.set_level(logging.WARNING)
    alice = await start_node(1)
    others = [await start_node(number, clock=OtherClock(HOUR_MS)) for number in (2, 3)]
    for other in (*others, others[0]):
        await link(alice, other)
        await apart(alice, other)
    assert len([line for line in await said(caplog) if others[0].id.abbreviated in line]) == 2


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (60_001, "1 min"),
        (3_599_990, "1 h"),
        (11_520_000, "3 h 12 min"),
        (86_400_000, "1 day"),
        (2 * 86_400_000 + 3_600_000, "2 days 1 h"),
        (31_536_000_000, "1 year"),
        (1_780_000_000_000, "56 years 161 days"),
    ],
)
def test_a_difference_is_said_in_two_units(ms: int, words: str) -> None:
    assert in_words(ms) == words
