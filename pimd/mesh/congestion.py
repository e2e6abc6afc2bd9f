"""Who waits for room in a send queue, or for keys, and is told when there is some."""

import asyncio
from collections.abc import Callable, Iterable

from pimd.ids import NodeId
from pimd.limits import Bites, declare
from pimd.mesh.peer_link import PeerLink
from pimd.proto.traffic import TrafficClass

NOTICES = declare(
    "destinations owed a notice of room",
    4096,
    "destinations",
    "the one owed longest is given at once, and whoever waits for it may find no room again",
)

Notice = Callable[[NodeId], None]


class Congestion:
    """Notices by destination and class; each is given once."""

    def __init__(self, next_hop: Callable[[NodeId], PeerLink | None], bites: Bites) -> None:
        self._bites = bites
        self.next_hop = next_hop
        self._owed: dict[tuple[TrafficClass, NodeId], dict[Notice, None]] = {}

    async def ready(self, dst: NodeId, traffic_class: TrafficClass) -> bool:
        """Return True once a frame of any size has room, False once there is no route."""
        while (link := self.next_hop(dst)) is not None:
            if link.has_room(traffic_class):
                return True
            woken = asyncio.get_running_loop().create_future()
            notice = _waker(woken)
            self._owed.setdefault((traffic_class, dst), {})[notice] = None
            try:
                await woken
            finally:
                self._take_back(dst, traffic_class, notice)
        return False

    def owe(self, dst: NodeId, traffic_class: TrafficClass, notice: Notice) -> None:
        """Give `notice` when the queue towards `dst` has drained, its keys are here, or its route changes."""
        self._owed.setdefault((traffic_class, dst), {})[notice] = None
        if len(self._owed) > NOTICES.value:
            self._bites.count(NOTICES)
            first_class, first = next(iter(self._owed))
            self.give(first, (first_class,))

    def _take_back(self, dst: NodeId, traffic_class: TrafficClass, notice: Notice) -> None:
        owed = self._owed.get((traffic_class, dst))
        if owed is not None:
            owed.pop(notice, None)
            if not owed:
                del self._owed[traffic_class, dst]

    def is_owed(self, dst: NodeId, traffic_class: TrafficClass) -> bool:
        """Whether anybody waits for room, or keys, towards `dst`."""
        return bool(self._owed.get((traffic_class, dst)))

    def give(self, dst: NodeId, classes: Iterable[TrafficClass] = TrafficClass) -> None:
        """Give all notices owed for a destination."""
        for traffic_class in classes:
            for notice in self._owed.pop((traffic_class, dst), ()):
                notice(dst)

    def link_writable(self, link: PeerLink, classes: Iterable[TrafficClass]) -> None:
        """Give those owed for destinations behind a link that has room again."""
        wanted = frozenset(classes)
        for traffic_class, dst in list(self._owed):
            if traffic_class in wanted and self.next_hop(dst) is link:
                self.give(dst, (traffic_class,))

    def links_changed(self) -> None:
        """Give all: the links that they wait for may be others now."""
        for traffic_class, dst in list(self._owed):
            self.give(dst, (traffic_class,))


def _waker(woken: "asyncio.Future[None]") -> Notice:
    def wake(_: NodeId) -> None:
        if not woken.done():
            woken.set_result(None)

    return wake
