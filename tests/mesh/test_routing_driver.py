"""In what order the driver of the routing core does what the core wants."""

import asyncio
from typing import Any

import pytest

from pimd.clock import Clock, ManualClock, SystemClock
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh.cards import OWN_SEQ_REQUESTS, LinkCards
from pimd.mesh.counters import Counters
from pimd.mesh.routing_driver import RoutingDriver
from pimd.proto.babel import Babel
from pimd.proto.frames import Routes, SeqRequest
from pimd.proto.updates import TOLD_AT_ONCE
from tests.limits import Lower

OWN, NEAR, FAR = (NodeId(bytes([n]) * 16) for n in (1, 2, 3))


class Link:
    """Notes what it is sent."""

    def __init__(self, said: list[str]) -> None:
        self.cards = LinkCards(0.0, Bites())
        self._said = said

    def send(self, frame: object) -> None:
        self._said.append(type(frame).__name__)


def driven(clock: Clock, core: Babel[Any], said: list[str]) -> RoutingDriver:
    return RoutingDriver(
        core,
        clock,
        Counters(),
        ask_for_cards=lambda link, ids: said.append("ask"),
        before_routes=lambda: said.append("cards"),
        changed=lambda _: None,
        own_card_wanted=lambda _: None,
    )


def test_cards_go_before_the_routes_that_use_them() -> None:
    said: list[str] = []
    clock = ManualClock()
    core: Babel[Any] = Babel(OWN, lambda _: 100, lambda: 0.5, clock.now(), relays=True)
    driver = driven(clock, core, said)
    driver.pump()
    assert said == []
    core.link_up(Link(said), NEAR, clock.now())
    driver.pump()
    clock.advance(0.0)
    assert said == ["cards", Routes.__name__]


async def test_the_event_loop_turns_between_two_steps(lower: Lower) -> None:
    lower(TOLD_AT_ONCE, 1)
    said: list[str] = []
    clock = SystemClock()
    core: Babel[Any] = Babel(OWN, lambda _: 100, lambda: 0.5, clock.now(), relays=True)
    driver = driven(clock, core, said)
    for number in range(10):
        core.link_up(Link(said), NodeId(bytes([10 + number]) * 16), clock.now())
    driver.pump()
    told: list[int] = []
    while said.count(Routes.__name__) < 10:  # a full table on each
        await asyncio.sleep(0)
        told.append(said.count(Routes.__name__))
    driver.stop()
    assert set(told) == set(range(11))


@pytest.mark.limit("SeqRequests sent on a link")
def test_a_neighbour_is_sent_no_more_requests_than_it_takes(lower: Lower) -> None:
    lower(OWN_SEQ_REQUESTS, 1, burst=2)
    said: list[str] = []
    clock = ManualClock()
    core: Babel[Any] = Babel(OWN, lambda _: 100, lambda: 0.5, clock.now(), relays=True)
    driver = driven(clock, core, [])
    asker = Link([])
    core.link_up(asker, NEAR, clock.now())
    core.link_up(Link(said), FAR, clock.now())
    for number in range(5):
        request = SeqRequest(NodeId(number.to_bytes(16)), 1, 255, flood=True, request_id=number)
        core.seq_request(asker, request, clock.now())
    driver.pump()
    assert said.count(SeqRequest.__name__) == 2
    assert driver._counts["seq_requests_not_sent"] == 3
