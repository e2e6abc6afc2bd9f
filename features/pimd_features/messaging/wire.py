"""The payload `messaging.acks`: acknowledgements, which go beside the sessions; and what mailboxes send and are sent."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from pimd.ids import MessageId, NodeId

ACKS_KIND = "messaging.acks"
MAIL_KIND = "messaging.mail"
KEPT_KIND = "messaging.kept"
PUT_KIND = "mailbox.put"
TAKEN_KIND = "mailbox.taken"
QUESTION_KIND = "mailbox.bundle"
"""A node id asks for the bundle of that node; a bundle is that of its sender."""
ACKED_AT_ONCE = 256
"""Messages that one payload acknowledges at most."""

_CONGESTION_MET = 0x80
_VERSION = 1
_ENVELOPE = struct.Struct(f">BB{NodeId.SIZE}s{MessageId.SIZE}s")

Key = tuple[NodeId, MessageId]
"""The other end, and the id."""


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


class Sort(IntEnum):
    """What a mailbox keeps, which does not know."""

    MESSAGE = 0
    """The body of `messaging.msg2`."""
    RESET = 1
    """The body of `messaging.reset`."""


class Answer(IntEnum):
    """What a mailbox says to who left something."""

    KEPT = 0
    NO_ROOM = 1
    NOT_SERVED = 2


@dataclass(frozen=True)
class Letter:
    """What is left at a mailbox, or handed over by one."""

    sort: int
    """A `Sort`, or one of a later version."""
    other: NodeId
    """The recipient of one that is left; the sender of one that is handed over, as the mailbox claims."""
    id: MessageId
    body: bytes = field(repr=False)

    def encode(self) -> bytes:
        """`1 | sort u8 | node id 16 | id 16 | body`."""
        return _ENVELOPE.pack(_VERSION, self.sort, self.other, self.id) + self.body

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """ValueError when it is malformed, or of another version."""
        if len(raw) <= _ENVELOPE.size:
            raise ValueError("a letter is cut short")
        version, sort, other, id_ = _ENVELOPE.unpack_from(raw)
        if version != _VERSION:
            raise ValueError("a letter is of another version")
        return cls(sort, NodeId(other), MessageId(id_), raw[_ENVELOPE.size :])


@dataclass(frozen=True)
class Kept:
    """What a mailbox says of messages for a recipient; without ids, of the bundle of the node that reads it."""

    answer: Answer
    recipient: NodeId
    ids: tuple[MessageId, ...]

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read `answer u8 | recipient 16 | id 16 each`; ValueError when it is malformed."""
        if len(raw) % MessageId.SIZE != 1 or len(raw) <= NodeId.SIZE:
            raise ValueError("an answer has 17 bytes and 16 for each message")
        at = range(1 + NodeId.SIZE, len(raw), MessageId.SIZE)
        ids = tuple(MessageId(raw[start : start + MessageId.SIZE]) for start in at)
        return cls(Answer(raw[0]), NodeId(raw[1 : 1 + NodeId.SIZE]), ids)


def taken(keys: Iterable[Key], *, later: bool) -> bytes:
    """Return the body of `mailbox.taken`: `later u8 | (source 16 | id 16) each`."""
    return bytes((later,)) + b"".join(source + id_ for source, id_ in keys)
