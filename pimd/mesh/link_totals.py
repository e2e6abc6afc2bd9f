"""Sums over all connections of a node, ended ones included."""

from dataclasses import dataclass, fields
from typing import Self

from pimd.mesh.counters import CounterName
from pimd.proto.link import Link


@dataclass(frozen=True)
class LinkTotals:
    """Sums over connections, frames unless said otherwise."""

    bytes_in: int = 0
    """From the stream, handshake and framing included."""
    bytes_out: int = 0
    unknown_frames: int = 0
    """Frames of kinds that this version does not know."""
    dropped_cards: int = 0
    dropped_messages: int = 0
    dropped_datagrams: int = 0
    dropped_streams: int = 0
    """Own or relayed frames that were not sent: no room, too old, or lost with their link."""
    refused: int = 0
    """Own frames that found no room; their sender was told."""
    marked: int = 0
    """Frames marked as congested by a queue of this node."""
    forwarded: int = 0
    """Relayed frames."""
    forwarded_bytes: int = 0
    """Bytes of payload in these frames."""

    @classmethod
    def of(cls, link: Link) -> Self:
        """Read the values of one link."""
        messages, datagrams, streams = link.counts
        return cls(
            link.bytes_in,
            link.bytes_out,
            link.unknown_frames,
            link.dropped_cards,
            messages.dropped,
            datagrams.dropped,
            streams.dropped,
            sum(one.refused for one in link.counts),
            sum(one.marked for one in link.counts),
            sum(one.relayed for one in link.counts),
            sum(one.relayed_bytes for one in link.counts),
        )

    def __add__(self, other: "LinkTotals") -> Self:
        return type(self)(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def counters(self) -> dict[CounterName, int]:
        """The values under the names of the node's counters."""
        return {
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "unknown_frames": self.unknown_frames,
            "dropped_congestion": self.dropped_cards
            + self.dropped_messages
            + self.dropped_datagrams
            + self.dropped_streams,
            "messages_dropped": self.dropped_messages,
            "datagrams_dropped": self.dropped_datagrams,
            "streams_dropped": self.dropped_streams,
            "refused_congested": self.refused,
            "marked_congested": self.marked,
            "forwarded_frames": self.forwarded,
            "forwarded_bytes": self.forwarded_bytes,
        }
