"""Routes to neighbours: what each link's peer advertises of itself (docs/protocol.md, for a node that does not relay).

A node that does not relay advertises only itself and forwards nothing, so the only routes it can use are those that its
neighbours advertise of themselves. Entries belong to the link they arrived on and die with it.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.frames import METRIC_RETRACTED, RouteEntry, Routes

LINK_COST = 256

L = TypeVar("L")


@dataclass(frozen=True, slots=True)
class Route(Generic[L]):
    """The way to one destination."""

    destination: NodeId
    next_hop: NodeId
    link: L
    metric: int
    seq: int
    learned_at: float


class NeighbourRouting(Generic[L]):
    """Sans-IO route table; `L` names a link."""

    def __init__(self, own_id: NodeId) -> None:
        self._own_id = own_id
        self._neighbour: dict[L, NodeId] = {}
        self._entries: dict[L, Route[L]] = {}

    def link_up(self, link: L, neighbour: NodeId) -> None:
        """Begin with no entry: every link brings its own full table."""
        self._neighbour[link] = neighbour

    def link_down(self, link: L) -> None:
        """Drop the link's entries."""
        self._neighbour.pop(link, None)
        self._entries.pop(link, None)

    def full_table(self, own_seq: int) -> Routes:
        """Return what this node advertises: itself with metric 0."""
        return Routes(entries=(RouteEntry(self._own_id, own_seq, 0),), first=True, last=True)

    def receive(self, link: L, routes: Routes, now: float) -> None:
        """Take what the neighbour says of itself; entries for others need a relay and are passed over."""
        neighbour = self._neighbour[link]
        repeated = False
        for entry in routes.entries:
            if entry.destination != neighbour:
                continue
            repeated = True
            if entry.metric == METRIC_RETRACTED:
                self._entries.pop(link, None)
            else:
                metric = min(entry.metric + LINK_COST, METRIC_RETRACTED)
                self._entries[link] = Route(neighbour, neighbour, link, metric, entry.seq, now)
        if routes.first and routes.last and not repeated:
            self._entries.pop(link, None)

    def routes(self) -> dict[NodeId, Route[L]]:
        """Return the selected route of each destination; of two links the newest, which carries the traffic."""
        return {route.destination: route for link in self._neighbour if (route := self._entries.get(link)) is not None}

    def selected(self, destination: NodeId) -> Route[L] | None:
        """Return the route to use now, or None."""
        return self.routes().get(destination)
