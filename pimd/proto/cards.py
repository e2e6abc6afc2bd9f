"""Signed PeerInfo, the identity card (docs/protocol.md)."""

import struct
from dataclasses import dataclass
from functools import cached_property

from pimd.characters import check_plain
from pimd.ids import NodeId
from pimd.proto import tlv
from pimd.proto.errors import DecodeError, LocalProtocolError
from pimd.proto.identity import KEY_SIZE, SIGNATURE_SIZE, Identity, is_low_order_x25519, node_id_of, verify

CARD_DOMAIN = b"pim-card-v1\0"
VERSION = 1
SEQ_LIMIT = 1 << 44
"""Sequence numbers are below this, in Unix milliseconds the year 2527."""
NAME_LIMIT = 64
EXT_LIMIT = 512
GATEWAY = 1
RELAYS = 2
KEEPS_MAIL = 4

_HEAD = struct.Struct(">B32s32sQBB")
_EXT_LEN = struct.Struct(">H")


class BadCard(DecodeError):  # noqa: N818 - the word of the protocol
    """A whole card with a fault inside; the card is dropped, the link stays."""


@dataclass(frozen=True)
class Card:
    """A valid card: its signature was verified, or just made."""

    ed25519_pub: bytes
    x25519_pub: bytes
    seq: int
    flags: int
    name: str
    ext: bytes
    raw: bytes
    """The card as on the wire."""

    @cached_property
    def node_id(self) -> NodeId:
        """Computed from the Ed25519 key, so the card needs no field for it."""
        return node_id_of(self.ed25519_pub)


def check_name(name: str) -> bytes:
    """Return the UTF-8 form; ValueError for more than 64 bytes, and for characters that are refused."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise ValueError("a name is valid Unicode") from None
    if len(encoded) > NAME_LIMIT:
        raise ValueError(f"a name has at most {NAME_LIMIT} bytes of UTF-8, this one {len(encoded)}")
    check_plain(name)
    return encoded


def issue(identity: Identity, seq: int, flags: int, name: str, ext: bytes = b"") -> Card:
    """Sign a card; LocalProtocolError for values that do not fit."""
    try:
        encoded = check_name(name)
        tlv.parse(ext)
    except (ValueError, DecodeError) as error:
        raise LocalProtocolError(str(error)) from None
    if not 0 <= seq < SEQ_LIMIT or flags not in range(256) or len(ext) > EXT_LIMIT:
        raise LocalProtocolError("sequence number, flags or extensions do not fit a card")
    head = _HEAD.pack(VERSION, identity.ed25519_pub, identity.x25519_pub, seq, flags, len(encoded))
    unsigned = head + encoded + _EXT_LEN.pack(len(ext)) + ext
    raw = unsigned + identity.sign(CARD_DOMAIN + unsigned)
    return Card(identity.ed25519_pub, identity.x25519_pub, seq, flags, name, ext, raw)


def card_length(buffer: bytes, offset: int) -> int:
    """Return the length of the card that begins at `offset`, by the version-1 layout; DecodeError when cut short."""
    if offset + _HEAD.size > len(buffer):
        raise DecodeError("a card is cut short")
    ext_at = offset + _HEAD.size + buffer[offset + _HEAD.size - 1]
    if ext_at + _EXT_LEN.size > len(buffer):
        raise DecodeError("a card is cut short")
    end = ext_at + _EXT_LEN.size + _EXT_LEN.unpack_from(buffer, ext_at)[0] + SIGNATURE_SIZE
    if end > len(buffer):
        raise DecodeError("a card is cut short")
    return int(end) - offset


def claims_of(raw: bytes) -> tuple[NodeId, bytes, int]:
    """Return id, X25519 key and seq of a card without verifying it; BadCard when it cannot be read."""
    if len(raw) < _HEAD.size or raw[0] != VERSION:
        raise BadCard("no card of version 1")
    _, ed25519_pub, x25519_pub, seq, _, _ = _HEAD.unpack_from(raw)
    return node_id_of(ed25519_pub), x25519_pub, seq


def signing_key_of(raw: bytes) -> bytes:
    """Return the Ed25519 key of a card that was verified before."""
    key: bytes = _HEAD.unpack_from(raw)[1]
    return key


def parse(raw: bytes) -> Card:
    """Verify one whole card; BadCard says what is wrong with it."""
    try:
        length = card_length(raw, 0)
    except DecodeError as error:
        raise BadCard(str(error)) from None
    if length != len(raw):
        raise BadCard("bytes are left over behind the card")
    version, ed25519_pub, x25519_pub, seq, flags, name_len = _HEAD.unpack_from(raw)
    if version != VERSION:
        raise BadCard(f"unknown card version {version}")
    name_end = _HEAD.size + name_len
    ext = raw[name_end + _EXT_LEN.size : -SIGNATURE_SIZE]
    _check_limits(seq, name_len, ext)
    name = _decode_name(raw[_HEAD.size : name_end])
    if not verify(ed25519_pub, CARD_DOMAIN + raw[:-SIGNATURE_SIZE], raw[-SIGNATURE_SIZE:]):
        raise BadCard("the signature does not hold")
    if is_low_order_x25519(x25519_pub):  # costs as much as the signature, and false cards have none
        raise BadCard("the X25519 key is of low order")
    return Card(ed25519_pub, x25519_pub, seq, flags, name, ext, raw)


def _check_limits(seq: int, name_len: int, ext: bytes) -> None:
    if seq >= SEQ_LIMIT:
        raise BadCard("the sequence number is 2^44 or more")
    if name_len > NAME_LIMIT:
        raise BadCard("the name is over 64 bytes")
    if len(ext) > EXT_LIMIT:
        raise BadCard("the extensions are over 512 bytes")
    try:
        tlv.parse(ext)
    except DecodeError as error:
        raise BadCard(str(error)) from None


def _decode_name(encoded: bytes) -> str:
    try:
        name = encoded.decode()
        check_name(name)
    except ValueError as error:
        raise BadCard(f"the name is malformed: {error}") from None
    return name


__all__ = [
    "EXT_LIMIT",
    "GATEWAY",
    "KEEPS_MAIL",
    "KEY_SIZE",
    "NAME_LIMIT",
    "RELAYS",
    "SEQ_LIMIT",
    "BadCard",
    "Card",
    "card_length",
    "check_name",
    "claims_of",
    "issue",
    "parse",
]
