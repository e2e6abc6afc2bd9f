"""`type u8 | length u16 | value` items, as cards and link proofs carry them."""

import struct
from collections.abc import Iterable

from pimd.proto.errors import DecodeError, LocalProtocolError

_HEAD = struct.Struct(">BH")


def parse(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """Return (type, value) pairs in order; DecodeError when an item overruns."""
    items: list[tuple[int, bytes]] = []
    offset = 0
    while offset < len(data):
        if offset + _HEAD.size > len(data):
            raise DecodeError("an extension item is cut short")
        kind, length = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        if offset + length > len(data):
            raise DecodeError("an extension item overruns")
        items.append((kind, data[offset : offset + length]))
        offset += length
    return tuple(items)


def build(items: Iterable[tuple[int, bytes]]) -> bytes:
    """Join items; LocalProtocolError for a type or value that does not fit."""
    try:
        return b"".join(_HEAD.pack(kind, len(value)) + value for kind, value in items)
    except struct.error as error:
        raise LocalProtocolError(f"an extension item does not fit: {error}") from None
