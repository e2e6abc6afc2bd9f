"""Requests for a newer sequence number: this node's own, and those it passes on (docs/protocol.md, "Routing").

RFC 8966 keeps both in one table of pending requests (section 3.2.7). Here they are apart: what is asked for goes on until
there is a route, and of what was passed on only so much is remembered that a flood comes to its end.
"""

import heapq
import itertools
from dataclasses import dataclass

from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, RecentSet, declare

IDS = declare("SeqRequests remembered", 4096, "requests", "the oldest is forgotten: it may be passed on again")
PASSED_ON = declare(
    "destinations remembered for which SeqRequests were passed on",
    4096,
    "destinations",
    "the oldest is forgotten: another request for it does not wait 300 ms",
)
FORWARD_PAUSE_S = 0.3
"""One request a destination and kind is passed on in this time (the suppression of section 3.8.1.2)."""
FIRST_S, EVERY_S, PATIENCE_S, RARELY_S = 0.5, 1.0, 20.0, 10.0
"""The second request comes after the first time, then one each second time; after the third only each fourth."""
FLOOD_FROM = 3
"""From the third request on all neighbours are asked, which section 3.8.2.1 allows from the first; few need it."""
ASKED_AT_ONCE = declare(
    "destinations asked for with SeqRequests at once", 1000, "destinations", "the others half a second later"
)
"""A neighbour takes no more of one link either."""
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
    """Those without a route, by when each is asked for next; a change of one costs nothing of the others.

    They are asked for until they have one. Section 3.8.2.1 repeats a request a few times only: its updates expire, ours may stay.
    """

    def __init__(self, bites: Bites) -> None:
        self._bites = bites
        self._starving: dict[NodeId, Starving] = {}
        self._due: list[tuple[float, int, NodeId]] = []
        """A heap; what does not agree with `_starving` any more is passed over."""
        self._numbers = itertools.count()
        self._not_before = float("-inf")

    def __len__(self) -> int:
        return len(self._starving)

    def add(self, node_id: NodeId, now: float, *, anew: bool) -> None:
        """Begin to ask for it; at once, if something new is known of one that is asked for already."""
        starving = self._starving.get(node_id)
        if starving is None or (anew and now - starving.since > PATIENCE_S):
            starving = self._starving[node_id] = Starving(now, next_at=now)
        elif anew and starving.next_at > now:
            starving.next_at = now
        else:
            return
        self._push(node_id, starving.next_at)

    def discard(self, node_id: NodeId) -> None:
        """It has a route; an absent one is ignored."""
        self._starving.pop(node_id, None)

    def look_again(self, node_id: NodeId, now: float) -> None:
        """Nothing is known of it any more; if it stays so for a second it is forgotten."""
        starving = self._starving.get(node_id)
        if starving is not None and starving.next_at > now + EVERY_S:
            starving.next_at = now + EVERY_S
            self._push(node_id, starving.next_at)

    def deadline(self) -> float:
        """When the next one is due."""
        while self._due and not self._is_current(*self._due[0]):
            heapq.heappop(self._due)
        return max(self._due[0][0], self._not_before) if self._due else float("inf")

    def take_due(self, now: float) -> list[NodeId]:
        """Return those that are due, the longest due first; each is then to be given to `ask` or `discard`."""
        due: dict[NodeId, None] = {}
        while self.deadline() <= now:
            due[heapq.heappop(self._due)[2]] = None
            if len(due) == ASKED_AT_ONCE.value:
                self._bites.count(ASKED_AT_ONCE)
                self._not_before = now + ASK_PAUSE_S
        return list(due)

    def ask(self, node_id: NodeId, now: float) -> bool:
        """Count one more request for it; True when it is to be flooded."""
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
    """Which requests were passed on already (section 3.8.1.2)."""

    def __init__(self, bites: Bites) -> None:
        self._ids: RecentSet[int] = RecentSet(IDS, bites)
        self._passed_on: RecentMap[tuple[NodeId, bool], float] = RecentMap(PASSED_ON, bites)

    def may_pass_on(self, destination: NodeId, request_id: int, now: float, *, flood: bool) -> bool:
        """Note one request; False when it, or another of its kind just now, was passed on before."""
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
        """A flooded request with this id is not passed on any more."""
        self._ids.add(request_id)
