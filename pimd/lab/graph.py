"""The true state of the network: links, cables, and the distances between daemons."""

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from pimd.ids import NodeId
from pimd.lab.daemon import LabDaemon
from pimd.lab.network import Internet
from pimd.lab.node import LabNode
from pimd.lab.streams import Stream
from pimd.mesh.peer_link import PeerLink
from pimd.net.driver import LinkDriver
from pimd.proto.link_states import State
from pimd.proto.route_table import LINK_COST

N = TypeVar("N", bound=Hashable)


class Sight(Protocol):
    """What the graph reads of a lab: its daemons and the network between them."""

    daemons: dict[str, LabDaemon]
    by_id: dict[NodeId, LabDaemon]
    internet: Internet


def distances(start: N, around: Mapping[N, Iterable[N]], relays: Mapping[N, bool]) -> dict[N, int]:
    """Hops from `start` to all nodes that it can reach through relays."""
    found, queue = {start: 0}, deque([start])
    while queue:
        node = queue.popleft()
        if node == start or relays[node]:
            for other in around[node]:
                if other not in found:
                    found[other] = found[node] + 1
                    queue.append(other)
    return found


class Graph:
    """The running daemons and their neighbours."""

    def __init__(self, around: Mapping[NodeId, Iterable[NodeId]], relays: Mapping[NodeId, bool]) -> None:
        self.around = around
        self.relays = relays

    def distances(self, start: NodeId) -> dict[NodeId, int]:
        """Hops to all nodes that `start` can reach, itself included."""
        return distances(start, self.around, self.relays)


def by_cables(lab: Sight) -> Graph:
    """The neighbours over cables that are up: the links that exist once nothing changes any more."""
    at = {daemon.machine.host.address: daemon.id for daemon in lab.daemons.values() if daemon.is_up}
    around: dict[NodeId, list[NodeId]] = {node_id: [] for node_id in at.values()}
    for (one, other), cable in lab.internet.cables.items():
        if cable.up and one in at and other in at:
            around[at[one]].append(at[other])
            around[at[other]].append(at[one])
    return Graph(around, _relays(lab))


def by_links(lab: Sight) -> Graph:
    """The neighbours by links that are up at both ends now."""
    at = {daemon.machine.host.address: daemon.id for daemon in lab.daemons.values() if daemon.is_up}
    around: dict[NodeId, list[NodeId]] = {node_id: [] for node_id in at.values()}
    for stream in _streams(lab):
        if _up(stream) and _up(stream.peer) and stream.machine.address in at:
            around[at[stream.machine.address]].append(at[stream.peer.machine.address])
    return Graph(around, _relays(lab))


def is_changing(lab: Sight) -> bool:
    """Whether one end of a link has not noticed yet that it came up or ended."""
    return any(_up(stream) and not (_up(stream.peer) and stream.cable.up) for stream in _streams(lab))


def next_hop(daemon: LabDaemon, destination: NodeId) -> NodeId | None:
    """Return the neighbour that gets a frame for `destination`; None over a link that its other end does not have."""
    node = daemon.running
    if not isinstance(node, LabNode):
        return None
    link = node.link_towards(destination)
    return link.peer_id if link is not None and is_up_at_both_ends(daemon, link) else None


def is_up_at_both_ends(daemon: LabDaemon, link: PeerLink) -> bool:
    """Whether the other end takes frames on the link, too."""
    stream = daemon.machine.host.streams.get(link.driver)
    return stream is not None and _up(stream) and _up(stream.peer)


def wrong_ways(lab: Sight, graph: Graph, *, shortest: bool) -> Iterator[str]:
    """Yield each pair that `graph` connects and whose next hops do not lead there by a shortest way."""
    for end in graph.around:
        taken: dict[NodeId, int | None] = {end: 0}
        for start, hops in graph.distances(end).items():
            found = _hops_taken(lab, start, end, taken)
            if found is None or (shortest and found != hops):
                yield f"{lab.by_id[start].name} to {lab.by_id[end].name}: {found} of {hops} hops"


def _hops_taken(lab: Sight, start: NodeId, end: NodeId, taken: dict[NodeId, int | None]) -> int | None:
    """Follow the next hops until the rest is known; None when they do not lead to `end`."""
    way: dict[NodeId, None] = {}
    node: NodeId | None = start
    while node is not None and node not in taken and node not in way:
        way[node] = None
        node = next_hop(lab.by_id[node], end)
    rest = taken.get(node) if node is not None else None
    for steps, passed in enumerate(reversed(way), start=1):
        taken[passed] = None if rest is None else rest + steps
    return taken[start]


class Convergence:
    """Tells whether every daemon has exactly the routes that it should, all of them shortest."""

    def __init__(self, lab: Sight) -> None:
        self._lab = lab
        self._doubtful: NodeId | None = None
        """The destination without good routes at the last check; it is checked first."""

    def __call__(self) -> bool:
        """Check all destinations, until the first without good routes."""
        graph = by_cables(self._lab)
        expected = Counter[NodeId]()
        for destination in sorted(graph.around, key=lambda node_id: node_id != self._doubtful):
            hops = graph.distances(destination)
            if not all(self._is_shortest(node_id, destination, hops) for node_id in hops):
                self._doubtful = destination
                return False
            expected.update(hops.keys())
        return all(
            len(self._lab.by_id[node_id].node.service.routes()) == count - 1 for node_id, count in expected.items()
        )

    def _is_shortest(self, node_id: NodeId, destination: NodeId, hops: Mapping[NodeId, int]) -> bool:
        """Whether the metric is right and the next hop is nearer: then the whole way is right."""
        if node_id == destination:
            return True
        daemon = self._lab.by_id[node_id]
        route = daemon.node.service.route(destination)
        if route is None or route.metric != LINK_COST * hops[node_id]:
            return False
        onwards = next_hop(daemon, destination)
        return onwards is not None and hops.get(onwards) == hops[node_id] - 1


def _relays(lab: Sight) -> dict[NodeId, bool]:
    return {daemon.id: daemon.node.service.relays for daemon in lab.daemons.values() if daemon.is_up}


def _streams(lab: Sight) -> Iterable[Stream]:
    for host in lab.internet.hosts.values():
        yield from host.streams.values()


def _up(stream: Stream) -> bool:
    driver = stream.protocol
    return isinstance(driver, LinkDriver) and driver.link.state is State.UP
