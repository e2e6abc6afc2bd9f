"""Links that cost different amounts, and hops: what is told, to whom, and what is asked for."""

import pytest

from pimd.ids import NodeId
from pimd.proto.babel import Babel
from pimd.proto.control import SeqRequest
from pimd.proto.errors import LocalProtocolError
from pimd.proto.frames import HOPS_MAX, RouteEntry, Routes
from tests.proto.routing_node import name, run_due

OWN, NEAR, OTHER, THIRD, FAR = (name(n) for n in (1, 2, 3, 4, 5))


def core(near: int = 256, other: int = 256) -> Babel[str]:
    made: Babel[str] = Babel(OWN, lambda _: 100, lambda: 0.5, 0.0, relays=True)
    made.own_card(100, 0.0)
    made.link_up("near", NEAR, 0.0, near, hops=True)
    made.link_up("other", OTHER, 0.0, other, hops=True)
    made.link_up("third", THIRD, 0.0, hops=False)
    run_due(made, 1.0)
    made.outgoing()
    return made


def tell(made: Babel[str], link: str, metric: int, hops: int, now: float, node: NodeId = FAR) -> None:
    made.receive(link, Routes((RouteEntry(node, 1, metric, hops),), first=False, last=False, hops=True), now)


def told(made: Babel[str], link: str, now: float) -> list[tuple[bool, tuple[RouteEntry, ...]]]:
    made.tick(now)
    return [(frame.hops, frame.entries) for to, frame in made.outgoing() if to == link and isinstance(frame, Routes)]


def requests(made: Babel[str]) -> list[tuple[str, SeqRequest]]:
    return [(link, frame) for link, frame in made.outgoing() if isinstance(frame, SeqRequest)]


def test_a_link_that_costs_less_than_256_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        core(near=255)


def test_the_cost_of_the_link_is_added_and_the_cheaper_way_taken() -> None:
    made = core(near=1024, other=300)
    tell(made, "near", 256, 1, 1.0)
    assert (made.table.selected[FAR].link, made.table.selected[FAR].metric) == ("near", 1280)
    tell(made, "other", 512, 2, 1.0)
    assert (made.table.selected[FAR].link, made.table.selected[FAR].metric) == ("other", 812)


@pytest.mark.parametrize(("metric", "is_kept"), [(65535 - 1024 - 1, True), (65535 - 1024, False), (65534, False)])
def test_what_the_cost_makes_65535_is_a_retraction(metric: int, *, is_kept: bool) -> None:
    made = core(near=1024)
    tell(made, "near", 60_000, 1, 1.0)
    tell(made, "near", metric, 1, 2.0)
    assert (FAR in made.table.selected) is is_kept


def test_an_entry_below_256_for_another_is_dropped_however_dear_the_link() -> None:
    made = core(near=1024)
    tell(made, "near", 255, 1, 1.0)
    assert (made.dropped, FAR in made.table) == (1, False)
    tell(made, "near", 0, 0, 1.0, NEAR)
    assert (made.table.selected[NEAR].metric, made.table.selected[NEAR].hops) == (1024, 1)


def test_hops_are_told_to_those_who_read_them() -> None:
    made = core(near=1024)
    tell(made, "near", 1024, 1, 1.0)
    made.tick(2.0)
    frames = {to: frame for to, frame in made.outgoing() if isinstance(frame, Routes)}
    assert frames["other"] == Routes((RouteEntry(FAR, 1, 2048, 2),), first=False, last=False, hops=True)
    assert frames["third"].hops is False


@pytest.mark.parametrize("received", [HOPS_MAX - 1, HOPS_MAX])
def test_hops_stop_at_255(received: int) -> None:
    made = core()
    tell(made, "near", 256, received, 1.0)
    assert told(made, "other", 2.0) == [(True, (RouteEntry(FAR, 1, 512, HOPS_MAX),))]


def test_other_hops_at_the_same_metric_are_news_and_the_same_again_are_not() -> None:
    made = core()
    tell(made, "near", 1024, 2, 1.0)
    told(made, "other", 2.0)
    tell(made, "near", 1024, 2, 3.0)
    assert told(made, "other", 4.0) == []
    assert made.table.selected[FAR].learned_at == 3.0
    tell(made, "near", 1024, 3, 5.0)
    assert told(made, "other", 6.0) == [(True, (RouteEntry(FAR, 1, 1280, 4),))]


def lost_the_cheap_way() -> Babel[str]:
    """Told once of a way that cost 768, it is left with one over a dear link."""
    made = core(near=1024)
    tell(made, "other", 512, 2, 1.0)
    tell(made, "near", 600, 1, 1.0)
    told(made, "third", 2.0)
    made.link_down("other", 3.0)
    assert (made.table.selected[FAR].metric, requests(made)) == (1624, [])
    return made


def test_a_better_way_that_is_not_feasible_is_asked_about_once_where_it_came_from() -> None:
    made = lost_the_cheap_way()
    tell(made, "third", 800, 3, 4.0)
    assert made.table.selected[FAR].link == "near"
    [(link, request)] = requests(made)
    assert (link, request.destination, request.seq, request.flood) == ("third", FAR, 2, False)
    tell(made, "third", 800, 3, 5.0)
    assert requests(made) == []


def test_a_way_that_is_not_better_by_32_is_not_asked_about() -> None:
    made = lost_the_cheap_way()
    tell(made, "third", 1624 - 256 - 31, 3, 4.0)
    assert requests(made) == []


def test_a_better_way_is_asked_about_when_the_route_gets_worse_too() -> None:
    made = core(near=1024)
    tell(made, "other", 512, 2, 1.0)
    tell(made, "near", 600, 1, 1.0)
    tell(made, "third", 800, 3, 1.0)
    told(made, "third", 2.0)
    assert requests(made) == []
    made.link_down("other", 3.0)
    assert made.table.selected[FAR].link == "near"
    assert [(link, request.seq) for link, request in requests(made)] == [("third", 2)]
