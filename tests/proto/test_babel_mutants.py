"""The scenarios notice a core that lacks one of its rules, each within a few seeds."""

from collections.abc import Callable
from typing import Any

import pytest

from pimd.ids import NodeId
from pimd.proto import route_table
from pimd.proto.babel import Babel
from pimd.proto.control import SeqRequest
from pimd.proto.frames import METRIC_RETRACTED, Routes
from pimd.proto.route_table import LINK_COST, RouteTable
from tests.proto.routing_node import Cable, SimNode, without_hops
from tests.proto.routing_scenarios import Scenario

SEEDS = 40


class WithoutSeqRequests(Babel[Cable]):
    def outgoing(self) -> list[tuple[Cable, Routes | SeqRequest]]:
        return [(link, frame) for link, frame in super().outgoing() if not isinstance(frame, SeqRequest)]


class WithoutRetractions(Babel[Cable]):
    def outgoing(self) -> list[tuple[Cable, Routes | SeqRequest]]:
        return [(link, _unretracted(frame)) for link, frame in super().outgoing()]


class BelievesNumbersWithoutCards(Babel[Cable]):
    def __init__(self, own_id: NodeId, _: Callable[[NodeId], int], *more: Any, **options: Any) -> None:
        super().__init__(own_id, lambda _: 2**64, *more, **options)


class ForgetsDistancesWithTheRoute(Babel[Cable]):
    def tick(self, now: float) -> None:
        super().tick(now)
        for destination in self._lost_at:
            self.table.forget_distance(destination)


class KeepsEverything(Babel[Cable]):
    def _make_room(self, _: float) -> None:
        pass


class TakesEveryLinkForACheapOne(Babel[Cable]):
    def link_up(self, link: Cable, neighbour: NodeId, now: float, _: int = LINK_COST, *, hops: bool = False) -> None:
        super().link_up(link, neighbour, now, hops=hops)


class GuessesHopsFromMetrics(Babel[Cable]):
    def receive(self, link: Cable, routes: Routes, now: float) -> bool:
        return super().receive(link, without_hops(routes), now)


class NeverAsksForBetter(Babel[Cable]):
    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._better.ask = lambda *_: []  # type: ignore[method-assign]


class AsksForBetterOnlyOnce(Babel[Cable]):
    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._better.ask_again = list  # type: ignore[method-assign]


def _unretracted(frame: Routes | SeqRequest) -> Routes | SeqRequest:
    if isinstance(frame, SeqRequest):
        return frame
    return Routes(tuple(entry for entry in frame.entries if entry.metric != METRIC_RETRACTED), frame.first, frame.last)


def is_caught(symptom: str, seeds: range = range(SEEDS), *, uneven: bool = False) -> bool:
    return any(getattr(Scenario(seed, uneven=uneven).run(), symptom) for seed in seeds)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("core", "symptom"),
    [
        (WithoutSeqRequests, "unreached"),
        (WithoutRetractions, "unreached"),
        (BelievesNumbersWithoutCards, "forgeries"),
        (ForgetsDistancesWithTheRoute, "loops"),
        (KeepsEverything, "overfull"),
    ],
)
def test_a_core_that_lacks_a_rule_is_caught(
    core: type[Babel[Cable]], symptom: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimNode, "core_type", core)
    assert is_caught(symptom)


@pytest.mark.slow
def test_a_core_that_asks_for_better_only_once_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Scenario(300502, uneven=True).run().problems == []
    monkeypatch.setattr(SimNode, "core_type", AsksForBetterOnlyOnce)
    assert is_caught("roundabout", range(300502, 300503), uneven=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("core", "symptom"),
    [
        (TakesEveryLinkForACheapOne, "roundabout"),
        (GuessesHopsFromMetrics, "miscounted"),
        (NeverAsksForBetter, "roundabout"),
    ],
)
def test_a_core_that_lacks_a_rule_about_costs_is_caught(
    core: type[Babel[Cable]], symptom: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimNode, "core_type", core)
    assert is_caught(symptom, range(140, 140 + SEEDS), uneven=True)


def test_a_core_without_the_feasibility_condition_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RouteTable, "is_feasible", lambda *_: True)
    assert is_caught("loops")


@pytest.mark.slow
@pytest.mark.parametrize("symptom", ["misled", "roundabout"])
def test_a_core_that_never_changes_for_a_shorter_way_is_caught(symptom: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_table, "HYSTERESIS", METRIC_RETRACTED)
    assert is_caught(symptom)
