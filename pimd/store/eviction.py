"""Which identity is evicted from a full keystore (docs/protocol.md)."""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pimd.contract.services import KnownPeer
from pimd.ids import NodeId

SCAN_SHARE = 100
"""One search through all identities serves a hundredth as many requests, and finds victims for these."""


@dataclass(frozen=True)
class InUse:
    """The mesh's view of an identity, which decides whether it may be evicted."""

    has_route: Callable[[NodeId], bool] = lambda _: False
    """Whether frames for it have a next hop; others are evicted before it, and it does not age out."""
    is_configured: Callable[[NodeId], bool] = lambda _: False
    """Whether the configuration names it; it is never evicted and does not age out."""


NONE_IN_USE = InUse()
"""For a keystore without a mesh."""


class Victims:
    """Names the next identity to evict: first those without a route, then of the neighbour that brought the most.

    When few can be evicted, most requests are refused without a search. Otherwise each card of a stranger would cost a
    search through all identities. Among equals the one not seen for longest is evicted.
    """

    def __init__(
        self,
        identities: Mapping[NodeId, KnownPeer],
        seen_lived_ms: Mapping[NodeId, int],
        has_route: Callable[[NodeId], bool],
        who_may_go: Callable[[], Callable[[KnownPeer], bool]],
    ) -> None:
        self.brought_by: dict[NodeId, NodeId] = {}
        """The neighbour that brought the newest card, for identities learned since the start."""
        self._identities = identities
        self._seen_lived_ms = seen_lived_ms
        self._has_route = has_route
        self._who_may_go = who_may_go
        self._chosen: deque[NodeId] = deque()
        self._routeless = True
        self._requests: float = float("inf")

    def note_brought(self, node_id: NodeId, neighbour: NodeId) -> None:
        """Note which neighbour brought the newest card of an identity."""
        self.brought_by[node_id] = neighbour
        if len(self.brought_by) > len(self._identities):  # identities whose write failed are not kept
            self.brought_by = {kept: by for kept, by in self.brought_by.items() if kept in self._identities}

    def next(self) -> NodeId | None:
        """Return the identity to evict; None when none may be."""
        self._requests += 1
        victim = self._next_chosen()
        if victim is None and self._requests * SCAN_SHARE >= len(self._identities):
            self._requests = 0
            self._choose()
            victim = self._next_chosen()
        return victim

    def _next_chosen(self) -> NodeId | None:
        may_go = self._who_may_go()
        while self._chosen:
            peer = self._identities.get(self._chosen.popleft())
            if peer is not None and may_go(peer) and not (self._routeless and self._has_route(peer.node_id)):
                return peer.node_id
        return None

    def _choose(self) -> None:
        may_go = self._who_may_go()
        free = [peer for peer in self._identities.values() if may_go(peer)]
        routeless = [peer for peer in free if not self._has_route(peer.node_id)]
        self._routeless = bool(routeless)
        count = max(1, len(self._identities) // SCAN_SHARE)
        if not routeless and free:
            brought = Counter(self.brought_by.get(peer.node_id) for peer in free)
            (most, number), *others = brought.most_common(2)
            free = [peer for peer in free if self.brought_by.get(peer.node_id) == most]
            count = min(count, max(1, number - (others[0][1] if others else 0)))
        oldest = heapq.nsmallest(count, routeless or free, key=self._age_rank)
        self._chosen = deque(peer.node_id for peer in oldest)

    def _age_rank(self, peer: KnownPeer) -> tuple[int, NodeId]:
        return self._seen_lived_ms.get(peer.node_id, 0), peer.node_id
