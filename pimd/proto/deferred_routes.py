"""Route entries that wait for a card, since only a destination can raise its own sequence number.

RFC 8966 has no such table: section 3.5.3 takes an update at once and believes its sequence number. Here a higher number
needs its owner's signature, so the entry waits. The entry that it would replace stays in use, as feasible as before.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from pimd.ids import NodeId
from pimd.proto.destinations import Destinations
from pimd.proto.frames import RouteEntry

L = TypeVar("L")


class DeferredRoutes(Generic[L]):
    """The last deferred entry of each link and destination, and when it came."""

    def __init__(self, kept: Destinations) -> None:
        self._kept = kept
        self._own = Destinations()
        self._waiting: dict[L, dict[NodeId, tuple[RouteEntry, float]]] = {}

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
        """Keep an entry, replacing the one for the same destination on this link."""
        waiting = self._waiting.setdefault(link, {})
        if entry.destination not in waiting:
            self._kept.hold(entry.destination)
            self._own.hold(entry.destination)
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

    def to_end(self, link: L, destination: NodeId) -> None:
        """Move an entry whose card was requested behind the others."""
        waiting = self._waiting[link]
        waiting[destination] = waiting.pop(destination)
