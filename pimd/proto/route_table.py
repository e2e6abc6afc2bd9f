"""Entries, feasibility and selection: the part of routing that never sends (docs/protocol.md, "Routing").

Loop-free by the feasibility condition of Babel (RFC 8966, sections 2.4 and 3.5.1). An entry may be used only while it
is better than everything this node ever sent for that destination. Sections below are those of RFC 8966.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.destinations import Destinations
from pimd.proto.errors import LocalProtocolError
from pimd.proto.frames import RouteEntry

LINK_COST = 256
"""The cost of a link unless its transport costs more; lower costs are refused."""
HYSTERESIS = 32
"""A change of route needs this much improvement, or the loss of the current one (appendix A.3 asks for some hysteresis)."""

L = TypeVar("L")


class Route(Generic[L]):
    """One way to one destination; the selected one is used. A node may hold millions, so it has slots only."""

    __slots__ = ("destination", "hops", "learned_at", "link", "metric", "next_hop", "seq")

    def __init__(
        self, destination: NodeId, next_hop: NodeId, link: L, metric: int, seq: int, hops: int, learned_at: float
    ) -> None:
        self.destination = destination
        self.next_hop = next_hop
        self.link = link
        self.metric = metric
        """Includes the cost of the link to the neighbour (3.5.2); never 65535, since a retraction is no entry."""
        self.seq = seq
        self.hops = hops
        """Includes the link to the neighbour: 1 for the neighbour itself, at most `HOPS_MAX`."""
        self.learned_at = learned_at
        """When the neighbour last advertised it."""


class RouteTable(Generic[L]):
    """All entries of all links (the route table, 3.2.6), feasibility distances (3.2.5), and which entry is used."""

    def __init__(self, kept: Destinations) -> None:
        self.selected: dict[NodeId, Route[L]] = {}
        self._kept = kept
        self._entries: dict[L, dict[NodeId, Route[L]]] = {}
        self._costs: dict[L, int] = {}
        self._distances: dict[NodeId, tuple[int, int]] = {}

    def add_link(self, link: L, cost: int) -> dict[NodeId, Route[L]]:
        """Return the dict for its peer's entries, empty so far; LocalProtocolError for a cost below `LINK_COST`."""
        if cost < LINK_COST:
            raise LocalProtocolError(f"a link costs at least {LINK_COST}, not {cost}")
        self._costs[link] = cost
        return self._entries.setdefault(link, {})

    def __contains__(self, destination: NodeId) -> bool:
        return any(destination in of_link for of_link in self._entries.values())

    def unselected(self) -> set[NodeId]:
        """Destinations with entries but without a route."""
        return {node_id for of_link in self._entries.values() for node_id in of_link if node_id not in self.selected}

    def entries(self, destination: NodeId) -> Iterator[Route[L]]:
        """Every entry of a destination, feasible or not."""
        for of_link in self._entries.values():
            route = of_link.get(destination)
            if route is not None:
                yield route

    def of_link(self, link: L) -> dict[NodeId, Route[L]]:
        """Entries of a link's peer, the longest held first."""
        return self._entries.get(link, {})

    def put(self, route: Route[L]) -> None:
        """Keep an entry, replacing the earlier one of its link."""
        of_link = self._entries[route.link]
        if route.destination not in of_link:
            self._kept.hold(route.destination)
        of_link[route.destination] = route

    def drop(self, link: L, destination: NodeId) -> bool:
        """Remove a link's entry for a destination; False when there is none."""
        if self.of_link(link).pop(destination, None) is None:
            return False
        self._kept.release(destination)
        return True

    def drop_link(self, link: L) -> list[NodeId]:
        """Remove all entries of a link; return their destinations."""
        gone = list(self.of_link(link))
        for destination in gone:
            self.drop(link, destination)
        self._entries.pop(link, None)
        self._costs.pop(link, None)
        return gone

    def feasibility_seq(self, destination: NodeId) -> int | None:
        """The sequence number of the feasibility distance; None when there is none."""
        distance = self._distances.get(destination)
        return None if distance is None else distance[0]

    def advertised(self, destination: NodeId, seq: int, metric: int) -> None:
        """Note what was sent: the best of it is the feasibility distance (3.7.3)."""
        held = self._distances.get(destination)
        if held is None or seq > held[0] or (seq == held[0] and metric < held[1]):
            self._distances[destination] = (seq, metric)

    def forget_distance(self, destination: NodeId) -> None:
        """Remove the distance of a route that ended so long ago that nobody can still use it."""
        self._distances.pop(destination, None)

    def is_feasible(self, route: Route[L]) -> bool:
        """Tell whether using the entry cannot make a loop (3.5.1); the metric that counts is the one received."""
        distance = self._distances.get(route.destination)
        if distance is None or route.seq > distance[0]:
            return True
        return route.seq == distance[0] and route.metric - self._costs[route.link] < distance[1]

    def reselect(self, destination: NodeId) -> Route[L] | None:
        """Choose again among all entries; return the choice (3.6)."""
        best = self._best(destination, self.selected.get(destination))
        if best is None:
            self.selected.pop(destination, None)
        else:
            self.selected[destination] = best
        return best

    def prefer(self, route: Route[L]) -> bool:
        """Select a new entry of another link than the selected one, if it is good enough."""
        current = self.selected.get(route.destination)
        if current is not None and not is_improvement(route, current):
            return False
        if not self.is_feasible(route):
            return False
        self.selected[route.destination] = route
        return True

    def _best(self, destination: NodeId, before: Route[L] | None) -> Route[L] | None:
        usable = [route for route in self.entries(destination) if self.is_feasible(route)]
        if not usable:
            return None
        best = min(usable, key=lambda route: route.metric)
        current = next((route for route in usable if before is not None and route.link == before.link), None)
        if current is not None and not is_improvement(best, current):
            return current
        return best


def is_improvement(route: Route[L], current: Route[L]) -> bool:
    """Whether the gain is large enough for a change."""
    return route.metric <= current.metric - HYSTERESIS


def told_alike(one: Route[L], other: Route[L]) -> bool:
    """Whether both routes look the same to every neighbour: next hop, seq, metric and hops."""
    told = (one.next_hop, one.seq, one.metric, one.hops)
    return told == (other.next_hop, other.seq, other.metric, other.hops)


def entry_of(route: Route[L]) -> RouteEntry:
    """The entry that neighbours are sent for a route."""
    return RouteEntry(route.destination, route.seq, route.metric, route.hops)
