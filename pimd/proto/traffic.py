"""Traffic classes: which frames share a queue, how many bytes may wait, and the weight of each class."""

import enum
from dataclasses import dataclass

from pimd.limits import KIB, MIB, Limit, declare
from pimd.proto.frames import FLAG_CONTROL, FLAG_SEALED, FLAG_STREAM


class TrafficClass(enum.IntEnum):
    """The content of a Data frame by its flags, in the order of the weights."""

    MESSAGE = 0
    DATAGRAM = 1
    STREAM = 2


@dataclass(frozen=True)
class ClassLimits:
    """Limits and weight of one class on one link."""

    limit: Limit
    """Bytes that may wait unsent."""
    weight: int
    """Weight of the class while several classes wait."""
    age: Limit | None = None
    """Milliseconds after which a waiting frame is dropped; None for never."""


_NO_ROOM = "own frames are refused, and their sender is told; of relayed ones the biggest flow loses its newest"
MESSAGES = declare("unsent messages of a link", 1 * MIB, "bytes", _NO_ROOM)
DATAGRAMS = declare("unsent datagrams of a link", 512 * KIB, "bytes", _NO_ROOM)
STREAMS = declare("unsent streams of a link", 1 * MIB, "bytes", _NO_ROOM)
DATAGRAM_AGE = declare("time that a datagram waits on a link", 100, "ms", "dropped")

CLASS_LIMITS = (
    ClassLimits(MESSAGES, 8),
    ClassLimits(DATAGRAMS, 4, DATAGRAM_AGE),
    ClassLimits(STREAMS, 1),
)
"""Indexed by `TrafficClass`."""


CLASS_FLAGS = FLAG_STREAM | FLAG_CONTROL | FLAG_SEALED
"""The flags of a Data frame that name its class."""
MESSAGE_FLAGS = FLAG_CONTROL | FLAG_SEALED
DATAGRAM_FLAGS = FLAG_SEALED
STREAM_FLAGS = FLAG_STREAM | FLAG_SEALED

_NAMED = {MESSAGE_FLAGS: TrafficClass.MESSAGE, DATAGRAM_FLAGS: TrafficClass.DATAGRAM}

# Unknown flags of a later version are forwarded behind all known classes.
CLASS_OF_FLAGS = tuple(_NAMED.get(flags & CLASS_FLAGS, TrafficClass.STREAM) for flags in range(256))
"""Indexed by the flags of a Data frame; a table, because it is read for each relayed frame."""
