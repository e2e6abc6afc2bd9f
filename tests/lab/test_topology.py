"""Shapes: connected, as many neighbours as asked for, the same for the same seed, all inside the picture."""

import random

import pytest

from pimd.lab.graph import distances
from pimd.lab.topology import KINDS, random_graph, small_world


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 3, 10, 41])
def test_every_shape_is_connected_and_can_be_drawn(kind: str, count: int) -> None:
    for seed in range(5):
        shape = KINDS[kind](count, random.Random(seed))
        around = dict(enumerate(shape.neighbours()))
        assert len(distances(0, around, dict.fromkeys(around, True))) == count
        assert len(shape.positions) == count
        assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in shape.positions)
        assert len(set(shape.edges)) == len(shape.edges)
        assert all(one < other for one, other in shape.edges)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(kind: str) -> None:
    assert KINDS[kind](20, random.Random(1)) == KINDS[kind](20, random.Random(1))


def test_a_line_a_ring_and_a_grid_have_the_edges_of_their_names() -> None:
    rng = random.Random(1)
    assert KINDS["line"](4, rng).edges == ((0, 1), (1, 2), (2, 3))
    assert KINDS["ring"](4, rng).edges == ((0, 1), (1, 2), (2, 3), (0, 3))
    assert set(KINDS["grid"](4, rng).edges) == {(0, 1), (2, 3), (0, 2), (1, 3)}


def test_random_shapes_have_the_mean_degree_asked_for() -> None:
    assert len(random_graph(100, random.Random(1), 6.0).edges) == 300
    small = small_world(100, random.Random(1), 4)
    assert 180 <= len(small.edges) <= 205
    ring_steps = sum(min(b - a, 100 - b + a) <= 2 for a, b in small.edges)
    assert 0 < len(small.edges) - ring_steps < 60, "some lead elsewhere, most do not"


def test_who_does_not_relay_is_the_end_of_a_way() -> None:
    around = {0: [1], 1: [0, 2], 2: [1, 3], 3: [2]}
    relays = dict.fromkeys(around, True)
    assert distances(0, around, relays) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert distances(0, around, {**relays, 2: False}) == {0: 0, 1: 1, 2: 2}
    assert distances(2, around, {**relays, 2: False}) == {2: 0, 1: 1, 3: 1, 0: 2}
