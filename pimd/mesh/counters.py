"""Counters of the node by name; `status` shows them, for example the reasons of drops."""

from collections import Counter
from typing import Literal

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto.frames import DATA, DST_AT
from pimd.proto.traffic import TrafficClass

CounterName = Literal[
    "bytes_in",
    "bytes_out",
    "unknown_frames",
    "links_opened",
    "links_closed",
    "links_checked",
    "links_without_answer",
    "handshakes_failed",
    "links_refused",
    "cards_learned",
    "cards_bad",
    "cards_of_other_keys",
    "dropped_cards_over_rate",
    "dropped_ids_over_rate",
    "dropped_not_relayed",
    "dropped_ttl",
    "dropped_no_route",
    "dropped_back_where_it_came_from",
    "dropped_seq_requests_over_rate",
    "seq_requests_not_sent",
    "dropped_returned_to_source",
    "dropped_unsealed",
    "dropped_unknown_source",
    "dropped_unopenable",
    "dropped_ids_differ",
    "dropped_not_a_payload",
    "dropped_before_start",
    "dropped_for_unknown_card",
    "dropped_replayed",
    "dropped_blocked",
    "dropped_unclaimed_kind",
    "dropped_plugin_queue_full",
    "dropped_quarantined",
    "dropped_congestion",
    "messages_dropped",
    "datagrams_dropped",
    "streams_dropped",
    "refused_congested",
    "marked_congested",
    "dropped_without_keys",
    "dropped_key_exchanges",
    "dropped_fragments",
    "dropped_unclaimed_datagrams",
    "dropped_malformed_datagrams",
    "dropped_unclaimed_streams",
    "datagrams_delivered",
    "congestion_met",
    "payloads_sealed",
    "payloads_opened",
    "payloads_delivered",
    "forwarded_frames",
    "forwarded_bytes",
]


class RouteCounts:
    """Frames and bytes queued or relayed for one destination."""

    __slots__ = ("bytes", "dropped", "frames", "refused")

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0
        self.dropped = [0] * len(TrafficClass)
        """Frames that were queued here and not sent, by traffic class."""
        self.refused = [0] * len(TrafficClass)
        """Own frames that found no room, by traffic class."""


class Counters:
    """Monotonic counters with fixed names, and the counts of limits that were reached."""

    def __init__(self, bites: Bites | None = None) -> None:
        self.bites = bites or Bites()
        self.routes: dict[NodeId, RouteCounts] = {}
        """By destination, for those with a route to which something was sent."""
        self._values: Counter[str] = Counter()

    def sent(self, destination: NodeId, size: int) -> None:
        """Count a frame that was queued or relayed for a destination."""
        route = self.routes.get(destination)
        if route is None:
            route = self.routes[destination] = RouteCounts()
        route.frames += 1
        route.bytes += size

    def refused(self, destination: NodeId, traffic_class: TrafficClass) -> None:
        """An own frame for a destination found no room."""
        route = self.routes.get(destination)
        if route is None:
            route = self.routes[destination] = RouteCounts()
        route.refused[traffic_class] += 1

    def dropped(self, traffic_class: TrafficClass, frame: bytes | bytearray) -> None:
        """A frame was queued on a link and will not be sent; called for every link."""
        destination = bytes(frame[DST_AT]) if frame[0] == DATA else b""
        route = self.routes.get(NodeId(destination)) if destination else None
        if route is not None:
            route.dropped[traffic_class] += 1

    def forget_route(self, destination: NodeId) -> None:
        """Drop the counts of a destination that has no route any more."""
        self.routes.pop(destination, None)

    def count(self, name: CounterName, by: int = 1) -> None:
        """Add `by`; a counter that stays at 0 does not appear."""
        if by:
            self._values[name] += by

    def snapshot(self) -> dict[str, int]:
        """Return every counter above 0."""
        return {**self._values, **self.bites.snapshot()}

    def __getitem__(self, name: CounterName) -> int:
        return self._values[name]
