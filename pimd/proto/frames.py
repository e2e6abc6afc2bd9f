"""The content of a record: `frame_type u8 | body` (docs/protocol.md)."""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from pimd.ids import NodeId
from pimd.proto.control import (
    PEER_INFO_REQUEST_LIMIT,
    PLUGIN_BODY_LIMIT,
    CardsCutShort,
    ControlFrame,
    Goodbye,
    GoodbyeReason,
    PeerInfoRequest,
    Ping,
    PluginPayload,
    Pong,
    Rekey,
    SeqRequest,
    SignedPeerInfo,
    UnknownControl,
    UnsignedPeerInfo,
    decode_control,
    encode_control,
)
from pimd.proto.errors import DecodeError, LocalProtocolError

TTL_START = 255
METRIC_RETRACTED = 65535
FLAG_FRAGMENT = 0x01
FLAG_LAST_FRAGMENT = 0x02
FLAG_CONGESTED = 0x10
"""A relay's queue was more than half full; not authenticated, so only a hint."""
FLAG_SEALED = 0x20
FLAG_CONTROL = 0x40
FLAG_STREAM = 0x80
DATA = 0x02
"""Frame type of MeshData."""
DST_AT = slice(17, 33)
TTL_AT, FLAGS_AT = 37, 38
"""Offsets of these fields in an encoded Data frame, its type included."""
PAYLOAD_AT = 41

_FIRST, _LAST, _HOPS = 1, 2, 4
_MESH_HEAD = struct.Struct(">16s16sIBBH")
_HEARTBEAT = struct.Struct(">QBH")
_ROUTES_HEAD = struct.Struct(">BH")
_ROUTE = struct.Struct(">16sQH")
_ROUTE_WITH_HOPS = struct.Struct(">16sQHB")
ENTRY_SIZE = _ROUTE_WITH_HOPS.size
"""Bytes of the longest route entry."""
METRIC_PER_HOP = 256
"""Metric that counts as one hop where hops are not announced."""
HOPS_MAX = 255
"""Stands for more, too."""
ENTRIES_A_RECORD = 1000


@dataclass(slots=True)
class MeshData:
    """A frame from `src` to `dst` over any number of hops; not frozen, which would double its cost."""

    src: NodeId
    dst: NodeId
    flags: int
    payload: bytes
    ttl: int = TTL_START
    session_id: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent when nothing else was sent for 5 s."""

    timestamp_ms: int
    load: int = 0
    gateway_metric: int = 0


class RouteEntry(NamedTuple):
    """A destination as its advertiser sees it."""

    destination: NodeId
    seq: int
    metric: int
    hops: int = 0
    """Number of links on the way, at most `HOPS_MAX`; 0 for the advertiser itself and in a retraction."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Part of a table; `first` and `last` mark a full one."""

    entries: tuple[RouteEntry, ...]
    first: bool
    last: bool
    hops: bool = False
    """Whether entries carry hops on the wire; only for peers that announce `ABILITY_HOPS`."""


@dataclass(frozen=True, slots=True)
class UnknownFrame:
    """A frame type of another version; counted and ignored."""

    frame_type: int


Frame = MeshData | Heartbeat | Routes | ControlFrame


def encode_mesh_data(frame: MeshData) -> bytes:
    """Write the body of a Data frame; LocalProtocolError for values that do not fit."""
    return bytes(encode_data(frame)[1:])


def encode_data(frame: MeshData) -> bytearray:
    """Write a whole Data frame, into a buffer in which its ttl and flags can still be changed."""
    encoded = bytearray(PAYLOAD_AT + len(frame.payload))
    encoded[0] = DATA
    try:
        _MESH_HEAD.pack_into(
            encoded, 1, frame.src, frame.dst, frame.session_id, frame.ttl, frame.flags, len(frame.payload)
        )
    except struct.error as error:
        raise LocalProtocolError(f"a value of MeshData does not fit: {error}") from None
    encoded[PAYLOAD_AT:] = frame.payload
    return encoded


def decode_mesh_data(data: bytes, offset: int = 0) -> MeshData:
    """Read the body of a Data frame, all of `data` from `offset` on."""
    payload_at = offset + _MESH_HEAD.size
    if len(data) < payload_at:
        raise DecodeError("MeshData is cut short")
    src, dst, session_id, ttl, flags, length = _MESH_HEAD.unpack_from(data, offset)
    if len(data) != payload_at + length:
        raise DecodeError("MeshData has another length than it says")
    # The struct guarantees the size of the ids; a second check costs measurable time.
    src_id, dst_id = bytes.__new__(NodeId, src), bytes.__new__(NodeId, dst)
    return MeshData(src_id, dst_id, flags, data[payload_at:], ttl, session_id)


