"""What routing must hold, over seeded scenarios (a failing seed fails again) and in meshes made by hand."""

import itertools
import os
import subprocess
import sys

import pytest

from tests.proto.routing_judge import honest_graph, unreached
from tests.proto.routing_node import SimNode
from tests.proto.routing_scenarios import Scenario
from tests.proto.routing_sim import Sim
from tests.repeats import one_in

SCENARIOS = int(os.environ.get("PIMD_ROUTING_SCENARIOS", "500"))
"""500 when somebody runs the slow tests, 2 000 in .ci/run, and as many as wanted by hand."""


@pytest.mark.parametrize("part", one_in(4, range(4)))
def test_some_scenarios(part: int) -> None:
    for seed in range(part, 80, 4):
        assert Scenario(seed).run().problems == []


@pytest.mark.parametrize("part", one_in(8, range(8)))
def test_some_scenarios_of_links_that_cost_different_amounts(part: int) -> None:
    for seed in range(part, 200, 8):
        assert Scenario(seed, uneven=True).run().problems == []


def test_a_card_that_is_asked_for_on_a_slow_link_may_take_its_time() -> None:
    outcome = Scenario(67657).run()  # a way of 0.89 s, of which one link takes 0.33 s
    assert (outcome.problems, outcome.late) == ([], 1)


@pytest.mark.slow  # hundreds of scenarios
@pytest.mark.timeout(0)  # as many as PIMD_ROUTING_SCENARIOS says
@pytest.mark.parametrize("part", range(8))
def test_many_scenarios(part: int) -> None:
    for seed in range(1000 + part, 1000 + SCENARIOS, 8):
        assert Scenario(seed).run().problems == []


@pytest.mark.slow  # a thousand scenarios
@pytest.mark.timeout(0)  # half as many as PIMD_ROUTING_SCENARIOS says
@pytest.mark.parametrize("part", range(8))
def test_many_scenarios_of_links_that_cost_different_amounts(part: int) -> None:
    for seed in range(1000 + part, 1000 + SCENARIOS // 2, 8):
        assert Scenario(seed, uneven=True).run().problems == []


def all_by_shortest_ways(sim: Sim) -> bool:
    return unreached(honest_graph(sim), shortest=True) == []


def line(count: int, *, relays: bool = True) -> tuple[Sim, list[SimNode]]:
    sim = Sim(1)
    nodes = [sim.add(relays=relays or number in (0, count - 1)) for number in range(count)]
    for one, other in itertools.pairwise(nodes):
        sim.link(one, other, 0.01)
    sim.run(5.0)
    return sim, nodes


@pytest.mark.slow
def test_a_seed_does_the_same_in_every_process() -> None:
    script = (
        "from tests.proto.routing_scenarios import Outcome, Scenario\n"
        "total = Outcome()\n"
        "for seed in range(5003, 5008): total.add(Scenario(seed).run())\n"
        "print(total)"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert "liars" in found[0]
    assert found[0] == found[1]


def test_a_node_that_does_not_relay_advertises_only_itself() -> None:
    sim, (first, middle, last) = line(3, relays=False)
    assert middle.id in first.core.table.selected
    assert last.id not in first.core.table.selected
    assert all_by_shortest_ways(sim)


def test_a_lost_destination_is_retracted_through_the_whole_line() -> None:
    sim, nodes = line(6)
    assert len(nodes[0].core.table.selected) == 5
    sim.cut(sim.cables[-1], (0.0, 0.0))
    sim.run(sim.now + 1.0)
    assert nodes[5].id not in nodes[0].core.table.selected
    assert len(nodes[0].core.table.selected) == 4


def test_a_destination_without_a_feasible_way_asks_for_a_newer_number() -> None:
    sim = Sim(2)
    a, b, c, d = (sim.add() for _ in range(4))
    for one, other in ((a, b), (b, c), (c, d), (d, a)):
        sim.link(one, other, 0.01)
    sim.run(5.0)
    before = c.highest
    sim.cut(next(cable for cable in sim.cables if {cable.src, cable.dst} == {b, c}), (0.0, 0.0))
    sim.run(sim.now + 3.0)
    assert all_by_shortest_ways(sim)
    assert sim.loops == []
    assert c.highest >= before


def test_a_way_over_a_link_that_a_restart_forgot_is_no_loop_and_one_that_is_known_at_both_ends_is() -> None:
    sim, (first, middle, last) = line(3)
    to_middle, to_first = (node.next_hops[last.id if node is first else first.id] for node in (first, middle))
    sim.cut(to_middle, (50.0, 50.0))
    middle.next_hops[last.id] = to_first  # as a core without the feasibility condition might choose
    sim.follow(middle, last.id)
    assert len(sim.loops) == 1
    sim.crash(middle, lambda: 50.0)
    sim.restart(middle, lambda: 50.0)
    middle.next_hops[last.id] = to_first
    sim.follow(middle, last.id)
    assert len(sim.loops) == 1


def test_a_long_line_that_starts_at_once_is_connected_in_3_s() -> None:
    sim = Sim(1)
    nodes = [sim.add() for _ in range(40)]
    for one, other in itertools.pairwise(nodes):
        sim.link(one, other, 0.01)
    sim.run(3.0)
    assert all(len(node.core.table.selected) == 39 for node in nodes)


def test_it_grows_quiet() -> None:
    sim, _ = line(10)
    sim.run(20.0)
    before = sim.messages
    sim.run(80.0)
    # Full tables every 30 s on 18 directed links, and nothing else.
    assert sim.messages - before <= 3 * 18
