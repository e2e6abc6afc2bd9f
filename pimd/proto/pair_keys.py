"""Keys of one pair of nodes for datagrams and streams: from an ephemeral exchange, deleted within the hour.

docs/protocol.md, "Datagrams". The exchange is Noise KK with the static keys of both cards, so each end proves itself to
the other. Its messages are sent as sealed payloads.
"""

import hmac
import struct
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from pimd.ids import NodeId
from pimd.proto.errors import HandshakeError
from pimd.proto.frames import (
    DATA,
    FLAG_CONGESTED,
    FLAG_FRAGMENT,
    FLAG_LAST_FRAGMENT,
    FLAG_SEALED,
    FLAG_STREAM,
    TTL_START,
)
from pimd.proto.handshake import CIPHERS, Cipher
from pimd.proto.identity import KEY_SIZE, Identity
from pimd.proto.noise import HandshakeState
from pimd.proto.sealed import ReplayWindow
from pimd.proto.traffic import TrafficClass

KEY_ID_SIZE = 4
OVERHEAD = KEY_ID_SIZE + 8 + 16
"""Bytes of key id, counter and tag around the plaintext."""

_PROLOGUE = b"pim-pair-v1\0"
_CLASS_DOMAIN = b"pim-class-v1\0"
_OFFER, _ANSWER = 1, 2
_OFFER_HEAD = struct.Struct(">BBI")
_ANSWER_HEAD = struct.Struct(">BI")
_PREFIX = struct.Struct(">4sQ")
_LENGTH = struct.Struct(">H")
_NONCE_PREFIX = bytes(4)
_FRAGMENTS = (0, FLAG_FRAGMENT, FLAG_FRAGMENT | FLAG_LAST_FRAGMENT)
_FLAGS = [FLAG_SEALED | stream | fragment for stream in (0, FLAG_STREAM) for fragment in _FRAGMENTS]
_AEADS: dict[Cipher, type[AESGCM | ChaCha20Poly1305]] = {"AESGCM": AESGCM, "ChaChaPoly": ChaCha20Poly1305}


class NotOpened(Exception):  # noqa: N818 - a relay may have lied about the source
    """The frame does not authenticate under the key that it names."""


class Repeated(Exception):  # noqa: N818 - it is no error of ours
    """The frame was opened before, or is older than the replay window."""


class SealingKey:
    """The key of one direction and class; counts its frames, so that no nonce is used twice."""

    __slots__ = ("_additional", "_aead", "_counter", "_heads", "_key_id")

    def __init__(self, key: bytes, cipher: Cipher, key_id: bytes, ends: bytes) -> None:
        self._aead = _AEADS[cipher](key)
        self._key_id = key_id
        self._counter = 0
        self._heads = {flags: bytes((DATA,)) + ends + bytes(4) + bytes((TTL_START, flags)) for flags in _FLAGS}
        self._additional = {flags: ends + bytes((flags,)) for flags in _FLAGS}

    def seal(self, flags: int, plaintext: bytes) -> bytearray:
        """Return the whole encoded Data frame."""
        counter = self._counter
        self._counter = counter + 1
        ciphertext = self._aead.encrypt(_NONCE_PREFIX + counter.to_bytes(8), plaintext, self._additional[flags])
        frame = bytearray(self._heads[flags])
        frame += _LENGTH.pack(len(ciphertext) + KEY_ID_SIZE + 8)
        frame += _PREFIX.pack(self._key_id, counter)
        frame += ciphertext
        return frame


class OpeningKey:
    """The key of the receiving direction, with its own replay window."""

    __slots__ = ("_additional", "_aead", "_window")

    def __init__(self, key: bytes, cipher: Cipher, ends: bytes) -> None:
        self._aead = _AEADS[cipher](key)
        self._window = ReplayWindow()
        self._additional = {flags: ends + bytes((flags,)) for flags in _FLAGS}

    def open(self, flags: int, payload: bytes) -> tuple[int, bytes]:
        """Return counter and plaintext; `NotOpened`, or `Repeated`. The mark of congestion is not authenticated."""
        nonce = _NONCE_PREFIX + payload[KEY_ID_SIZE : KEY_ID_SIZE + 8]
        additional = self._additional.get(flags & ~FLAG_CONGESTED)
        if additional is None:
            raise NotOpened
        try:
            plaintext = self._aead.decrypt(nonce, payload[KEY_ID_SIZE + 8 :], additional)
        except (InvalidTag, ValueError):
            raise NotOpened from None
        counter = int.from_bytes(nonce)
        if not self._window.accept(counter):
            raise Repeated
        return counter, plaintext


