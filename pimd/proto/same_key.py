"""How processes that hold one key find each other, and what their neighbours tell them (docs/protocol.md)."""

import struct
from dataclasses import dataclass, replace
from typing import Self

from pimd.proto.identity import SIGNATURE_SIZE, Identity, verify

INSTANCE_SIZE = 8
ADDRESS_LIMIT = 128
"""Bytes of UTF-8 of an address in a note."""
SEARCH = "mesh.key_search"
"""The kind of PluginPayload that asks a neighbour, on the link, whether another process has the sender's key."""
QUESTION = "mesh.key_question"
"""Asks the process that has the key, on the link with it or routed."""
ANSWER = "mesh.key_answer"
"""Proves that it runs; without a signature a neighbour says that it knows of none."""
DOUBLED = "mesh.key_doubled"
"""Says to a neighbour, on the link, that another process has the sender's key."""
KINDS = frozenset({SEARCH, QUESTION, ANSWER, DOUBLED})

_QUESTION_DOMAIN = b"pim-key-in-use question\0"
_ANSWER_DOMAIN = b"pim-key-in-use answer\0"
_U8 = struct.Struct(">B")


@dataclass(frozen=True)
class KeyInUse:
    """A question or an answer about the key of the process that asks."""

    instance: bytes
    """8 random bytes of the start of the one that asks; so an answer cannot be older than the question."""
    address: str = ""
    """Where the one that asks, or answers, is; may be empty."""
    signature: bytes = b""
    """By the key that is asked about."""

    @classmethod
    def ask(cls, identity: Identity, instance: bytes) -> Self:
        """Ask about the key of `identity`; the signature shows that who asks holds it."""
        return cls(instance, "", identity.sign(_QUESTION_DOMAIN + instance))

    def seen_at(self, address: str) -> "KeyInUse":
        """Return the same from another address."""
        return replace(self, address=address)

    def answered(self, identity: Identity, address: str) -> "KeyInUse":
        """Answer that this process, at `address`, has the key."""
        return KeyInUse(self.instance, address, identity.sign(_ANSWER_DOMAIN + self.instance))

    def is_question_of(self, ed25519_pub: bytes) -> bool:
        """Tell whether somebody who holds the key asked."""
        return verify(ed25519_pub, _QUESTION_DOMAIN + self.instance, self.signature)

    def is_answer_of(self, ed25519_pub: bytes) -> bool:
        """Tell whether somebody who holds the key answered."""
        return verify(ed25519_pub, _ANSWER_DOMAIN + self.instance, self.signature)

    def encode(self) -> bytes:
        """`instance 8 | length u8 | address | signature 64, or nothing`; a longer address is cut."""
        return self.instance + _text(self.address) + self.signature

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ValueError when it has another form; what cannot be printed is shown as `?`."""
        address, signature = _cut(data[INSTANCE_SIZE:])
        if len(signature) not in {0, SIGNATURE_SIZE}:
            raise ValueError("a signature about a key has another length")
        return cls(data[:INSTANCE_SIZE], address, signature)


@dataclass(frozen=True)
class SameKeyNote:
    """Where the two are, as their neighbour sees them, and what shows that the one that is linked runs."""

    linked_at: str
    other_at: str
    signature: bytes = b""
    """Of its answer to the instance of the other; empty when it gave none."""

    def encode(self) -> bytes:
        """`length u8 | address | length u8 | address | signature`; a longer address is cut."""
        return b"".join(_text(text) for text in (self.linked_at, self.other_at)) + self.signature

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ValueError when it is cut short; what cannot be printed is shown as `?`."""
        linked_at, rest = _cut(data)
        other_at, signature = _cut(rest)
        return cls(linked_at, other_at, signature)


def _text(text: str) -> bytes:
    raw = text.encode()[:ADDRESS_LIMIT]
    return _U8.pack(len(raw)) + raw


def _cut(data: bytes) -> tuple[str, bytes]:
    if not data or len(data) <= data[0] or data[0] > ADDRESS_LIMIT:
        raise ValueError("a note about a key is cut short")
    text = data[1 : 1 + data[0]].decode(errors="replace")
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in text), data[1 + data[0] :]
