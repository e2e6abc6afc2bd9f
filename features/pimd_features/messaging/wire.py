"""The two payloads of messaging: a message and an acknowledgement."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from pimd.ids import MessageId

MSG_KIND = "messaging.msg"
ACK_KIND = "messaging.ack"
BODY_LIMIT = 8192
"""Bytes of UTF-8 of one message."""

_MSG = struct.Struct(">16sQ")
_ACK = struct.Struct(">16sB")
_CONGESTION_MET = 0x80


class AckKind(IntEnum):
    """What happened to the message."""

    DELIVERED = 1
    READ = 2


@dataclass(frozen=True)
class Msg:
    """A message in transit; the ciphertext is ECIES to the recipient."""

    message_id: MessageId
    timestamp_ms: int
    ciphertext: bytes

    def encode(self) -> bytes:
        """`message_id 16 | timestamp_ms u64 | ciphertext`."""
        return _MSG.pack(self.message_id, self.timestamp_ms) + self.ciphertext

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """ValueError when it is cut short."""
        if len(body) < _MSG.size:
            raise ValueError("the message is cut short")
        message_id, timestamp_ms = _MSG.unpack_from(body)
        return cls(MessageId(message_id), timestamp_ms, body[_MSG.size :])


@dataclass(frozen=True)
class Ack:
    """Tells the sender that a message was delivered or read."""

    message_id: MessageId
    kind: int
    """An `AckKind`; others are ignored."""
    congestion_met: bool = False
    """Whether the message came through a send queue that was half full."""

    def encode(self) -> bytes:
        """`message_id 16 | kind u8`, with bit 0x80 of the kind for `congestion_met`."""
        return _ACK.pack(self.message_id, self.kind | _CONGESTION_MET * self.congestion_met)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """ValueError when the length is wrong."""
        if len(body) != _ACK.size:
            raise ValueError("an acknowledgement has 17 bytes")
        message_id, kind = _ACK.unpack(body)
        return cls(MessageId(message_id), kind & ~_CONGESTION_MET, bool(kind & _CONGESTION_MET))
