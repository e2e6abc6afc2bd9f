"""Route entries that wait for a card, since only a destination can raise its own sequence number.

RFC 8966 has no such table: section 3.5.3 takes an update at once and believes its sequence number. Here a higher number
needs its owner's signature, so the entry waits. The entry that it would replace stays in use, as feasible as before.
"""

import itertools
from collections.abc import Mapping
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.destinations import Destinations
from pimd.proto.frames import RouteEntry

CARD_WISH_S = 2.0
WISHES_AT_ONCE, WISHES_OF_ALL = 200, 2000
"""Cards that one link, and all, are asked for in that time; the others wait their turn."""

L = TypeVar("L")


class DeferredRoutes(Generic[L]):
    """The last deferred entry of each link and destination, when it came, and which cards to request for them."""

    def __init__(self, kept: Destinations) -> None:
        self._kept = kept
        self._own = Destinations()
        self._waiting: dict[L, dict[NodeId, tuple[RouteEntry, float]]] = {}
        self._wishes: list[tuple[L, NodeId]] = []
        self.wish_at = float("inf")
        """Time of the next `wish_again`."""

    def __len__(self) -> int:
        return len(self._own)

    def __contains__(self, destination: NodeId) -> bool:
        return destination in self._own

    def of_link(self, link: L) -> Mapping[NodeId, tuple[RouteEntry, float]]:
        """The deferred entries of a link with their times, the longest unrequested first."""
        return self._waiting.get(link, {})

    def get(self, link: L, destination: NodeId) -> RouteEntry | None:
        """Return the deferred entry of a destination on one link."""
        found = self.of_link(link).get(destination)
        return found[0] if found is not None else None

    def put(self, link: L, entry: RouteEntry, now: float) -> None:
        """Keep an entry, replacing the one for the same destination on this link; its card is requested if it is newer."""
        waiting = self._waiting.setdefault(link, {})
        before = waiting.get(entry.destination)
        if before is None:
            self._kept.hold(entry.destination)
            self._own.hold(entry.destination)
        if before is None or entry.seq > before[0].seq:
            self._wishes.append((link, entry.destination))
            self.wish_at = min(self.wish_at, now + CARD_WISH_S)
        waiting[entry.destination] = (entry, now)

    def drop(self, link: L, destination: NodeId) -> None:
        """Remove one; an absent one is ignored."""
        waiting = self._waiting.get(link)
        if waiting and waiting.pop(destination, None) is not None:
            self._kept.release(destination)
            self._own.release(destination)

    def drop_link(self, link: L) -> None:
        """Remove all deferred entries of a link."""
        for destination in list(self.of_link(link)):
            self.drop(link, destination)
        self._waiting.pop(link, None)

    def expire(self, link: L, before: float) -> None:
        """Remove the entries that came on a link before a moment."""
        for destination, (_, came) in list(self.of_link(link).items()):
            if came < before:
                self.drop(link, destination)

    def cards_wanted(self) -> list[tuple[L, NodeId]]:
        """Return which cards to request on which links, once."""
        wishes, self._wishes = self._wishes, []
        return wishes

    def wish_again(self, now: float) -> None:
        """Request the cards of deferred entries again, the longest unrequested first."""
        share = min(WISHES_AT_ONCE, max(WISHES_AT_ONCE // 10, WISHES_OF_ALL // max(1, len(self._waiting))))
        for link, waiting in self._waiting.items():
            for node_id in list(itertools.islice(waiting, share)):
                waiting[node_id] = waiting.pop(node_id)
                self._wishes.append((link, node_id))
        self.wish_at = now + CARD_WISH_S if self._own else float("inf")
