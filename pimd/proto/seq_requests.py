"""Requests for a newer sequence number: this node's own, and those it passes on (docs/protocol.md, "Routing")."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from pimd.ids import NodeId

REMEMBERED_IDS = 4096
FORWARD_PAUSE_S = 0.3
"""One request a destination and kind is passed on in this time."""
FIRST_S, EVERY_S, PATIENCE_S, RARELY_S = 0.5, 1.0, 20.0, 10.0
"""The second request comes after the first time, then one each second time; after the third only each fourth."""
FLOOD_FROM = 3
"""From the third request on all neighbours are asked."""


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


class SeenRequests:
    """Which requests were passed on already."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()
        self._passed_on: OrderedDict[tuple[NodeId, bool], float] = OrderedDict()

    def may_pass_on(self, destination: NodeId, request_id: int, now: float, *, flood: bool) -> bool:
        """Note one request; False when it, or another of its kind just now, was passed on before."""
        if flood and request_id in self._ids:
            return False
        key = (destination, flood)
        if now - self._passed_on.get(key, float("-inf")) < FORWARD_PAUSE_S:
            return False
        self._passed_on[key] = now
        self._passed_on.move_to_end(key)
        _trim(self._passed_on)
        if flood:
            self.note_id(request_id)
        return True

    def note_id(self, request_id: int) -> None:
        """A flooded request with this id is not passed on any more."""
        self._ids[request_id] = None
        _trim(self._ids)


def _trim(remembered: OrderedDict[Any, Any]) -> None:
    while len(remembered) > REMEMBERED_IDS:
        remembered.popitem(last=False)
