"""Sender keys: each member encrypts for all others with a chain of its own, and signs with a key made for that chain. No I/O."""

import hashlib
import hmac
import struct
from dataclasses import dataclass, field, replace
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pimd.ids import NodeId
from pimd_features.groups.limits import KEY_MESSAGES, OverLimit
from pimd_features.groups.records import GROUP_SIZE, HASH_SIZE

KEY_ID_SIZE = 16
SECRET_SIZE = 32
SIGNATURE_SIZE = 64

_PURPOSE = b"pim-group-key-v1"
_GIVEN = struct.Struct(f">{GROUP_SIZE}s{HASH_SIZE}sI32s32s64s")


def message_key(chain: bytes) -> bytes:
    """Return the key of the message whose turn it is; the chain is that of sessions of messages."""
    return hmac.digest(chain, b"\x01", "sha256")


def next_chain(chain: bytes) -> bytes:
    """Return the chain key of the message after it."""
    return hmac.digest(chain, b"\x02", "sha256")


def is_signed(public: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether an Ed25519 signature holds."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Binding:
    """What a sender key is for: one sender, in one group, under one record."""

    group: bytes
    sender: NodeId
    record: bytes
    """The hash of the membership record."""

    def key_id(self, public: bytes) -> bytes:
        """Return what names the key in messages; another sender of the same key would get another id."""
        return hashlib.sha256(_PURPOSE + self.group + self.sender + self.record + public).digest()[:KEY_ID_SIZE]


@dataclass(frozen=True)
class GivenKey:
    """What members get of a sender key: they can open its messages from `next` on, and sign none."""

    binding: Binding
    next: int
    chain: bytes = field(repr=False)
    public: bytes

    @property
    def id(self) -> bytes:
        """16 bytes."""
        return self.binding.key_id(self.public)

    @classmethod
    def decode(cls, raw: bytes, sender: NodeId) -> Self:
        """Read what `OwnKey.give` wrote; ValueError when it is malformed, or not made by that sender.

        The signature is by the key itself and names the sender: nobody passes on the key of another as its own.
        """
        if len(raw) != _GIVEN.size:
            raise ValueError("a sender key has another length")
        group, record, number, chain, public, signature = _GIVEN.unpack(raw)
        given = cls(Binding(group, sender, record), number, chain, public)
        if number > KEY_MESSAGES.value:
            raise OverLimit(KEY_MESSAGES)
        if not is_signed(public, signature, _signed(given)):
            raise ValueError("a sender key is another's")
        return given


def _signed(given: GivenKey) -> bytes:
    fixed = given.binding.group + given.binding.sender + given.binding.record
    return _PURPOSE + fixed + given.next.to_bytes(4) + given.chain + given.public


@dataclass(frozen=True)
class OwnKey:
    """A sender key of this node, with the chain key of the next message."""

    binding: Binding
    secret: bytes = field(repr=False)
    """The Ed25519 seed."""
    chain: bytes = field(repr=False)
    next: int = 0

    @property
    def public(self) -> bytes:
        """32 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()

    @property
    def id(self) -> bytes:
        """16 bytes."""
        return self.binding.key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)

    def give(self) -> bytes:
        """`group 16 | record hash 32 | next u32 | chain key 32 | public 32 | signature 64`; opens nothing from before."""
        given = GivenKey(self.binding, self.next, self.chain, self.public)
        fields = (self.binding.group, self.binding.record, self.next, self.chain, given.public)
        return _GIVEN.pack(*fields, self.sign(_signed(given)))

    def step(self) -> tuple["OwnKey", bytes]:
        """Return the key after the next message, and the key of that message."""
        return replace(self, chain=next_chain(self.chain), next=self.next + 1), message_key(self.chain)


def walk(chain: bytes, start: int, number: int) -> tuple[bytes, list[tuple[int, bytes]], bytes]:
    """Go from the chain key of `start` to a message; return the chain key after it, the keys passed over, and its own."""
    passed: list[tuple[int, bytes]] = []
    for one in range(start, number):
        passed.append((one, message_key(chain)))
        chain = next_chain(chain)
    return next_chain(chain), passed, message_key(chain)
