"""What routing knows of each link and of its far end (RFC 8966, section 3.2.4, without Hello and IHU: links tell when they end)."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.frames import RouteEntry
from pimd.proto.route_table import Route

L = TypeVar("L")


class Neighbour(Generic[L]):
    """One link, and how far its peer's full table was read."""

    __slots__ = ("cost", "entries", "hops", "node_id", "unrepeated")

    def __init__(self, node_id: NodeId, entries: dict[NodeId, Route[L]], cost: int, *, hops: bool) -> None:
        self.node_id = node_id
        self.entries = entries
        """What it advertises, as the route table keeps it."""
        self.cost = cost
        self.hops = hops
        """Whether it is told of hops."""
        self.unrepeated: dict[NodeId, None] | None = None
        """Of what was kept when its full table began, what that did not say again so far; so it never grows."""

    def told(self, news: Iterable[tuple[NodeId | None, RouteEntry]]) -> tuple[RouteEntry, ...]:
        """Of entries with their next hops, those for this peer: a route is not told to its own next hop.

        Split horizon (section 3.7.4) is safe to use everywhere, since a link has no third party that needs to hear it.
        """
        peer = self.node_id
        return tuple([entry for next_hop, entry in news if next_hop != peer])
