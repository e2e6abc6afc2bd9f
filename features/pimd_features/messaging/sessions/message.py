"""The payload `messaging.msg2`, and what is encrypted in it."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions import chain
from pimd_features.messaging.sessions.header import HEADER_SIZE, SESSION_ID_SIZE

MSG_KIND = "messaging.msg2"
BODY_LIMIT = 8192
"""Bytes of the body of one message."""
PADDED_SIZES = (64, 256, 1024, 2048, 4096, 8448)

_VERSION = 1
_HAS_HEADER = 1
_ASKS_RECEIPT = 0x8000
_HEAD = struct.Struct(f">BB16s{SESSION_ID_SIZE}sI")
_PLAIN = struct.Struct(">HQB")


class Kind(IntEnum):
    """What the body of a message is."""

    TEXT = 0
    DELIVERED = 1
    READ = 2
    BUNDLE = 3
    GROUP = 4
    RECEIPTS = 5


ACKNOWLEDGED = frozenset({Kind.TEXT, Kind.GROUP, Kind.RECEIPTS})
"""Kinds of what is repeated until it is acknowledged."""


@dataclass(frozen=True)
class Plain:
    """What only the two ends see."""

    timestamp_ms: int
    kind: int
    """A `Kind`, or one of a later version."""
    body: bytes = field(repr=False)
    asks_receipt: bool = False
    """Whether the sender wants a signed receipt of this text."""

    def encode(self) -> bytes:
        """`length u16 | timestamp_ms u64 | kind u8 | body`, with zeros up to the next padded size; ValueError over 8 KiB.

        Bit 0x8000 of the length stands for `asks_receipt`.
        """
        if len(self.body) > BODY_LIMIT:
            raise ValueError(f"a body has at most {BODY_LIMIT} bytes")
        length = len(self.body) | _ASKS_RECEIPT * self.asks_receipt
        plain = _PLAIN.pack(length, self.timestamp_ms, self.kind) + self.body
        return plain.ljust(padded(len(self.body)), b"\0")

    @classmethod
    def decode(cls, plain: bytes) -> Self:
        """ValueError when it is not what `encode` makes."""
        if len(plain) not in PADDED_SIZES:
            raise ValueError("the message has no padded size")
        length, timestamp_ms, kind = _PLAIN.unpack_from(plain)
        length, asks_receipt = length & ~_ASKS_RECEIPT, bool(length & _ASKS_RECEIPT)
        end = _PLAIN.size + length
        if length > BODY_LIMIT or len(plain) != padded(length) or any(plain[end:]):
            raise ValueError("the message is not padded as it should be")
        return cls(timestamp_ms, kind, plain[_PLAIN.size : end], asks_receipt)


def padded(body_size: int) -> int:
    """Return the size to which the plaintext with a body of that size is padded."""
    return next(size for size in PADDED_SIZES if size >= _PLAIN.size + body_size)


@dataclass(frozen=True)
class Msg2:
    """A message in transit."""

    message_id: MessageId
    session_id: bytes
    number: int
    """Of the message in its session, from 0."""
    header: bytes = field(repr=False)
    """Empty once a message of the session was acknowledged."""
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)

    def encode(self) -> bytes:
        """`1 | flags u8 | message id 16 | session id 16 | number u32 | [header] | nonce 12 | ciphertext`."""
        return self._head() + self.nonce + self.ciphertext

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """ValueError when it is malformed, or of another version."""
        if len(body) < _HEAD.size:
            raise ValueError("the message is cut short")
        version, flags, message_id, session_id, number = _HEAD.unpack_from(body)
        if version != _VERSION or flags & ~_HAS_HEADER:
            raise ValueError("the message is of another version")
        nonce_at = _HEAD.size + (HEADER_SIZE if flags else 0)
        text_at = nonce_at + chain.NONCE_SIZE
        if len(body) - text_at - chain.TAG_SIZE not in PADDED_SIZES:
            raise ValueError("the message has no padded size")
        return cls(
            MessageId(message_id),
            session_id,
            number,
            body[_HEAD.size : nonce_at],
            body[nonce_at:text_at],
            body[text_at:],
        )

    @property
    def padded(self) -> int:
        """The size of the plaintext with its padding, known without opening it."""
        return len(self.ciphertext) - chain.TAG_SIZE

    def associated(self, source: NodeId, destination: NodeId) -> bytes:
        """Return what is authenticated with the ciphertext: both ends, and all before the nonce."""
        return source + destination + self._head()

    def _head(self) -> bytes:
        flags = _HAS_HEADER if self.header else 0
        return _HEAD.pack(_VERSION, flags, self.message_id, self.session_id, self.number) + self.header


def seal(
    draft: Plain,
    place: tuple[MessageId, bytes, int],
    header: bytes,
    key: bytes,
    nonce: bytes,
    ends: tuple[NodeId, NodeId],
) -> Msg2:
    """Encrypt for a place (message id, session id, number) between two ends (source, destination)."""
    unsealed = Msg2(*place, header, nonce, b"")
    ciphertext = chain.encrypt(key, nonce, draft.encode(), unsealed.associated(*ends))
    return Msg2(*place, header, nonce, ciphertext)


def open_with(msg: Msg2, key: bytes, source: NodeId, destination: NodeId) -> Plain:
    """Decrypt; ValueError when the key is another's, anything was changed, or the content is malformed."""
    return Plain.decode(chain.decrypt(key, msg.nonce, msg.ciphertext, msg.associated(source, destination)))
