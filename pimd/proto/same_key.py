"""What a node tells the two processes that prove the same key to it (docs/protocol.md)."""

import struct
from dataclasses import dataclass
from typing import Self

ADDRESS_LIMIT = 128
"""Bytes of UTF-8 of an address in a note."""
KIND = "mesh.same_key"
"""The kind of PluginPayload, sent on a link only, that carries a note to the process that is linked."""

_U8 = struct.Struct(">B")


@dataclass(frozen=True)
class SameKeyNote:
    """Where the two are, as their neighbour sees them, and the newest card of the one that is linked."""

    linked_at: str
    other_at: str
    card: bytes = b""

    def encode(self) -> bytes:
        """`length u8 | address | length u8 | address | card`; a longer address is cut."""
        return b"".join(_text(text) for text in (self.linked_at, self.other_at)) + self.card

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """ValueError when it is cut short; what cannot be printed is shown as `?`."""
        linked_at, rest = _cut(data)
        other_at, card = _cut(rest)
        return cls(linked_at, other_at, card)


def _text(text: str) -> bytes:
    raw = text.encode()[:ADDRESS_LIMIT]
    return _U8.pack(len(raw)) + raw


def _cut(data: bytes) -> tuple[str, bytes]:
    if not data or len(data) <= data[0] or data[0] > ADDRESS_LIMIT:
        raise ValueError("a note about a key is cut short")
    text = data[1 : 1 + data[0]].decode(errors="replace")
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in text), data[1 + data[0] :]
