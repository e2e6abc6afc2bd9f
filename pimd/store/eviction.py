"""Which identity is evicted from a full keystore (docs/protocol.md); nothing here takes longer when more are held."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pimd.ids import NodeId
from pimd.store.groups import Groups

LOOKED_AT = 64
"""Identities that are examined for one eviction; those in use are put aside, so the next search starts behind them."""
SECOND_CHANCES = 16
"""Identities with a route that are passed over for one without, within the same source."""
MET = "met"
"""The source of those that are met on a link of their own and told apart by nothing else."""


@dataclass(frozen=True)
class InUse:
    """The mesh's view of an identity, which decides whether it may be evicted."""

    has_route: Callable[[NodeId], bool] = lambda _: False
    """Whether frames for it have a next hop; others of its source are evicted before it, and it does not age out."""
    is_configured: Callable[[NodeId], bool] = lambda _: False
    """Whether the configuration names it; it is never evicted and does not age out."""
    is_linked: Callable[[NodeId], bool] = lambda _: False
    """Whether a link with it is up; until that ends it is not evicted."""


NONE_IN_USE = InUse()
"""For a keystore without a mesh."""


class Victims:
    """Names the next identity to evict: of the source that brought the most, the one seen longest ago.

    So whoever brings many displaces his own. Identities that may not go are put aside when they are found, and looked at
    again one by one.
    """

    def __init__(self, has_route: Callable[[NodeId], bool], who_may_go: Callable[[], Callable[[NodeId], bool]]) -> None:
        self._has_route = has_route
        self._who_may_go = who_may_go
        self._sources: Groups[str, bytes] = Groups()
        """Those that were not put aside, the one seen longest ago first."""
        self._by_size: Groups[int, str] = Groups()
        """Sources by how many they have there."""
        self._most = 0
        self._aside: OrderedDict[bytes, str] = OrderedDict()
        """With the source of each."""

    def __len__(self) -> int:
        return len(self._sources.group_of) + len(self._aside)

    def put(self, node_id: bytes, source: str) -> None:
        """Enter an identity, or note that it was seen again; from another source it counts there."""
        if self._aside.get(node_id) == source:
            return
        if self._sources.group_of.get(node_id) == source:
            self._sources.put(source, node_id)
            return
        self.remove(node_id)
        self._enter(node_id, source)

    def remove(self, node_id: bytes) -> None:
        """Forget an identity; an absent one is ignored."""
        self._aside.pop(node_id, None)
        if node_id in self._sources.group_of:
            self._take_out(node_id)

    def next(self) -> NodeId | None:
        """Return the identity to evict; None when none was found that may be."""
        may_go = self._who_may_go()
        self._look_again(1, may_go)
        victim = self._search(may_go)
        if victim is None:
            self._look_again(LOOKED_AT, may_go)
            victim = self._search(may_go)
        return victim

    def _search(self, may_go: Callable[[NodeId], bool]) -> NodeId | None:
        passed_over = 0
        for _ in range(LOOKED_AT):
            if not self._most:
                return None
            source = self._by_size.first(self._most)
            key = self._sources.first(source)
            node_id = NodeId(key)
            if not may_go(node_id):
                self._take_out(key)
                self._aside[key] = source
            elif passed_over < min(SECOND_CHANCES, self._most) and self._has_route(node_id):
                self._sources.put(source, key)
                passed_over += 1
            else:
                return node_id
        return None

    def _look_again(self, most: int, may_go: Callable[[NodeId], bool]) -> None:
        for _ in range(min(len(self._aside), most)):
            key = next(iter(self._aside))
            if may_go(NodeId(key)):
                self._enter(key, self._aside.pop(key))
            else:
                self._aside.move_to_end(key)

    def _enter(self, node_id: bytes, source: str) -> None:
        self._sources.put(source, node_id)
        self._resized(source)

    def _take_out(self, node_id: bytes) -> None:
        source = self._sources.group_of[node_id]
        self._sources.remove(node_id)
        self._resized(source)

    def _resized(self, source: str) -> None:
        size = self._sources.size(source)
        if size:
            self._by_size.put(size, source)
        else:
            self._by_size.remove(source)
        if size > self._most or self._most not in self._by_size:
            self._most = size
