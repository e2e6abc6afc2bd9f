"""What a simulated mesh is held to, computed from its links instead of its routes."""

import math
from collections import deque
from collections.abc import Iterable

from pimd.proto.babel import GATHER_S
from tests.proto.routing_node import SimNode
from tests.proto.routing_sim import Sim, show

Graph = dict[SimNode, list[tuple[SimNode, float]]]


def graph_of(nodes: Iterable[SimNode], sim: Sim) -> Graph:
    """The links that are up between some nodes, with their latencies."""
    graph: Graph = {node: [] for node in nodes}
    for cable in sim.cables:
        if cable.src in graph and cable.dst in graph:
            graph[cable.src].append((cable.dst, cable.latency))
            graph[cable.dst].append((cable.src, cable.latency))
    return graph


def honest_graph(sim: Sim) -> Graph:
    return graph_of([node for node in sim.nodes if not node.lies], sim)


def distances(graph: Graph, start: SimNode) -> dict[SimNode, int]:
    """Hops through nodes that relay."""
    found, queue = {start: 0}, deque([start])
    while queue:
        node = queue.popleft()
        if node is not start and not node.relays:
            continue
        for other, _ in graph[node]:
            if other not in found:
                found[other] = found[node] + 1
                queue.append(other)
    return found


def most_hops(graph: Graph) -> int:
    """Of all ways with fewest hops."""
    return max((hops for start in graph for hops in distances(graph, start).values()), default=0)


def longest_path_s(graph: Graph) -> float:
    """How long the slowest of all ways with fewest hops takes, one way, with what each hop waits to gather."""
    return max((_slowest(graph, start) for start in graph), default=0.0)


def slowest_link_s(graph: Graph) -> float:
    """One way, with what is waited to gather."""
    return max((latency + GATHER_S for far_ends in graph.values() for _, latency in far_ends), default=0.0)


def _slowest(graph: Graph, start: SimNode) -> float:
    hops, slowest = distances(graph, start), {start: 0.0}
    for node, count in hops.items():  # nearest first
        for other, latency in graph[node] if node is start or node.relays else ():
            if hops[other] == count + 1:
                slowest[other] = max(slowest.get(other, 0.0), slowest[node] + latency + GATHER_S)
    return max(slowest.values())


def steps_to(destination: SimNode, nodes: Iterable[SimNode]) -> dict[SimNode, float]:
    """How many next hops lead from each node to the destination, over links that are up; infinite when none do."""
    steps: dict[SimNode, float] = {destination: 0}
    for start in nodes:
        chain: list[SimNode] = []
        node: SimNode | None = start
        while node is not None and node not in steps:
            steps[node] = math.inf  # for whoever comes back here
            chain.append(node)
            cable = node.next_hops.get(destination.id)
            node = cable.dst if cable is not None and cable.up else None
        taken = steps[node] if node is not None else math.inf
        for passed in reversed(chain):
            taken += 1
            steps[passed] = taken
    return steps


def unreached(graph: Graph, *, shortest: bool) -> list[str]:
    """Pairs that are connected and whose next hops do not lead there (or not by a shortest way)."""
    wrong = []
    for end in graph:
        steps = steps_to(end, graph)
        for start, hops in distances(graph, end).items():
            taken = steps[start]
            if taken == math.inf or (shortest and taken != hops):
                wrong.append(f"{start.number}->{end.number}: {taken} of {hops}")
    return wrong


def ghosts(graph: Graph) -> list[str]:
    """Routes to what is not connected any more, or never was."""
    wrong = []
    for node in graph:
        there = {other.id for other in distances(graph, node)}
        wrong += [f"{node.number}->{show(gone)}" for gone in node.next_hops if gone not in there]
    return wrong


def misled(sim: Sim) -> list[str]:
    """Pairs of honest nodes that no lie about metrics explains: to be reached by a shortest way of honest nodes.

    A liar can at best claim to be a neighbour of the destination: one hop further than the liar is as near as it can seem.
    Where the destination is no further than the nearest liar, nobody on a shortest way has a reason to go elsewhere.
    """
    honest, everybody = honest_graph(sim), graph_of(sim.nodes, sim)
    nearest = dict.fromkeys(honest, math.inf)
    for liar in sim.nodes:
        if liar.lies:
            for node, hops in _through_honest(everybody, liar).items():
                nearest[node] = min(nearest.get(node, math.inf), hops)
    wrong = []
    for end in honest:
        steps = steps_to(end, honest)
        for start, hops in distances(honest, end).items():
            if hops <= nearest[start] and steps[start] != hops:
                wrong.append(f"{start.number}->{end.number}: {steps[start]} of {hops}")
    return wrong


def _through_honest(graph: Graph, liar: SimNode) -> dict[SimNode, int]:
    others: Graph = {
        node: [(far, s) for far, s in far_ends if far is liar or not far.lies]
        for node, far_ends in graph.items()
        if node is liar or not node.lies
    }
    return distances(others, liar)
