"""Selection without the protocol around it."""

import pytest

from pimd.ids import NodeId
from pimd.proto.destinations import Destinations
from pimd.proto.errors import LocalProtocolError
from pimd.proto.route_table import HYSTERESIS, LINK_COST, Route, RouteTable

FAR, NEAR, OTHER = (NodeId(bytes([n]) * 16) for n in (1, 2, 3))


def a_table(near: int = LINK_COST, other: int = LINK_COST) -> RouteTable[str]:
    table: RouteTable[str] = RouteTable(Destinations())
    table.add_link("near", near)
    table.add_link("other", other)
    return table


@pytest.mark.parametrize(("better_by", "changes"), [(HYSTERESIS - 1, False), (HYSTERESIS, True)])
def test_a_route_is_left_for_an_improvement_of_32_and_not_for_less(better_by: int, *, changes: bool) -> None:
    table = a_table()
    here = Route(FAR, NEAR, "near", 4 * LINK_COST, 1, 1, 0.0)
    table.put(here)
    assert table.prefer(here)
    there = Route(FAR, OTHER, "other", 4 * LINK_COST - better_by, 1, 1, 0.0)
    table.put(there)
    assert table.prefer(there) is changes
    assert table.selected[FAR].link == ("other" if changes else "near")


@pytest.mark.parametrize("worse_by", [1, LINK_COST])
def test_a_route_that_got_worse_is_left_only_when_another_is_better_by_32(worse_by: int) -> None:
    table = a_table()
    for name, link, metric in ((NEAR, "near", 4 * LINK_COST), (OTHER, "other", 4 * LINK_COST)):
        table.put(Route(FAR, name, link, metric, 1, 1, 0.0))
    assert table.reselect(FAR) is not None
    table.put(Route(FAR, NEAR, "near", 4 * LINK_COST + worse_by, 1, 1, 0.0))
    chosen = table.reselect(FAR)
    assert chosen is not None
    assert chosen.link == ("other" if worse_by >= HYSTERESIS else "near")


@pytest.mark.parametrize(("received", "feasible"), [(511, True), (512, False)])
@pytest.mark.parametrize("link", ["near", "other"])
def test_what_must_be_below_the_feasibility_distance_is_the_metric_as_received(
    received: int, link: str, *, feasible: bool
) -> None:
    costs = {"near": LINK_COST, "other": 4 * LINK_COST}
    table = a_table(**costs)
    table.advertised(FAR, 1, 512)
    assert table.is_feasible(Route(FAR, NEAR, link, received + costs[link], 1, 1, 0.0)) is feasible


def test_no_link_costs_less_than_256() -> None:
    with pytest.raises(LocalProtocolError):
        a_table(near=LINK_COST - 1)
