"""Which identity is evicted from a full keystore (docs/protocol.md); nothing here takes longer when more are held."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pimd.ids import NodeId

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
        self._source_of: dict[NodeId, str] = {}
        self._sources: dict[str, OrderedDict[NodeId, None]] = {}
        """Those that were not put aside, the one seen longest ago first; never empty."""
        self._by_size: dict[int, dict[str, None]] = {}
        """Sources by how many they have there; never empty."""
        self._most = 0
        self._aside: OrderedDict[NodeId, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._source_of)

    def put(self, node_id: NodeId, source: str) -> None:
        """Enter an identity, or note that it was seen again; from another source it counts there."""
        if self._source_of.get(node_id) == source:
            if node_id not in self._aside:
                self._sources[source].move_to_end(node_id)
            return
        self.remove(node_id)
        self._enter(node_id, source)

    def remove(self, node_id: NodeId) -> None:
        """Forget an identity; an absent one is ignored."""
        if node_id in self._aside:
            del self._aside[node_id]
        elif node_id in self._source_of:
            self._take_out(node_id)
        self._source_of.pop(node_id, None)

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
            members = self._sources[next(iter(self._by_size[self._most]))]
            node_id = next(iter(members))
            if not may_go(node_id):
                self._take_out(node_id)
                self._aside[node_id] = None
            elif passed_over < min(SECOND_CHANCES, len(members)) and self._has_route(node_id):
                members.move_to_end(node_id)
                passed_over += 1
            else:
                return node_id
        return None

    def _look_again(self, most: int, may_go: Callable[[NodeId], bool]) -> None:
        for _ in range(min(len(self._aside), most)):
            node_id = next(iter(self._aside))
            if may_go(node_id):
                del self._aside[node_id]
                self._enter(node_id, self._source_of[node_id])
            else:
                self._aside.move_to_end(node_id)

    def _enter(self, node_id: NodeId, source: str) -> None:
        self._source_of[node_id] = source
        members = self._sources.setdefault(source, OrderedDict())
        members[node_id] = None
        self._resized(source, len(members) - 1, len(members))

    def _take_out(self, node_id: NodeId) -> None:
        source = self._source_of[node_id]
        members = self._sources[source]
        del members[node_id]
        if not members:
            del self._sources[source]
        self._resized(source, len(members) + 1, len(members))

    def _resized(self, source: str, before: int, after: int) -> None:
        if before:
            del self._by_size[before][source]
            if not self._by_size[before]:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, {})[source] = None
        if after > self._most or self._most not in self._by_size:
            self._most = after
