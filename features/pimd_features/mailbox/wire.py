"""What a mailbox is sent, and what it sends; the bodies of messages and bundles are opaque to it."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from pimd.contract import KIB, declare
from pimd.ids import MessageId, NodeId

PUT_KIND = "mailbox.put"
TAKEN_KIND = "mailbox.taken"
BUNDLE_KIND = "mailbox.bundle"
MAIL_KIND = "messaging.mail"
KEPT_KIND = "messaging.kept"
GIVEN_BUNDLE_KIND = "messaging.bundle"

MESSAGE_BYTES = declare("bytes of one kept message", 12 * KIB, "bytes", "the message is refused")
TAKEN_AT_ONCE = declare("messages that one payload of a recipient takes", 64, "messages", "the payload is dropped")

_VERSION = 1
_PUT = struct.Struct(f">BB{NodeId.SIZE}s{MessageId.SIZE}s")
_KEY_SIZE = NodeId.SIZE + MessageId.SIZE

Key = tuple[NodeId, MessageId]
"""Who left a message, and its id."""


class Answer(IntEnum):
    """What a mailbox says to who left something."""

    KEPT = 0
    NO_ROOM = 1
    NOT_SERVED = 2


@dataclass(frozen=True)
class Put:
    """Something to be kept for a recipient."""

    sort: int
    """What the body is; only the two ends know."""
    recipient: NodeId
    id: MessageId
    body: bytes = field(repr=False)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read `1 | sort u8 | recipient 16 | id 16 | body`; ValueError when it is malformed or of another version."""
        if len(raw) <= _PUT.size:
            raise ValueError("what is to be kept is cut short")
        version, sort, recipient, id_ = _PUT.unpack_from(raw)
        if version != _VERSION:
            raise ValueError("what is to be kept is of another version")
        return cls(sort, NodeId(recipient), MessageId(id_), raw[_PUT.size :])


@dataclass(frozen=True)
class Taken:
    """What a recipient says of messages that were handed to it."""

    later: bool
    """It has no room for them now; else it has stored or dropped them."""
    keys: tuple[Key, ...]

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read `later u8 | (source 16 | id 16) each`; ValueError when it is malformed."""
        if not raw or len(raw) % _KEY_SIZE != 1 or raw[0] > 1:
            raise ValueError("an answer has 1 byte and 32 for each message")
        keys = tuple(
            (NodeId(raw[at : at + NodeId.SIZE]), MessageId(raw[at + NodeId.SIZE : at + _KEY_SIZE]))
            for at in range(1, len(raw), _KEY_SIZE)
        )
        return cls(bool(raw[0]), keys)


def mail(sort: int, source: NodeId, id_: MessageId, body: bytes) -> bytes:
    """Return the body of `messaging.mail`: `1 | sort u8 | source 16 | id 16 | body`."""
    return _PUT.pack(_VERSION, sort, source, id_) + body


def answer(what: Answer, recipient: NodeId, ids: Iterable[MessageId] = ()) -> bytes:
    """Return the body of `messaging.kept`: `answer u8 | recipient 16 | id 16 each`; no id means its bundle."""
    return bytes((what,)) + recipient + b"".join(ids)
