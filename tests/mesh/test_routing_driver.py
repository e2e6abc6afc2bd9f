"""In what order the driver of the routing core does what the core wants."""

from typing import Any

from pimd.clock import ManualClock
from pimd.ids import NodeId
from pimd.mesh.cards import LinkCards
from pimd.mesh.counters import Counters
from pimd.mesh.routing_driver import RoutingDriver
from pimd.proto.babel import Babel
from pimd.proto.frames import Routes

OWN, NEAR = (NodeId(bytes([n]) * 16) for n in (1, 2))


class Link:
    """Notes what it is sent."""

    def __init__(self, said: list[str]) -> None:
        self.cards = LinkCards(0.0)
        self._said = said

    def send(self, frame: object) -> None:
        self._said.append(type(frame).__name__)


def test_cards_go_before_the_routes_that_use_them() -> None:
    said: list[str] = []
    clock = ManualClock()
    core: Babel[Any] = Babel(OWN, lambda _: 100, lambda: 0.5, clock.now(), relays=True)
    driver = RoutingDriver(
        core,
        clock,
        Counters(),
        ask_for_cards=lambda link, ids: said.append("ask"),
        before_routes=lambda: said.append("cards"),
        changed=lambda _: None,
        own_card_wanted=lambda _: None,
    )
    driver.pump()
    assert said == []
    core.link_up(Link(said), NEAR, clock.now())
    driver.pump()
    assert said == ["cards", Routes.__name__]
