"""What happens when the machine slept, or its network changed."""

import asyncio
from collections.abc import Callable

import pytest

from pimd.addresses import Endpoint
from pimd.clock import ManualClock, since_boot
from pimd.contract import DialError, PeerEntry
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh.backoff import Backoff
from pimd.mesh.dialler import Dialler
from pimd.mesh.wake import TICK_S, watch_for_waking
from tests.mesh.conftest import StartNode
from tests.mesh.test_node import eventually, linked

NOWHERE = Endpoint.tcp("127.0.0.1", 1)


async def turns(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


async def test_a_sleep_is_told_with_its_length_and_an_ordinary_second_is_not() -> None:
    clock = ManualClock()
    boot = [100.0]
    missed: list[float] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch_for_waking(clock, lambda: boot[0], missed.append))
        await turns(lambda: bool(clock._timers))
        # The timers' second, and what passed since the boot: an ordinary one, a busy one, a sleep, a stopped process.
        for passed in (1.0, 2.9, 601.0, 5.0, 1.0):
            boot[0] += passed
            clock.advance(TICK_S)
            await turns(lambda: bool(clock._timers))
        task.cancel()
    assert missed == [600.0, 4.0]


def test_the_time_since_boot_goes_on() -> None:
    assert 0 < since_boot() <= since_boot()


def test_after_a_dial_at_once_the_pauses_start_over() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.delay(0.5)
    backoff.at_once()
    assert [backoff.delay(0.5) for _ in range(4)] == [0, 1, 2, 4]


async def test_who_waits_to_be_dialled_is_dialled_at_once() -> None:
    clock = ManualClock()
    dialled: list[float] = []

    async def dial(entry: PeerEntry, *, configured: bool) -> NodeId:
        dialled.append(clock.now())
        raise DialError("nobody is there")

    dialler = Dialler(dial, lambda _: None, clock, lambda: 0.5, Bites())
    async with asyncio.TaskGroup() as group:
        dialler.start(group)
        dialler.keep(PeerEntry(NOWHERE), configured=True)
        for delay in (1, 2, 4, 8):
            await turns(lambda: bool(clock._timers))
            clock.advance(delay)
        await turns(lambda: len(dialled) == 5)
        before = len(dialled)
        dialler.dial_at_once()
        await turns(lambda: len(dialled) == before + 1)
        clock.advance(0.0)  # and once more, should the network need a moment
        await turns(lambda: len(dialled) == before + 2)
        assert dialled[-1] == clock.now()
        dialler.stop()


async def test_a_neighbour_that_answers_stays(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    (link,) = alice.node._links.of(bob.id)
    alice.node.look_after_links("test")
    nonce = link.driver.link.pings._waiting[0]
    await eventually(lambda: not link.awaits(nonce))
    alice.node._link_check._decide(link, nonce)
    assert link.is_up
    assert (alice.node.counts["links_checked"], alice.node.counts["links_without_answer"]) == (1, 0)


async def test_a_neighbour_that_does_not_answer_is_dropped_and_dialled_at_once(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    alice, bob = await start_node(1), await start_node(2)
    alice.node.service.keep_dialling(bob.entry(), configured=True)
    await eventually(lambda: alice.node.is_linked(bob.id) and bob.node.is_linked(alice.id))
    (link,) = alice.node._links.of(bob.id)
    # What comes from now on is lost, as it is when the address is another one.
    monkeypatch.setattr(link.driver, "buffer_updated", lambda _: None)
    alice.node.look_after_links("the network of this machine changed")
    await eventually(lambda: alice.node.counts["links_without_answer"] == 1)
    await eventually(lambda: alice.node.is_linked(bob.id) and alice.node._links.of(bob.id) != [link])
    assert f"link with {bob.id.abbreviated} ended: no answer within 3 s" in caplog.text
    assert "the network of this machine changed: asking all neighbours (1)" in caplog.text
