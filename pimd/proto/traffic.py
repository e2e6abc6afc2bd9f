"""Traffic classes: which frames share a queue, how much of each may wait, and in which proportion they are sent."""

import enum
from dataclasses import dataclass

from pimd.proto.frames import FLAG_CONTROL, FLAG_SEALED, FLAG_STREAM


class TrafficClass(enum.IntEnum):
    """What a Data frame carries, by its flags; the order is that of the weights."""

    MESSAGE = 0
    DATAGRAM = 1
    STREAM = 2


@dataclass(frozen=True)
class ClassLimits:
    """What one class may hold on one link."""

    limit: int
    """Bytes that wait unsent."""
    weight: int
    """Share of the link while other classes wait, too."""
    age_s: float | None = None
    """What waited longer is dropped; None keeps it."""


CLASS_LIMITS = (
    ClassLimits(1 << 20, 8),
    ClassLimits(512 << 10, 4, age_s=0.1),
    ClassLimits(1 << 20, 1),
)
"""Indexed by `TrafficClass`."""


CLASS_FLAGS = FLAG_STREAM | FLAG_CONTROL | FLAG_SEALED
"""The flags of a Data frame that name its class."""
MESSAGE_FLAGS = FLAG_CONTROL | FLAG_SEALED
DATAGRAM_FLAGS = FLAG_SEALED

_NAMED = {MESSAGE_FLAGS: TrafficClass.MESSAGE, DATAGRAM_FLAGS: TrafficClass.DATAGRAM}

# What a later version may mean by other flags is forwarded behind everything that is known.
CLASS_OF_FLAGS = tuple(_NAMED.get(flags & CLASS_FLAGS, TrafficClass.STREAM) for flags in range(256))
"""Indexed by the flags of a Data frame; a table, because each frame on its way is looked up."""