class PairKeys:
    """The result of one exchange: keys by class, for both directions."""

    __slots__ = ("datagram_opening", "datagram_sealing", "key_id", "since", "stream_opening", "stream_sealing")

    def __init__(self, noise: HandshakeState, cipher: Cipher, own: NodeId, peer: NodeId, now: float) -> None:
        send, receive = noise.split_keys()
        self.key_id = noise.handshake_hash[:KEY_ID_SIZE]
        self.since = now
        datagram, stream = TrafficClass.DATAGRAM, TrafficClass.STREAM
        self.datagram_sealing = SealingKey(_class_key(send, datagram), cipher, self.key_id, own + peer)
        self.datagram_opening = OpeningKey(_class_key(receive, datagram), cipher, peer + own)
        self.stream_sealing = SealingKey(_class_key(send, stream), cipher, self.key_id, own + peer)
        self.stream_opening = OpeningKey(_class_key(receive, stream), cipher, peer + own)

    def __repr__(self) -> str:
        return f"PairKeys({self.key_id.hex()})"


def _class_key(key: bytes, traffic_class: TrafficClass) -> bytes:
    return hmac.digest(key, _CLASS_DOMAIN + bytes((traffic_class,)), "sha256")


class Offer:
    """The initiator's half of one exchange."""

    def __init__(
        self, identity: Identity, peer: NodeId, peer_x25519: bytes, cipher: Cipher, random: Callable[[int], bytes]
    ) -> None:
        self._own = identity.node_id
        self._peer = peer
        self._cipher: Cipher = cipher
        self._id = int.from_bytes(random(4))
        self._noise = _noise(identity, peer_x25519, cipher, random, initiator=True, ends=self._own + peer)
        version = next(version for version, name in CIPHERS.items() if name == cipher)
        self.message = _OFFER_HEAD.pack(_OFFER, version, self._id) + self._noise.write_message(b"")

    def is_answered_by(self, message: bytes) -> bool:
        """Whether a message names this offer."""
        return len(message) >= _ANSWER_HEAD.size and _ANSWER_HEAD.unpack_from(message) == (_ANSWER, self._id)

    def finish(self, answer: bytes, now: float) -> PairKeys:
        """Take the answer, once; HandshakeError when it is not that of the peer."""
        if self._noise.read_message(answer[_ANSWER_HEAD.size :]):
            raise HandshakeError("an answer to an offer of keys carries something")
        return PairKeys(self._noise, self._cipher, self._own, self._peer, now)


def is_offer(message: bytes) -> bool:
    """Whether a message begins an exchange; otherwise it is an answer."""
    return message[:1] == bytes((_OFFER,))


def answer_offer(
    identity: Identity, peer: NodeId, peer_x25519: bytes, offer: bytes, random: Callable[[int], bytes], now: float
) -> tuple[bytes, PairKeys]:
    """Return the answer and the keys; HandshakeError when the offer is malformed or not the peer's."""
    if len(offer) < _OFFER_HEAD.size:
        raise HandshakeError("an offer of keys is cut short")
    _, version, offer_id = _OFFER_HEAD.unpack_from(offer)
    cipher = CIPHERS.get(version)
    if cipher is None:
        raise HandshakeError(f"an offer of keys for cipher {version}, which this node does not know")
    noise = _noise(identity, peer_x25519, cipher, random, initiator=False, ends=peer + identity.node_id)
    if noise.read_message(offer[_OFFER_HEAD.size :]):
        raise HandshakeError("an offer of keys carries something")
    message = _ANSWER_HEAD.pack(_ANSWER, offer_id) + noise.write_message(b"")
    return message, PairKeys(noise, cipher, identity.node_id, peer, now)


def _noise(
    identity: Identity,
    peer_x25519: bytes,
    cipher: Cipher,
    random: Callable[[int], bytes],
    *,
    initiator: bool,
    ends: bytes,
) -> HandshakeState:
    return HandshakeState(
        f"Noise_KK_25519_{cipher}_SHA256",
        initiator=initiator,
        prologue=_PROLOGUE + ends,
        ephemeral=lambda: random(KEY_SIZE),
        static=identity.x25519_secret(),
        remote_static=peer_x25519,
    )
