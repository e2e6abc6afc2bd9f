"""Entries, feasibility and selection: the part of routing that never sends (docs/protocol.md, "Routing").

Loop-free by the feasibility condition of Babel (RFC 8966, section 2.4): an entry may be used only while it is better than
everything this node ever put on the wire for that destination.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.frames import METRIC_RETRACTED, RouteEntry

LINK_COST = 256
HYSTERESIS = 32
"""A change of route needs this much improvement, or the loss of the current one."""

L = TypeVar("L")


@dataclass(frozen=True, slots=True)
class Route(Generic[L]):
    """One way to one destination; the selected one of each is used."""

    destination: NodeId
    next_hop: NodeId
    link: L
    received: int
    """The metric as the neighbour sent it."""
    seq: int
    learned_at: float

    @property
    def metric(self) -> int:
        """With the cost of the link to the neighbour."""
        return min(self.received + LINK_COST, METRIC_RETRACTED)


class RouteTable(Generic[L]):
    """All entries of all links, and which of them is used."""

    def __init__(self) -> None:
        self.selected: dict[NodeId, Route[L]] = {}
        self._entries: dict[NodeId, dict[L, Route[L]]] = {}
        self._of_link: dict[L, dict[NodeId, None]] = {}
        self._distances: dict[NodeId, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def destinations(self) -> list[NodeId]:
        """Those with at least one entry."""
        return list(self._entries)

    def entries(self, destination: NodeId) -> Iterator[Route[L]]:
        """Every way that is known, usable or not."""
        return iter(self._entries.get(destination, {}).values())

    def of_link(self, link: L) -> list[NodeId]:
        """Destinations that a link has an entry for."""
        return list(self._of_link.get(link, ()))

    def count_of(self, link: L) -> int:
        """How many destinations that are."""
        return len(self._of_link.get(link, ()))

    def first_of(self, link: L) -> NodeId | None:
        """The destination that a link has had an entry for the longest."""
        return next(iter(self._of_link.get(link, ())), None)

    def put(self, route: Route[L]) -> None:
        """Keep an entry, replacing what its link said before."""
        self._entries.setdefault(route.destination, {})[route.link] = route
        self._of_link.setdefault(route.link, {})[route.destination] = None

    def drop(self, link: L, destination: NodeId) -> bool:
        """Forget what a link said of a destination; False when it said nothing."""
        entries = self._entries.get(destination)
        if entries is None or entries.pop(link, None) is None:
            return False
        if not entries:
            del self._entries[destination]
        self._of_link[link].pop(destination, None)
        return True

    def drop_link(self, link: L) -> list[NodeId]:
        """Forget everything a link said; return which destinations that were."""
        gone = self.of_link(link)
        for destination in gone:
            self.drop(link, destination)
        self._of_link.pop(link, None)
        return gone

    def feasibility_seq(self, destination: NodeId) -> int | None:
        """The sequence number of the feasibility distance; None when there is none."""
        distance = self._distances.get(destination)
        return None if distance is None else distance[0]

    def advertised(self, destination: NodeId, seq: int, metric: int) -> None:
        """Note what was put on the wire: the best of it is the feasibility distance."""
        held = self._distances.get(destination)
        if held is None or (seq, -metric) > (held[0], -held[1]):
            self._distances[destination] = (seq, metric)

    def forget_distance(self, destination: NodeId) -> None:
        """The route died long ago; nobody can still hold what was advertised."""
        self._distances.pop(destination, None)

    def is_feasible(self, route: Route[L]) -> bool:
        """Tell whether using the entry cannot make a loop."""
        distance = self._distances.get(route.destination)
        return distance is None or (route.seq, -route.received) > (distance[0], -distance[1])

    def reselect(self, destination: NodeId) -> bool:
        """Choose again; True when what would be advertised changed."""
        before = self.selected.get(destination)
        after = self._best(destination, before)
        if after is None:
            self.selected.pop(destination, None)
        else:
            self.selected[destination] = after
        return _advertisement(before) != _advertisement(after)

    def _best(self, destination: NodeId, before: Route[L] | None) -> Route[L] | None:
        usable = [
            route for route in self.entries(destination) if route.metric < METRIC_RETRACTED and self.is_feasible(route)
        ]
        if not usable:
            return None
        best = min(usable, key=lambda route: route.metric)
        current = next((route for route in usable if before is not None and route.link == before.link), None)
        if current is not None and best.metric > current.metric - HYSTERESIS:
            return current
        return best


def _advertisement(route: "Route[L] | None") -> tuple[NodeId, int, int] | None:
    return None if route is None else (route.next_hop, route.seq, route.metric)


def entry_of(route: "Route[L]") -> RouteEntry:
    """What a neighbour is told of a route."""
    return RouteEntry(route.destination, route.seq, route.metric)
