"""Shapes of networks: edges between nodes and their positions; connected, and the same for the same seed."""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Edge = tuple[int, int]
Position = tuple[float, float]
"""Both coordinates are in 0..1."""

REWIRED = 0.2
"""Share of the edges of a small world that lead to random nodes."""


@dataclass(frozen=True)
class Topology:
    """Nodes are 0 to `count` - 1; each edge is listed once, the lower node first."""

    kind: str
    count: int
    edges: tuple[Edge, ...]
    positions: tuple[Position, ...]

    def neighbours(self) -> list[list[int]]:
        """Return the neighbours of each node."""
        around: list[list[int]] = [[] for _ in range(self.count)]
        for one, other in self.edges:
            around[one].append(other)
            around[other].append(one)
        return around


def line(count: int, rng: random.Random) -> Topology:
    """Each node is connected with the next one."""
    del rng
    positions = [((n + 0.5) / count, 0.5) for n in range(count)]
    return _topology("line", count, ((n, n + 1) for n in range(count - 1)), positions)


def ring(count: int, rng: random.Random) -> Topology:
    """Each node is connected with the next one, and the last with the first."""
    del rng
    return _topology("ring", count, ((n, (n + 1) % count) for n in range(count)), circle(count))


def grid(count: int, rng: random.Random) -> Topology:
    """Rows and columns, as square as possible; the last row may be short."""
    del rng
    columns = max(1, math.isqrt(count))
    rows = math.ceil(count / columns)
    across = ((n, n + 1) for n in range(count - 1) if (n + 1) % columns)
    down = ((n, n + columns) for n in range(count - columns))
    positions = [((n % columns + 0.5) / columns, (n // columns + 0.5) / rows) for n in range(count)]
    return _topology("grid", count, [*across, *down], positions)


def geometric(count: int, rng: random.Random, degree: float = 6.0) -> Topology:
    """Random places in a square, connected with those nearby, as radios are."""
    positions = [(rng.random(), rng.random()) for _ in range(count)]
    radius = math.sqrt(degree / (math.pi * count)) if count > 1 else 1.0
    near = [
        (one, other)
        for one in range(count)
        for other in range(one + 1, count)
        if math.dist(positions[one], positions[other]) <= radius
    ]
    bridges = _bridges(count, near, lambda one, other: math.dist(positions[one], positions[other]))
    return _topology("geometric", count, [*near, *bridges], positions)


def small_world(count: int, rng: random.Random, degree: int = 4) -> Topology:
    """A ring where each node is connected with the next few, with some edges moved (Watts and Strogatz)."""
    edges: dict[Edge, None] = {}
    for step in range(1, degree // 2 + 1):
        for node in range(count):
            other = (node + step) % count
            if rng.random() < REWIRED:
                other = rng.randrange(count)
            edges[_edge(node, other)] = None
    found = [edge for edge in edges if edge[0] != edge[1]]
    bridges = _bridges(count, found, lambda one, other: (other - one) % count)
    return _topology("small-world", count, [*found, *bridges], circle(count))


def random_graph(count: int, rng: random.Random, degree: float = 6.0) -> Topology:
    """A random tree, and random edges until the mean degree is reached."""
    edges: dict[Edge, None] = {}
    for node in range(1, count):
        edges[rng.randrange(node), node] = None
    wanted = min(round(count * degree / 2), count * (count - 1) // 2)
    while len(edges) < wanted:
        one, other = rng.sample(range(count), 2)
        edges[_edge(one, other)] = None
    return _topology("random", count, edges, circle(count))


KINDS: dict[str, Callable[[int, random.Random], Topology]] = {
    "line": line,
    "ring": ring,
    "grid": grid,
    "geometric": geometric,
    "small-world": small_world,
    "random": random_graph,
}


def _edge(one: int, other: int) -> Edge:
    return (one, other) if one < other else (other, one)


def _topology(kind: str, count: int, edges: Iterable[Edge], positions: Iterable[Position]) -> Topology:
    unique = dict.fromkeys(_edge(*edge) for edge in edges if edge[0] != edge[1])
    return Topology(kind, count, tuple(unique), tuple(positions))


def circle(count: int) -> list[Position]:
    """Places around a circle, the first at the top."""
    angles = [2 * math.pi * n / count for n in range(count)]
    return [(0.5 + 0.48 * math.sin(angle), 0.5 - 0.48 * math.cos(angle)) for angle in angles]


def _bridges(count: int, edges: Iterable[Edge], distance: Callable[[int, int], float]) -> list[Edge]:
    """Return edges that join separate parts, each between the nearest two nodes of the first part and the rest."""
    part = list(range(count))

    def root(node: int) -> int:
        while part[node] != node:
            part[node] = part[part[node]]
            node = part[node]
        return node

    for one, other in edges:
        part[root(one)] = root(other)
    bridges: list[Edge] = []
    while outside := [node for node in range(count) if root(node) != root(0)]:
        inside = [node for node in range(count) if root(node) == root(0)]
        bridge = min(((one, other) for one in inside for other in outside), key=lambda edge: distance(*edge))
        bridges.append(bridge)
        part[root(bridge[1])] = root(0)
    return bridges
