"""Topologies of simulated meshes: each a connected set of pairs of the numbers 0 to count - 1."""

import itertools
import math
import random
from collections.abc import Callable, Iterable

Pair = tuple[int, int]
Shape = Callable[[random.Random, int], set[Pair]]


def line(_: random.Random, count: int) -> set[Pair]:
    return set(itertools.pairwise(range(count)))


def ring(_: random.Random, count: int) -> set[Pair]:
    return line(_, count) | {(0, count - 1)}


def grid(_: random.Random, count: int) -> set[Pair]:
    """As square as it goes; the last row may be short."""
    width = round(math.sqrt(count))
    across = {(n, n + 1) for n in range(count - 1) if (n + 1) % width}
    return across | {(n, n + width) for n in range(count - width)}


def geometric(rng: random.Random, count: int) -> set[Pair]:
    """Points in a square, each linked with those within a radius; pieces are joined where they are nearest."""
    points = [(rng.random(), rng.random()) for _ in range(count)]
    radius = 1.2 / math.sqrt(count)
    by_distance = sorted(
        itertools.combinations(range(count), 2), key=lambda pair: math.dist(*(points[n] for n in pair))
    )
    near = {pair for pair in by_distance if math.dist(points[pair[0]], points[pair[1]]) <= radius}
    return _joined(count, near, by_distance)


def small_world(rng: random.Random, count: int) -> set[Pair]:
    """A ring with its second neighbours, a tenth of it rewired at random (Watts and Strogatz)."""
    edges = set()
    for n, step in itertools.product(range(count), (1, 2)):
        far = rng.randrange(count) if rng.random() < 0.1 else (n + step) % count
        if far != n:
            edges.add((min(n, far), max(n, far)))
    return _joined(count, edges, itertools.pairwise(range(count)))


def random_graph(rng: random.Random, count: int) -> set[Pair]:
    """A random tree and up to as many links again."""
    edges = {(rng.randrange(n), n) for n in range(1, count)}
    extra = (tuple(sorted(rng.sample(range(count), 2))) for _ in range(rng.randint(0, count)))
    return edges | {(one, other) for one, other in extra}


SHAPES: tuple[Shape, ...] = (random_graph, line, ring, grid, geometric, small_world)


def _joined(count: int, edges: set[Pair], candidates: Iterable[Pair]) -> set[Pair]:
    """Add those candidates, in order, that join two pieces."""
    piece = list(range(count))
    for one, other in itertools.chain(sorted(edges), candidates):
        if piece[one] != piece[other]:
            edges = edges | {(one, other)}
            old, new = piece[other], piece[one]
            piece = [new if p == old else p for p in piece]
    return edges
