"""Traffic classes: which frames share a queue, how much of each may wait, and in which proportion they are sent."""

import enum
from dataclasses import dataclass

from pimd.limits import KIB, MIB, Limit, declare
from pimd.proto.frames import FLAG_CONTROL, FLAG_SEALED, FLAG_STREAM


class TrafficClass(enum.IntEnum):
    """What a Data frame carries, by its flags; the order is that of the weights."""

    MESSAGE = 0
    DATAGRAM = 1
    STREAM = 2


@dataclass(frozen=True)
class ClassLimits:
    """What one class may hold on one link."""

    limit: Limit
    """Bytes that wait unsent."""
    weight: int
    """Share of the link while other classes wait, too."""
    age: Limit | None = None
    """Milliseconds; what waited longer is dropped, None keeps it."""


_NO_ROOM = "own ones are refused, and their sender is told; of those for others the biggest flow loses its newest"
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

# What a later version may mean by other flags is forwarded behind everything that is known.
CLASS_OF_FLAGS = tuple(_NAMED.get(flags & CLASS_FLAGS, TrafficClass.STREAM) for flags in range(256))
"""Indexed by the flags of a Data frame; a table, because each frame on its way is looked up."""
