"""Routed control frames, sealed end to end with crypto_box (docs/protocol.md)."""

import struct
from dataclasses import dataclass
from typing import Final

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey

from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, declare
from pimd.proto.control import PluginPayload, UnknownControl, decode_control, encode_control
from pimd.proto.errors import DecodeError
from pimd.proto.frames import FLAG_CONTROL, FLAG_SEALED, MeshData
from pimd.proto.identity import Identity

NONCE_SIZE: Final = 24
WINDOW: Final = 4096
"""Counters below the highest that are remembered one by one."""
SHARED_KEYS: Final = declare("shared keys", 4096, "keys", "the one used longest ago is derived anew when it is needed")

_INNER_HEAD = struct.Struct(">16s16sQQ")


class SealedFrameError(DecodeError):
    """The frame cannot be opened with its source's key; counted against no node, since a relay can forge it."""


class IdsDiffer(SealedFrameError):  # noqa: N818 - what happened
    """The ids inside differ from those outside: the frame was reflected, or its source replaced."""


class NotAPayload(SealedFrameError):  # noqa: N818 - what happened
    """It opened, but holds no PluginPayload; its counter is used up."""

    def __init__(self, dst_seq: int, counter: int) -> None:
        super().__init__("a sealed frame holds something else than a PluginPayload")
        self.dst_seq = dst_seq
        self.counter = counter


@dataclass(frozen=True, slots=True)
class OpenedFrame:
    """The content of a sealed frame; its source is proven."""

    src: NodeId
    dst_seq: int
    counter: int
    frame: PluginPayload


class Sealer:
    """Seals and opens with the identity's X25519 key, one cached shared key a peer."""

    def __init__(self, identity: Identity, bites: Bites) -> None:
        self._secret = PrivateKey(identity.x25519_secret())
        self._boxes: RecentMap[bytes, Box] = RecentMap(SHARED_KEYS, bites)

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(
        self,
        payload: PluginPayload,
        *,
        src: NodeId,
        dst: NodeId,
        dst_x25519: bytes,
        dst_seq: int,
        counter: int,
        nonce: bytes,
    ) -> MeshData:
        """Return the frame to route; PayloadTooLarge when the body does not fit."""
        inner = _INNER_HEAD.pack(src, dst, dst_seq, counter) + encode_control(payload)
        ciphertext = self._box(dst_x25519).encrypt(inner, nonce).ciphertext
        return MeshData(src, dst, FLAG_CONTROL | FLAG_SEALED, nonce + ciphertext)

    def open(self, frame: MeshData, src_x25519: bytes) -> OpenedFrame:
        """Open with the alleged source's key; a SealedFrameError says what failed."""
        try:
            inner = self._box(src_x25519).decrypt(frame.payload[NONCE_SIZE:], frame.payload[:NONCE_SIZE])
        except (CryptoError, ValueError):
            raise SealedFrameError("a sealed frame does not open") from None
        if len(inner) < _INNER_HEAD.size:
            raise SealedFrameError("a sealed frame is cut short")
        src, dst, dst_seq, counter = _INNER_HEAD.unpack_from(inner)
        if src != frame.src or dst != frame.dst:
            raise IdsDiffer("the ids inside a sealed frame are not those outside")
        try:
            control = decode_control(inner[_INNER_HEAD.size :])
        except DecodeError:
            control = UnknownControl(0)
        if not isinstance(control, PluginPayload):
            raise NotAPayload(dst_seq, counter)
        return OpenedFrame(frame.src, dst_seq, counter, control)

    def _box(self, x25519_pub: bytes) -> Box:
        box = self._boxes.use(x25519_pub)
        if box is None:
            box = Box(self._secret, PublicKey(x25519_pub))
            self._boxes.put(x25519_pub, box)
        return box


class ReplayWindow:
    """The highest counter accepted and a bitmap of the 4096 below it."""

    __slots__ = ("_bits", "_highest")

    def __init__(self) -> None:
        self._highest = -1
        self._bits = 0

    def accept(self, counter: int) -> bool:
        """Accept a counter once; False for a repeat or one older than the window."""
        if counter > self._highest:
            shift = counter - self._highest
            kept = self._bits << shift if shift <= WINDOW else 0
            self._bits = (kept | 1) & ((1 << (WINDOW + 1)) - 1)
            self._highest = counter
            return True
        age = self._highest - counter
        if age > WINDOW or self._bits >> age & 1:
            return False
        self._bits |= 1 << age
        return True
