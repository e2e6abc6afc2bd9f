"""Control frames: `tag u8 | body` (docs/protocol.md)."""

import enum
import struct
from collections.abc import Callable
from dataclasses import dataclass

from pimd.ids import NodeId
from pimd.proto.cards import card_length
from pimd.proto.errors import DecodeError, LocalProtocolError, PayloadTooLarge

PLUGIN_BODY_LIMIT = 60_000
PEER_INFO_REQUEST_LIMIT = 64
KIND_LIMIT = 255

_KIND_BYTES = frozenset(range(0x21, 0x7F))
_GOODBYE = struct.Struct(">16sB")
_NONCE = struct.Struct(">Q")
_SEQ_REQUEST = struct.Struct(">16sQBBQ")
_U16 = struct.Struct(">H")


class GoodbyeReason(enum.IntEnum):
    """Why an end leaves; an unknown number is read as SHUTDOWN."""

    SHUTDOWN = 0
    DUPLICATE = 1
    NOT_ADMITTED = 2
    LIMIT = 3
    REMOVED = 4
    PROTOCOL_ERROR = 5
    KEY_IN_USE = 6

    @classmethod
    def _missing_(cls, value: object) -> "GoodbyeReason | None":
        return cls.SHUTDOWN if isinstance(value, int) else None


class CardsCutShort(DecodeError):  # noqa: N818 - what happened, in the words of the protocol
    """The last card is cut short or bytes are left over; the whole cards before it are still taken."""

    def __init__(self, whole: "SignedPeerInfo") -> None:
        super().__init__("the last card is cut short")
        self.whole = whole


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Ends the link; ignored unless it names the link's own peer."""

    departing: NodeId
    reason: GoodbyeReason
    detail: bytes = b""
    """Only with KEY_IN_USE: `SameKeyNote`, for a peer that sent an instance."""


@dataclass(frozen=True, slots=True)
class Rekey:
    """The last record under the sender's old key."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a Pong with the same nonce."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Echoes a Ping's nonce."""

    nonce: int


@dataclass(frozen=True, slots=True)
class UnsignedPeerInfo:
    """Version 1 only; never sent, ignored when received."""

    x25519_pub: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class PluginPayload:
    """Data of plugins: a kind such as `messaging.msg2`, and a body of at most 60 000 bytes."""

    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SignedPeerInfo:
    """One or more whole cards as raw bytes, not yet verified."""

    cards: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PeerInfoRequest:
    """Asks a neighbour for the cards of 1 to 64 ids."""

    ids: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class SeqRequest:
    """Asks a destination, over relays, for a newer sequence number."""

    destination: NodeId
    seq: int
    hop_budget: int
    flood: bool
    request_id: int


@dataclass(frozen=True, slots=True)
class UnknownControl:
    """A tag of a later version; counted and ignored."""

    tag: int


ControlFrame = (
    Goodbye | Rekey | Ping | Pong | UnsignedPeerInfo | PluginPayload | SignedPeerInfo | PeerInfoRequest | SeqRequest
)


def check_payload(payload: PluginPayload) -> bytes:
    """Return the encoded kind; PayloadTooLarge or LocalProtocolError when it cannot be sent."""
    if len(payload.body) > PLUGIN_BODY_LIMIT:
        raise PayloadTooLarge(
            f"a {payload.kind} payload has at most {PLUGIN_BODY_LIMIT} bytes, this one {len(payload.body)}"
        )
    kind = payload.kind.encode("ascii", "replace")
    if not 1 <= len(kind) <= KIND_LIMIT or not payload.kind.isascii() or not _KIND_BYTES.issuperset(kind):
        raise LocalProtocolError(f"{payload.kind!r} is no payload kind: 1 to {KIND_LIMIT} visible ASCII characters")
    return kind


def encode_control(frame: ControlFrame) -> bytes:
    """Write `tag | body`; LocalProtocolError for values that do not fit, nothing is ever truncated."""
    try:
        match frame:
            case PluginPayload():
                kind = check_payload(frame)
                return b"".join((b"\x08", bytes((len(kind),)), kind, _U16.pack(len(frame.body)), frame.body))
            case SignedPeerInfo() if frame.cards:
                return b"\x09" + b"".join(frame.cards)
            case Goodbye():
                return b"\x03" + _GOODBYE.pack(frame.departing, frame.reason) + frame.detail
            case Rekey():
                return b"\x04"
            case Ping():
                return b"\x05" + _NONCE.pack(frame.nonce)
            case Pong():
                return b"\x06" + _NONCE.pack(frame.nonce)
            case PeerInfoRequest() if 1 <= len(frame.ids) <= PEER_INFO_REQUEST_LIMIT:
                return b"\x0a" + bytes((len(frame.ids),)) + b"".join(frame.ids)
            case SeqRequest():
                return b"\x0b" + _SEQ_REQUEST.pack(
                    frame.destination, frame.seq, frame.hop_budget, int(frame.flood), frame.request_id
                )
            case _:
                raise LocalProtocolError(f"{type(frame).__name__} with these values is never sent")
    except struct.error as error:
        raise LocalProtocolError(f"a value of {type(frame).__name__} does not fit: {error}") from None


