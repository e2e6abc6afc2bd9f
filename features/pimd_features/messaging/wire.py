"""The payload `messaging.acks`: acknowledgements, which go beside the sessions."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from pimd.ids import MessageId

ACKS_KIND = "messaging.acks"
ACKED_AT_ONCE = 256
"""Messages that one payload acknowledges at most."""

_CONGESTION_MET = 0x80


class AckKind(IntEnum):
    """What happened to the message."""

    DELIVERED = 1
    READ = 2


@dataclass(frozen=True)
class Acks:
    """Tells the sender that messages were delivered or read."""

    kind: int
    """An `AckKind`; others are ignored."""
    message_ids: tuple[MessageId, ...]
    congestion_met: bool = False
    """Whether one of them came through a send queue that was half full."""

    def encode(self) -> bytes:
        """`kind u8 | message_id 16 each`, with bit 0x80 of the kind for `congestion_met`."""
        return bytes([self.kind | _CONGESTION_MET * self.congestion_met]) + b"".join(self.message_ids)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """ValueError when the length is wrong."""
        if len(body) % MessageId.SIZE != 1:
            raise ValueError("acknowledgements have 1 byte and 16 for each message")
        ids = tuple(MessageId(body[at : at + MessageId.SIZE]) for at in range(1, len(body), MessageId.SIZE))
        return cls(body[0] & ~_CONGESTION_MET, ids, bool(body[0] & _CONGESTION_MET))
