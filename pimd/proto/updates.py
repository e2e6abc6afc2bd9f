"""What neighbours are still to be told of routes, in parts that one turn has time for (RFC 8966, section 3.7)."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from pimd.ids import NodeId
from pimd.limits import Bites, declare

GATHER_S = 0.002
UPDATE_PAUSE_S = 0.2
"""From one round of triggered updates to the next, unless it is urgent."""
FIRST_ROUTE_PAUSE_S = 0.02
"""Instead, when a destination had no route before: the pause counts at every hop of a line of relays."""
TOLD_AT_ONCE = declare(
    "entries and SeqRequests made in one turn of the event loop",
    1024,
    "entries",
    "of triggered updates, full tables and requests each; the other destinations wait for the next turn",
)

L = TypeVar("L")


class TriggeredUpdates:
    """Destinations whose change was not advertised yet (3.7.2), told in rounds.

    What changes during a round is told in the next one, so that a flood of changes cannot prolong a round for ever.
    """

    def __init__(self, bites: Bites) -> None:
        self._bites = bites
        self._round: dict[NodeId, None] = {}
        self._next_round: dict[NodeId, None] = {}
        self._next_at = float("inf")
        self._told_at = float("-inf")

    def __len__(self) -> int:
        return len(self._round) + len(self._next_round)

    def __iter__(self) -> Iterator[NodeId]:
        return itertools.chain(self._round, self._next_round)

    def add(self, node_id: NodeId, now: float, *, pause_s: float) -> None:
        """Advertise a changed route after 2 ms, and not before `pause_s` after the last round; 0 for what is urgent."""
        if node_id not in self._round:
            self._put(node_id, max(now + GATHER_S, self._told_at + pause_s))

    def retract(self, node_id: NodeId, now: float) -> None:
        """Advertise a lost route at once."""
        if node_id not in self._round:
            self._put(node_id, now)

    def discard(self, node_id: NodeId) -> bool:
        """Advertise it no more; False when it was not to be."""
        found = node_id in self._round or node_id in self._next_round
        self._round.pop(node_id, None)
        self._next_round.pop(node_id, None)
        return found

    def deadline(self) -> float:
        """Time of the next `take`; infinity when all was told."""
        return self._told_at if self._round else self._next_at

    def take(self, now: float, most: int) -> list[NodeId]:
        """Return what to advertise now, the oldest first; the caller calls again while `deadline` is due."""
        if not self._round:
            self._round, self._next_round, self._next_at = self._next_round, {}, float("inf")
        taken = list(itertools.islice(self._round, most))
        for node_id in taken:
            del self._round[node_id]
        self._bites.count(TOLD_AT_ONCE, len(self._round))
        self._told_at = now
        return taken

    def _put(self, node_id: NodeId, due: float) -> None:
        self._next_round[node_id] = None
        self._next_at = min(self._next_at, due)


class PartOfTable(NamedTuple, Generic[L]):
    """Destinations of a full table to send on a link; `first` and `last` as in `Routes`."""

    link: L
    destinations: list[NodeId]
    first: bool
    last: bool


class FullTables(Generic[L]):
    """Links on which a full table is to be sent (3.7.1), one after the other."""

    def __init__(self, destinations: Callable[[], Iterable[NodeId]]) -> None:
        self._destinations = destinations
        """Called when a table begins. What is selected later is a triggered update, which goes between the parts."""
        self._links: dict[L, None] = {}
        self._begun: L | None = None
        self._unsent: list[NodeId] = []
        self._due = float("inf")

    def add(self, links: Iterable[L], now: float) -> None:
        """Send a full table on each link that waits for none."""
        self._links.update(dict.fromkeys(links))
        self._due = now

    def discard(self, link: L) -> None:
        """Send none on a link that is down."""
        self._links.pop(link, None)
        if link == self._begun:
            self._begun = None

    def deadline(self) -> float:
        """Time of the next `take`; infinity when all tables were sent."""
        return self._due if self._links else float("inf")

    def take(self, most: int) -> PartOfTable[L]:
        """Return the next part; LookupError without one."""
        link = next(iter(self._links))
        first = link != self._begun
        if first:
            self._begun, self._unsent = link, list(self._destinations())
        part, self._unsent = self._unsent[:most], self._unsent[most:]
        if not self._unsent:
            self._begun = None
            del self._links[link]
        return PartOfTable(link, part, first, not self._unsent)
