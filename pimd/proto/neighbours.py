"""What routing holds of each link and its peer (RFC 8966, section 3.2.4, without Hello and IHU)."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.frames import RouteEntry
from pimd.proto.route_table import Route

L = TypeVar("L")


class Neighbour(Generic[L]):
    """One link, its entries, and how much of the peer's full table was read."""

    __slots__ = ("cost", "entries", "hops", "node_id", "unrepeated")

    def __init__(self, node_id: NodeId, entries: dict[NodeId, Route[L]], cost: int, *, hops: bool) -> None:
        self.node_id = node_id
        self.entries = entries
        """Entries that it advertises; the route table's own dict."""
        self.cost = cost
        self.hops = hops
        """Whether entries sent to it carry hops."""
        self.unrepeated: dict[NodeId, None] | None = None
        """Destinations held when its full table began and not repeated so far, so it only shrinks."""

    def told(self, news: Iterable[tuple[NodeId | None, RouteEntry]]) -> tuple[RouteEntry, ...]:
        """Return the entries for this peer: a route is not advertised to its own next hop.

        Split horizon (section 3.7.4) is always safe here, since a link has no third party that needs the entry.
        """
        peer = self.node_id
        return tuple([entry for next_hop, entry in news if next_hop != peer])
