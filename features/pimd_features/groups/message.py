"""A group message: `header | ChaCha20-Poly1305 | Ed25519`, the same bytes for all members. No I/O."""

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from pimd.contract import PARCEL_LIMIT
from pimd.ids import MessageId, NodeId
from pimd_features.groups.limits import PARENTS, OverLimit
from pimd_features.groups.records import GROUP_SIZE, HASH_SIZE
from pimd_features.groups.sender_keys import KEY_ID_SIZE, SIGNATURE_SIZE, OwnKey, is_signed

NONCE_SIZE = 12
TAG_SIZE = 16

_VERSION = 1
_ID = b"pim-group-message-v1"
_HEAD = struct.Struct(f">B{GROUP_SIZE}s{KEY_ID_SIZE}sII{HASH_SIZE}s{NONCE_SIZE}s")
_PLAIN = struct.Struct(">QB")
TEXT_LIMIT = PARCEL_LIMIT - 1 - _HEAD.size - TAG_SIZE - SIGNATURE_SIZE - _PLAIN.size - PARENTS.value * MessageId.SIZE
"""Bytes of UTF-8 that fit with the most parents."""


@dataclass(frozen=True)
class Text:
    """What only members see."""

    timestamp_ms: int
    parents: tuple[MessageId, ...]
    """The newest messages of the same record that its sender had and no other of them names."""
    body: str = field(repr=False)

    def encode(self) -> bytes:
        """`timestamp_ms u64 | count u8, message id 16 each | utf-8`."""
        return _PLAIN.pack(self.timestamp_ms, len(self.parents)) + b"".join(self.parents) + self.body.encode()

    @classmethod
    def decode(cls, plain: bytes) -> Self:
        """ValueError when it is malformed, empty, or names too many parents."""
        if len(plain) < _PLAIN.size:
            raise ValueError("a group message is cut short")
        timestamp_ms, count = _PLAIN.unpack_from(plain)
        end = _PLAIN.size + count * MessageId.SIZE
        if count > PARENTS.value:
            raise OverLimit(PARENTS)
        if timestamp_ms >= 2**63 or not 1 <= len(plain) - end <= TEXT_LIMIT:
            raise ValueError("a group message has no text, or too much")
        parents = tuple(MessageId(plain[at : at + MessageId.SIZE]) for at in range(_PLAIN.size, end, MessageId.SIZE))
        return cls(timestamp_ms, parents, plain[end:].decode())


@dataclass(frozen=True)
class GroupMessage:
    """A message in transit."""

    group: bytes
    key_id: bytes
    number: int
    """Of the message under its sender key, from 0."""
    record_number: int
    record: bytes
    """The hash of the membership record that its sender held."""
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def _head(self) -> bytes:
        fields = (self.group, self.key_id, self.number, self.record_number, self.record, self.nonce)
        return _HEAD.pack(_VERSION, *fields)

    def encode(self) -> bytes:
        """`1 | group 16 | key id 16 | number u32 | record number u32 | record hash 32 | nonce 12 | ciphertext | signature 64`."""
        return self._head() + self.ciphertext + self.signature

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """ValueError when it is malformed, or of another version; nothing is verified."""
        end = len(raw) - SIGNATURE_SIZE
        if end < _HEAD.size + TAG_SIZE or raw[0] != _VERSION:
            raise ValueError("a group message is cut short, or of another version")
        _, group, key_id, number, record_number, record, nonce = _HEAD.unpack_from(raw)
        return cls(group, key_id, number, record_number, record, nonce, raw[_HEAD.size : end], raw[end:])

    @property
    def id(self) -> MessageId:
        """What names it for all who have it: another text, or the same by another sender, has another id."""
        return MessageId(hashlib.sha256(_ID + self._head() + self.ciphertext).digest()[: MessageId.SIZE])

    def is_by(self, public: bytes) -> bool:
        """Whether the owner of a sender key signed it."""
        return is_signed(public, self.signature, _signed(self._head(), self.ciphertext))

    def open(self, key: bytes, sender: NodeId) -> Text:
        """Decrypt; ValueError when the key is another's, anything was changed, or the content is malformed."""
        try:
            plain = ChaCha20Poly1305(key).decrypt(self.nonce, self.ciphertext, self._head() + sender)
        except InvalidTag:
            raise ValueError("a group message does not authenticate") from None
        return Text.decode(plain)


def seal(text: Text, own: OwnKey, record_number: int, nonce: bytes) -> tuple[OwnKey, GroupMessage]:
    """Encrypt and sign the next message of a key; return the key after it, which opens nothing of before."""
    after, key = own.step()
    binding = own.binding
    draft = GroupMessage(binding.group, own.id, own.next, record_number, binding.record, nonce, b"", b"")
    head = draft._head()  # noqa: SLF001 - of its own class
    ciphertext = ChaCha20Poly1305(key).encrypt(nonce, text.encode(), head + binding.sender)
    return after, GroupMessage.decode(head + ciphertext + own.sign(_signed(head, ciphertext)))


def _signed(head: bytes, ciphertext: bytes) -> bytes:
    return _ID + head + ciphertext