def decode_control(data: bytes) -> ControlFrame | UnknownControl:
    """Read one control frame, all of `data`; DecodeError for anything that has not exactly its form."""
    if not data:
        raise DecodeError("an empty control frame")
    tag = data[0]
    decoder = _DECODERS.get(tag)
    if decoder is None:
        return UnknownControl(tag)
    return decoder(data)


def _unpack(form: struct.Struct, data: bytes, name: str) -> tuple[int | bytes, ...]:
    if len(data) != 1 + form.size:
        raise DecodeError(f"{name} has {1 + form.size} bytes, not {len(data)}")
    return form.unpack_from(data, 1)


def _reserved(data: bytes) -> ControlFrame:
    raise DecodeError(f"control tag {data[0]} is reserved")


def _goodbye(data: bytes) -> ControlFrame:
    with_detail = len(data) > _GOODBYE.size and data[_GOODBYE.size] == GoodbyeReason.KEY_IN_USE
    end = 1 + _GOODBYE.size if with_detail else len(data)
    departing, reason = _unpack(_GOODBYE, data[:end], "Goodbye")
    return Goodbye(NodeId(bytes(departing)), GoodbyeReason(int(reason)), data[end:])


def _rekey(data: bytes) -> ControlFrame:
    if len(data) != 1:
        raise DecodeError("Rekey has no body")
    return Rekey()


def _ping(data: bytes) -> ControlFrame:
    return Ping(int(_unpack(_NONCE, data, "Ping")[0]))


def _pong(data: bytes) -> ControlFrame:
    return Pong(int(_unpack(_NONCE, data, "Pong")[0]))


def _unsigned_peer_info(data: bytes) -> ControlFrame:
    if len(data) < 34 or len(data) != 34 + data[33]:  # noqa: PLR2004 - tag, key, length
        raise DecodeError("an unsigned PeerInfo has another length than it says")
    return UnsignedPeerInfo(data[1:33], data[34:])


def _plugin_payload(data: bytes) -> ControlFrame:
    kind_end = 2 + (data[1] if len(data) > 1 else 0)
    if len(data) < kind_end + 2 or kind_end == 2:  # noqa: PLR2004 - an empty kind
        raise DecodeError("a PluginPayload is cut short or has no kind")
    kind = data[2:kind_end]
    (length,) = _U16.unpack_from(data, kind_end)
    if length > PLUGIN_BODY_LIMIT or len(data) != kind_end + 2 + length:
        raise DecodeError("a PluginPayload has another length than it says, or too long a body")
    if not _KIND_BYTES.issuperset(kind):
        raise DecodeError("a PluginPayload's kind has bytes outside 0x21..0x7e")
    return PluginPayload(kind.decode("ascii"), data[kind_end + 2 :])


def _signed_peer_info(data: bytes) -> ControlFrame:
    cards: list[bytes] = []
    offset = 1
    while offset < len(data):
        try:
            length = card_length(data, offset)
        except DecodeError:
            raise CardsCutShort(SignedPeerInfo(tuple(cards))) from None
        cards.append(data[offset : offset + length])
        offset += length
    if not cards:
        raise DecodeError("a SignedPeerInfo without a card")
    return SignedPeerInfo(tuple(cards))


def _peer_info_request(data: bytes) -> ControlFrame:
    count = data[1] if len(data) > 1 else 0
    if not 1 <= count <= PEER_INFO_REQUEST_LIMIT or len(data) != 2 + count * NodeId.SIZE:
        raise DecodeError("a PeerInfoRequest has another length than it says, or a count outside 1..64")
    return PeerInfoRequest(tuple(NodeId(data[at : at + NodeId.SIZE]) for at in range(2, len(data), NodeId.SIZE)))


def _seq_request(data: bytes) -> ControlFrame:
    destination, seq, budget, flags, request_id = _unpack(_SEQ_REQUEST, data, "SeqRequest")
    return SeqRequest(NodeId(bytes(destination)), int(seq), int(budget), bool(int(flags) & 1), int(request_id))


_DECODERS: dict[int, Callable[[bytes], ControlFrame]] = {
    0x01: _reserved,
    0x02: _reserved,
    0x03: _goodbye,
    0x04: _rekey,
    0x05: _ping,
    0x06: _pong,
    0x07: _unsigned_peer_info,
    0x08: _plugin_payload,
    0x09: _signed_peer_info,
    0x0A: _peer_info_request,
    0x0B: _seq_request,
}
