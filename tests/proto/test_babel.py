"""What routing must hold, over random meshes, cuts, restarts and clocks (seeded: a failing seed fails again)."""

import itertools
import os

import pytest

from tests.proto.routing_sim import Sim, SimNode

SCENARIOS = int(os.environ.get("PIMD_ROUTING_SCENARIOS", "2000"))
CONVERGED_S = 3.0


def random_mesh(seed: int) -> Sim:
    """A connected random graph of 4 to 14 nodes; some do not relay, some clocks are wild."""
    sim = Sim(seed)
    rng = sim.random
    for _ in range(rng.randint(4, 14)):
        sim.add(relays=rng.random() > 0.1, clock_error_ms=rng.choice([0, 0, 0, -(10**9), 10**9]))
    nodes = list(sim.nodes)
    for number, node in enumerate(nodes[1:], 1):
        sim.link(node, rng.choice(nodes[:number]), latency(sim))
    for _ in range(rng.randint(0, len(nodes))):
        one, other = rng.sample(nodes, 2)
        if not any({cable.src, cable.dst} == {one, other} for cable in sim.cables):
            sim.link(one, other, latency(sim))
    return sim


def latency(sim: Sim) -> float:
    return sim.random.choice([0.001, 0.005, 0.02, 0.05])


def disturb(sim: Sim) -> None:
    rng = sim.random
    for _ in range(rng.randint(1, 4)):
        what = rng.random()
        if what < 0.5 and sim.cables:
            sim.cut(rng.choice(sim.cables), (rng.random(), rng.random()))
        elif what < 0.75:
            sim.restart(rng.choice(sim.nodes))
        else:
            one, other = rng.sample(sim.nodes, 2)
            if not any({cable.src, cable.dst} == {one, other} for cable in sim.cables):
                sim.link(one, other, latency(sim))
                sim.last_notice = max(sim.last_notice, sim.now)
        sim.run(sim.now + rng.choice([0.0, 0.01, 0.5, 3.0]))


def scenario(seed: int) -> None:
    sim = random_mesh(seed)
    sim.run(10.0)
    assert sim.unreached(shortest=True) == [], f"seed {seed}: cold start"
    for _ in range(3):
        disturb(sim)
        sim.run(max(sim.now, sim.last_notice) + CONVERGED_S)
        assert sim.unreached(shortest=False) == [], f"seed {seed}: {CONVERGED_S} s after the last notice, t={sim.now}"
        sim.run(sim.now + 60.0)
        assert sim.unreached(shortest=True) == [], f"seed {seed}: a minute later, t={sim.now}"
    assert sim.loops == [], f"seed {seed}"


@pytest.mark.parametrize("part", range(4))
def test_some_random_meshes(part: int) -> None:
    for seed in range(part, 80, 4):
        scenario(seed)


@pytest.mark.slow  # two thousand scenarios
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(8))
def test_many_random_meshes(part: int) -> None:
    for seed in range(1000 + part, 1000 + SCENARIOS, 8):
        scenario(seed)


def line(count: int, *, relays: bool = True) -> tuple[Sim, list[SimNode]]:
    sim = Sim(1)
    nodes = [sim.add(relays=relays or number in (0, count - 1)) for number in range(count)]
    for one, other in itertools.pairwise(nodes):
        sim.link(one, other, 0.01)
    sim.run(5.0)
    return sim, nodes


def test_a_node_that_does_not_relay_advertises_only_itself() -> None:
    sim, (first, middle, last) = line(3, relays=False)
    assert middle.id in first.core.table.selected
    assert last.id not in first.core.table.selected
    assert sim.unreached(shortest=True) == []


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
    assert sim.unreached(shortest=True) == []
    assert sim.loops == []
    assert c.highest >= before


def test_it_grows_quiet() -> None:
    sim, _ = line(10)
    sim.run(20.0)
    before = sim.messages
    sim.run(80.0)
    # Full tables every 30 s on 18 directed links, and nothing else.
    assert sim.messages - before <= 3 * 18
