"""Requests for a newer sequence number: this node's own, and forwarded ones (docs/protocol.md, "Routing").

RFC 8966 keeps both in one table of pending requests (section 3.2.7). Here they are apart: own requests are repeated
until there is a route. Of forwarded ones only as many are remembered as are needed to end a flood.
"""

import heapq
import itertools
from dataclasses import dataclass

from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, RecentSet, declare

IDS = declare("SeqRequests remembered", 4096, "requests", "the oldest is forgotten: it may be forwarded again")
PASSED_ON = declare(
    "destinations remembered for which SeqRequests were passed on",
    4096,
    "destinations",
    "the oldest is forgotten: another request for it does not wait 300 ms",
)
FORWARD_PAUSE_S = 0.3
"""Seconds in which one request for each destination and kind is forwarded (suppression, section 3.8.1.2)."""
FIRST_S, EVERY_S, PATIENCE_S, RARELY_S = 0.5, 1.0, 20.0, 10.0
"""FIRST_S until the second request, then one each EVERY_S; after PATIENCE_S one each RARELY_S."""
FLOOD_FROM = 3
"""From the third request on all neighbours are asked, which section 3.8.2.1 allows from the first; few need it."""
ASKED_AT_ONCE = declare(
    "destinations asked for with SeqRequests at once", 1000, "destinations", "the others half a second later"
)
"""This is also what a neighbour takes from one link."""
ASK_PAUSE_S = 0.5


@dataclass(slots=True)
class Starving:
    """A destination without a route, of which unusable entries are known."""

    since: float
    asked: int = 0
    next_at: float = 0.0

    def ask(self, now: float) -> bool:
        """Count one more request and set when the next is due; True when it is to be flooded."""
        self.asked += 1
        later = EVERY_S if now - self.since < PATIENCE_S else RARELY_S
        self.next_at = now + (FIRST_S if self.asked == 1 else later)
        return self.asked >= FLOOD_FROM


class StarvingDestinations:
    """Destinations without a route, by the time of the next request.

    They are requested until they have a route. Section 3.8.2.1 repeats a request a few times only, because there
    updates expire; here entries may stay.
    """

    def __init__(self, bites: Bites) -> None:
        self._bites = bites
        self._starving: dict[NodeId, Starving] = {}
        self._due: list[tuple[float, int, NodeId]] = []
        """A heap; entries that differ from `_starving` are outdated and ignored."""
        self._numbers = itertools.count()
        self._taken = 0
        """Since the last moment in which none was due."""
        self._not_before = float("-inf")

    def __len__(self) -> int:
        return len(self._starving)

    def add(self, node_id: NodeId, now: float, *, anew: bool) -> None:
        """Start to request a destination; `anew`, with a new entry, requests it at once."""
        starving = self._starving.get(node_id)
        if starving is None or (anew and now - starving.since > PATIENCE_S):
            starving = self._starving[node_id] = Starving(now, next_at=now)
        elif anew and starving.next_at > now:
            starving.next_at = now
        else:
            return
        self._push(node_id, starving.next_at)

    def discard(self, node_id: NodeId) -> None:
        """Stop, because it has a route; an absent one is ignored."""
        self._starving.pop(node_id, None)

    def look_again(self, node_id: NodeId, now: float) -> None:
        """Check within a second whether a destination without entries is to be forgotten."""
        starving = self._starving.get(node_id)
        if starving is not None and starving.next_at > now + EVERY_S:
            starving.next_at = now + EVERY_S
            self._push(node_id, starving.next_at)

    def deadline(self) -> float:
        """Time at which the next destination is due; infinity without one."""
        while self._due and not self._is_current(*self._due[0]):
            heapq.heappop(self._due)
        return max(self._due[0][0], self._not_before) if self._due else float("inf")

    def take_due(self, now: float, most: int) -> list[NodeId]:
        """Return the due ones, the longest due first; the caller passes each to `ask` or `discard`."""
        due: dict[NodeId, None] = {}
        while self.deadline() <= now and len(due) < most:
            due[heapq.heappop(self._due)[2]] = None
            self._taken += 1
            if self._taken >= ASKED_AT_ONCE.value:
                self._bites.count(ASKED_AT_ONCE)
                self._not_before = now + ASK_PAUSE_S
        if self.deadline() > now:
            self._taken = 0
        return list(due)

    def ask(self, node_id: NodeId, now: float) -> bool:
        """Count one more request; True when it is to be flooded."""
        starving = self._starving[node_id]
        flood = starving.ask(now)
        self._push(node_id, starving.next_at)
        return flood

    def _is_current(self, at: float, _: int, node_id: NodeId) -> bool:
        starving = self._starving.get(node_id)
        return starving is not None and starving.next_at == at

    def _push(self, node_id: NodeId, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), node_id))
        if len(self._due) > 2 * len(self._starving) + ASKED_AT_ONCE.value:
            self._due = [entry for entry in self._due if self._is_current(*entry)]
            heapq.heapify(self._due)


class SeenRequests:
    """Which requests were forwarded already (section 3.8.1.2)."""

    def __init__(self, bites: Bites) -> None:
        self._ids: RecentSet[int] = RecentSet(IDS, bites)
        self._passed_on: RecentMap[tuple[NodeId, bool], float] = RecentMap(PASSED_ON, bites)

    def may_pass_on(self, destination: NodeId, request_id: int, now: float, *, flood: bool) -> bool:
        """Note a request; False when it was forwarded before, or another of its kind just now."""
        if flood and request_id in self._ids:
            return False
        key = (destination, flood)
        if now - self._passed_on.get(key, float("-inf")) < FORWARD_PAUSE_S:
            return False
        self._passed_on.put(key, now)
        if flood:
            self.note_id(request_id)
        return True

    def note_id(self, request_id: int) -> None:
        """Note the id of a flooded request, so that it is not forwarded again."""
        self._ids.add(request_id)