def encode_frame(frame: Frame) -> bytes:
    """Write `frame_type | body`; PayloadTooLarge or LocalProtocolError when it does not fit."""
    match frame:
        case MeshData():
            return bytes(encode_data(frame))
        case Heartbeat():
            try:
                return b"\x04" + _HEARTBEAT.pack(frame.timestamp_ms, frame.load, frame.gateway_metric)
            except struct.error as error:
                raise LocalProtocolError(f"a value of Heartbeat does not fit: {error}") from None
        case Routes():
            return b"\x07" + _encode_routes(frame)
        case _:
            return b"\x05" + encode_control(frame)


def decode_frame(plaintext: bytes) -> Frame | UnknownFrame | UnknownControl:
    """Read the plaintext of one record; DecodeError for a known type that has not exactly its form."""
    if not plaintext:
        raise DecodeError("an empty record")
    match plaintext[0]:
        case 0x02:
            return decode_mesh_data(plaintext, 1)
        case 0x05:
            return decode_control(plaintext[1:])
        case 0x04:
            if len(plaintext) != 1 + _HEARTBEAT.size:
                raise DecodeError(f"a Heartbeat has {_HEARTBEAT.size} bytes")
            return Heartbeat(*_HEARTBEAT.unpack_from(plaintext, 1))
        case 0x07:
            return _decode_routes(plaintext)
        case frame_type:
            return UnknownFrame(frame_type)


def _encode_routes(routes: Routes) -> bytes:
    flags = (_FIRST if routes.first else 0) | (_LAST if routes.last else 0) | (_HOPS if routes.hops else 0)
    try:
        if routes.hops:
            entries = [_ROUTE_WITH_HOPS.pack(*entry) for entry in routes.entries]
        else:
            entries = [_ROUTE.pack(destination, seq, metric) for destination, seq, metric, _ in routes.entries]
        return _ROUTES_HEAD.pack(flags, len(entries)) + b"".join(entries)
    except struct.error as error:
        raise LocalProtocolError(f"a value of Routes does not fit: {error}") from None


def _decode_routes(plaintext: bytes) -> Routes:
    if len(plaintext) < 1 + _ROUTES_HEAD.size:
        raise DecodeError("Routes is cut short")
    flags, count = _ROUTES_HEAD.unpack_from(plaintext, 1)
    entries_at = 1 + _ROUTES_HEAD.size
    form = _ROUTE_WITH_HOPS if flags & _HOPS else _ROUTE
    if len(plaintext) != entries_at + count * form.size:
        raise DecodeError("Routes has another length than it says")
    rows = form.iter_unpack(memoryview(plaintext)[entries_at:])
    # The struct guarantees the size of the id; a second check of thousands costs measurable time.
    if flags & _HOPS:
        entries = [RouteEntry(bytes.__new__(NodeId, row[0]), *row[1:]) for row in rows]
    else:
        entries = [
            RouteEntry(bytes.__new__(NodeId, destination), seq, metric, metric // METRIC_PER_HOP)
            for destination, seq, metric in rows
        ]
    return Routes(tuple(entries), bool(flags & _FIRST), bool(flags & _LAST), bool(flags & _HOPS))


__all__ = [
    "ENTRIES_A_RECORD",
    "ENTRY_SIZE",
    "FLAG_CONTROL",
    "FLAG_SEALED",
    "HOPS_MAX",
    "METRIC_PER_HOP",
    "METRIC_RETRACTED",
    "PEER_INFO_REQUEST_LIMIT",
    "PLUGIN_BODY_LIMIT",
    "TTL_START",
    "CardsCutShort",
    "ControlFrame",
    "Frame",
    "Goodbye",
    "GoodbyeReason",
    "Heartbeat",
    "MeshData",
    "PeerInfoRequest",
    "Ping",
    "PluginPayload",
    "Pong",
    "Rekey",
    "RouteEntry",
    "Routes",
    "SeqRequest",
    "SignedPeerInfo",
    "UnknownControl",
    "UnknownFrame",
    "UnsignedPeerInfo",
    "decode_control",
    "decode_frame",
    "decode_mesh_data",
    "encode_control",
    "encode_data",
    "encode_frame",
    "encode_mesh_data",
]
