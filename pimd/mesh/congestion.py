"""Which senders wait for room in a send queue, or for keys, and their notices."""

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
    "the oldest notice is given at once; its receiver may find no room again",
)

Notice = Callable[[NodeId], None]


class Congestion:
    """Notices by destination and class, each called once; and the tasks that wait in `ready`, which plugins bound."""

    def __init__(self, next_hop: Callable[[NodeId], PeerLink | None], bites: Bites) -> None:
        self._bites = bites
        self.next_hop = next_hop
        self._owed: dict[tuple[TrafficClass, NodeId], dict[Notice, None]] = {}
        self._waiting: dict[tuple[TrafficClass, NodeId], list[asyncio.Future[None]]] = {}

    async def ready(self, dst: NodeId, traffic_class: TrafficClass) -> bool:
        """Return True once a frame of any size has room, False once there is no route."""
        while (link := self.next_hop(dst)) is not None:
            if link.has_room(traffic_class):
                return True
            woken = asyncio.get_running_loop().create_future()
            waiting = self._waiting.setdefault((traffic_class, dst), [])
            waiting.append(woken)
            try:
                await woken
            finally:
                if woken in waiting:
                    waiting.remove(woken)
                if not waiting and self._waiting.get((traffic_class, dst)) is waiting:
                    del self._waiting[traffic_class, dst]
        return False

    def owe(self, dst: NodeId, traffic_class: TrafficClass, notice: Notice) -> None:
        """Call `notice` once when the queue to `dst` has drained, its keys arrive, or its route changes."""
        self._owed.setdefault((traffic_class, dst), {})[notice] = None
        if len(self._owed) > NOTICES.value:
            self._bites.count(NOTICES)
            oldest = next(iter(self._owed))
            # Not at once: the receiver of the notice would send again while it is sending now.
            for one in self._owed.pop(oldest):
                asyncio.get_running_loop().call_soon(one, oldest[1])

    def is_owed(self, dst: NodeId, traffic_class: TrafficClass) -> bool:
        """Whether anybody waits for room, or keys, towards `dst`."""
        return (traffic_class, dst) in self._owed or (traffic_class, dst) in self._waiting

    def give(self, dst: NodeId, classes: Iterable[TrafficClass] = TrafficClass) -> None:
        """Call all notices of a destination, and wake the tasks that wait for it."""
        for traffic_class in classes:
            for woken in self._waiting.pop((traffic_class, dst), ()):
                if not woken.done():
                    woken.set_result(None)
            for notice in self._owed.pop((traffic_class, dst), ()):
                notice(dst)

    def link_writable(self, link: PeerLink, classes: Iterable[TrafficClass]) -> None:
        """Call the notices of destinations behind a link that has room again."""
        wanted = frozenset(classes)
        for traffic_class, dst in [*self._owed, *self._waiting]:
            if traffic_class in wanted and self.next_hop(dst) is link:
                self.give(dst, (traffic_class,))

    def links_changed(self) -> None:
        """Call all notices, because their destinations may have another next hop now."""
        for traffic_class, dst in [*self._owed, *self._waiting]:
            self.give(dst, (traffic_class,))
