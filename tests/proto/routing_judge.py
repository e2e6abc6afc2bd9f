"""What a simulated mesh is held to, computed from its links instead of its routes."""

import heapq
import math
from collections.abc import Callable, Iterable

from pimd.proto.frames import METRIC_PER_HOP
from pimd.proto.route_table import LINK_COST
from pimd.proto.updates import GATHER_S
from tests.proto.routing_node import Cable, SimNode
from tests.proto.routing_sim import Sim, show

Graph = dict[SimNode, list[Cable]]


def graph_of(nodes: Iterable[SimNode], sim: Sim) -> Graph:
    """The links that are up between some nodes."""
    graph: Graph = {node: [] for node in nodes}
    for cable in sim.cables:
        if cable.src in graph and cable.dst in graph:
            graph[cable.src].append(cable)
            graph[cable.dst].append(cable.back)
    return graph


def honest_graph(sim: Sim) -> Graph:
    return graph_of([node for node in sim.nodes if not node.lies], sim)


def distances(graph: Graph, start: SimNode) -> dict[SimNode, int]:
    """What the cheapest ways through nodes that relay cost, the nearest first (Dijkstra)."""
    found: dict[SimNode, int] = {}
    queue = [(0, start.number, start)]
    while queue:
        metric, _, node = heapq.heappop(queue)
        if node in found:
            continue
        found[node] = metric
        if node is start or node.relays:
            for cable in graph[node]:
                if cable.dst not in found:
                    heapq.heappush(queue, (metric + cable.cost, cable.dst.number, cable.dst))
    return found


def most_hops(graph: Graph) -> int:
    """Of all cheapest ways."""
    return int(max((_longest(graph, start, lambda _: 1) for start in graph), default=0))


def longest_path_s(graph: Graph) -> float:
    """How long the slowest of all cheapest ways takes, one way, with what each hop waits to gather."""
    return max((_longest(graph, start, _seconds) for start in graph), default=0.0)


def slowest_link_s(graph: Graph) -> float:
    """One way, with what is waited to gather."""
    return max((_seconds(cable) for cables in graph.values() for cable in cables), default=0.0)


def _seconds(cable: Cable) -> float:
    return cable.latency + GATHER_S


def _longest(graph: Graph, start: SimNode, weigh: Callable[[Cable], float]) -> float:
    """Of all cheapest ways from `start`, by what their links weigh."""
    metrics, longest = distances(graph, start), {start: 0.0}
    for node, metric in metrics.items():  # nearest first
        for cable in graph[node] if node is start or node.relays else ():
            if metrics[cable.dst] == metric + cable.cost:
                longest[cable.dst] = max(longest.get(cable.dst, 0.0), longest[node] + weigh(cable))
    return max(longest.values())


def metrics_to(destination: SimNode, nodes: Iterable[SimNode]) -> dict[SimNode, float]:
    """What the next hops from each node to the destination cost, over links that are up; infinite when they do not lead there."""
    metrics: dict[SimNode, float] = {destination: 0}
    for start in nodes:
        chain: list[Cable] = []
        node: SimNode | None = start
        while node is not None and node not in metrics:
            metrics[node] = math.inf  # for whoever comes back here
            cable = node.next_hops.get(destination.id)
            node = cable.dst if cable is not None and cable.up else None
            if cable is not None and node is not None:
                chain.append(cable)
        taken = metrics[node] if node is not None else math.inf
        for cable in reversed(chain):
            taken += cable.cost
            metrics[cable.src] = taken
    return metrics


def unreached(graph: Graph, *, shortest: bool, slack: int = 0) -> list[str]:
    """Pairs that are connected and whose next hops do not lead there (or not by a shortest way, but for `slack` a hop)."""
    wrong = []
    for end in graph:
        metrics = metrics_to(end, graph)
        for start, metric in distances(graph, end).items():
            taken = metrics[start]
            if taken == math.inf or (shortest and taken > metric + slack * (metric // LINK_COST)):
                wrong.append(f"{start.number}->{end.number}: {taken} of {metric}")
    return wrong


def miscounted(graph: Graph) -> list[str]:
    """Routes whose hops are not those of the way that is taken, as far as the nodes on it tell of hops."""
    wrong = []
    for end in graph:
        for start in graph:
            way = _way(start, end)
            hops, metric = 0, 0
            for cable in reversed(way):
                hops = 1 + (hops if cable.tells_hops else metric // METRIC_PER_HOP)
                metric += cable.cost
            if way and start.core.table.selected[end.id].hops != hops:
                wrong.append(f"{start.number}->{end.number}: {start.core.table.selected[end.id].hops} of {hops}")
    return wrong


def _way(start: SimNode, end: SimNode) -> list[Cable]:
    """The next hops that lead there; none when they do not."""
    way: list[Cable] = []
    node = start
    while node is not end:
        cable = node.next_hops.get(end.id)
        if cable is None or not cable.up or cable in way:
            return []
        way.append(cable)
        node = cable.dst
    return way


def ghosts(graph: Graph) -> list[str]:
    """Routes to what is not connected any more, or never was."""
    wrong = []
    for node in graph:
        there = {other.id for other in distances(graph, node)}
        wrong += [f"{node.number}->{show(gone)}" for gone in node.next_hops if gone not in there]
    return wrong


def misled(sim: Sim) -> list[str]:
    """Pairs of honest nodes that no lie about metrics explains: to be reached by a shortest way of honest nodes.

    A liar can at best claim to be a neighbour of the destination: 256 further than the liar is as near as it can seem.
    Where the destination is no further than the nearest liar, nobody on a shortest way has a reason to go elsewhere.
    """
    honest, everybody = honest_graph(sim), graph_of(sim.nodes, sim)
    nearest = dict.fromkeys(honest, math.inf)
    for liar in sim.nodes:
        if liar.lies:
            for node, metric in _through_honest(everybody, liar).items():
                nearest[node] = min(nearest.get(node, math.inf), metric)
    wrong = []
    for end in honest:
        metrics = metrics_to(end, honest)
        for start, metric in distances(honest, end).items():
            allowed = metric + sim.slack * (metric // LINK_COST)
            if metric <= nearest[start] and metrics[start] > allowed:
                wrong.append(f"{start.number}->{end.number}: {metrics[start]} of {metric}")
    return wrong


def _through_honest(graph: Graph, liar: SimNode) -> dict[SimNode, int]:
    others: Graph = {
        node: [cable for cable in cables if cable.dst is liar or not cable.dst.lies]
        for node, cables in graph.items()
        if node is liar or not node.lies
    }
    return distances(others, liar)
