"""The handshake of a link: preamble, Noise handshake, identity proofs (docs/protocol.md)."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from pimd.ids import NodeId
from pimd.proto import tlv
from pimd.proto.errors import DecodeError, HandshakeError, OtherMesh, SameKey, WrongPeer
from pimd.proto.identity import KEY_SIZE, LINK_PROOF_DOMAIN, SIGNATURE_SIZE, Identity, node_id_of, verify
from pimd.proto.link_states import RekeyLimits
from pimd.proto.noise import CipherState, HandshakeState
from pimd.proto.same_key import INSTANCE_SIZE

Cipher = Literal["ChaChaPoly", "AESGCM"]

MAGIC = b"PIM"
CIPHERS: dict[int, Cipher] = {0x02: "ChaChaPoly", 0x12: "AESGCM"}
MESSAGE_LIMIT = 1024
AGENT_LIMIT = 64
_PROOF_SIZE = KEY_SIZE + SIGNATURE_SIZE
ABILITY_CLASSES = 1
"""This node takes frames of the classes datagram and stream."""
ABILITY_HOPS = 2
"""This node reads Routes whose entries carry hops."""
ABILITY_CLOCK = 4
"""The timestamps of this node's Heartbeats are its wall clock, and the first comes when the link is up."""
ABILITY_ANNOUNCED = 8
"""This node has announced itself since its start, so that a new neighbour may learn from its table."""
ABILITIES = ABILITY_CLASSES | ABILITY_HOPS | ABILITY_CLOCK
"""The abilities that this node announces."""
_EXT_AGENT, _EXT_PORT, _EXT_ABILITIES, _EXT_INSTANCE, _EXT_QUESTION = 1, 2, 3, 4, 5
_PORT = struct.Struct(">H")
_ABILITIES = struct.Struct(">I")


@dataclass(frozen=True)
class LinkConfig:
    """Settings shared by all links of a node, and the peer that this one expects."""

    cipher: Cipher = "AESGCM"
    """The cipher that a dialler proposes; an acceptor takes both."""
    psk: bytes | None = field(default=None, repr=False)
    """The handshake key of a private mesh."""
    agent: str = ""
    listen_port: int | None = None
    expected: NodeId | None = None
    """The node that must answer at a dialled address."""
    rekey: RekeyLimits = field(default_factory=RekeyLimits)
    unix_ms: Callable[[], int] = lambda: 0
    """The wall clock for Heartbeats; 0 where there is none."""
    abilities: int = ABILITIES
    """Bits of `ABILITY_*`; none is what a node says that knows of no abilities."""
    instance: bytes | None = None
    """8 random bytes of this start, by which two processes with one key are told apart; None says nothing."""
    question: bytes = b""
    """The signature of `KeyInUse.ask` for the instance, which an acceptor shows to another process with the same key."""

    def expecting(self, node_id: NodeId | None) -> "LinkConfig":
        """Return the same with `expected` set."""
        return replace(self, expected=node_id)


@dataclass(frozen=True)
class LinkPeer:
    """The node that proved itself at the other end."""

    node_id: NodeId
    ed25519_pub: bytes
    x25519_pub: bytes
    agent: str
    """A stranger's text, at most 64 characters."""
    listen_port: int | None
    abilities: int = 0
    """Bits of `ABILITY_*`, unknown ones included."""
    instance: bytes | None = None
    """Of the peer's start; None from one that does not say."""
    question: bytes = b""
    """The signature of its question who else has its key; not checked."""


def preamble(cipher: Cipher) -> bytes:
    """Return the 4 bytes of the preamble that name version 2 and the cipher."""
    return MAGIC + bytes(version for version, name in CIPHERS.items() if name == cipher)


def cipher_of(handshake: bytes) -> Cipher:
    """Return the cipher that 4 bytes of the preamble name; HandshakeError for anything else."""
    cipher = CIPHERS.get(handshake[3])
    if handshake[:3] != MAGIC or cipher is None:
        raise HandshakeError("the first 4 bytes are not those of a PIM link version 2")
    return cipher


class Handshake:
    """The three messages of XX or XXpsk0 with a proof in the last two."""

    def __init__(
        self, identity: Identity, config: LinkConfig, cipher: Cipher, random: Callable[[int], bytes], *, dialler: bool
    ) -> None:
        self._identity = identity
        self._config = config
        self._private = config.psk is not None
        self.peer: LinkPeer | None = None
        """Who proved itself, also another process with the key of this node."""
        self._noise = HandshakeState(
            f"Noise_XX{'psk0' if self._private else ''}_25519_{cipher}_SHA256",
            initiator=dialler,
            prologue=preamble(cipher),
            ephemeral=lambda: random(KEY_SIZE),
            static=identity.x25519_secret(),
            psks=[config.psk] if config.psk is not None else [],
        )

    def write_first(self) -> bytes:
        """Return message 1, whose payload is empty."""
        return self._noise.write_message(b"")

    def read_first(self, message: bytes) -> None:
        """Take message 1; a payload in it is refused, or a private dialler would get an open node's identity."""
        try:
            payload = self._noise.read_message(message)
        except HandshakeError:
            if self._private:
                raise OtherMesh("mesh secret differs? compare `pim mesh status`") from None
            raise
        if payload:
            raise OtherMesh("is the peer in a private mesh? compare `pim mesh status`")

    def write_proof(self) -> bytes:
        """Return message 2 or 3 with this node's proof."""
        items = [(_EXT_AGENT, self._config.agent.encode()[:AGENT_LIMIT])]
        if self._config.listen_port:
            items.append((_EXT_PORT, _PORT.pack(self._config.listen_port)))
        if self._config.abilities:
            items.append((_EXT_ABILITIES, _ABILITIES.pack(self._config.abilities)))
        if self._config.instance is not None:
            items.append((_EXT_INSTANCE, self._config.instance))
        if self._config.question:
            items.append((_EXT_QUESTION, self._config.question))
        proof = self._identity.ed25519_pub + self._identity.link_proof_signature + tlv.build(items)
        return self._noise.write_message(proof)

    def read_proof(self, message: bytes) -> LinkPeer:
        """Return the proven peer; HandshakeError when the proof fails or names another node than expected."""
        payload = self._noise.read_message(message)
        static = self._noise.remote_static
        ed25519_pub, signature = payload[:KEY_SIZE], payload[KEY_SIZE:_PROOF_SIZE]
        if static is None or not verify(ed25519_pub, LINK_PROOF_DOMAIN + static, signature):
            raise HandshakeError("the identity proof does not hold")
        try:
            items = dict(tlv.parse(payload[_PROOF_SIZE:]))
        except DecodeError as error:
            raise HandshakeError(f"the identity proof is malformed: {error}") from None
        node_id = node_id_of(ed25519_pub)
        peer = LinkPeer(
            node_id,
            ed25519_pub,
            static,
            _agent(items.get(_EXT_AGENT, b"")),
            _port(items.get(_EXT_PORT)),
            _abilities(items.get(_EXT_ABILITIES)),
            _of_size(INSTANCE_SIZE, items.get(_EXT_INSTANCE)),
            _of_size(SIGNATURE_SIZE, items.get(_EXT_QUESTION)) or b"",
        )
        self.peer = peer
        self._check(peer)
        return peer

    def _check(self, peer: LinkPeer) -> None:
        if peer.node_id == self._identity.node_id:
            if peer.instance in {None, self._config.instance}:
                raise WrongPeer("the other end is this very node")
            raise SameKey("the other end has the key of this node")
        if self._config.expected is not None and peer.node_id != self._config.expected:
            raise WrongPeer(f"it is {peer.node_id}, not {self._config.expected} as expected")

    def split(self) -> tuple[CipherState, CipherState]:
        """Return the sending and the receiving cipher."""
        return self._noise.split()


def _agent(raw: bytes) -> str:
    text = raw[:AGENT_LIMIT].decode("ascii", "replace")
    return "".join(character if character.isprintable() and character.isascii() else "?" for character in text)


def _port(raw: bytes | None) -> int | None:
    return int(_PORT.unpack(raw)[0]) if raw is not None and len(raw) == _PORT.size else None


def _of_size(size: int, raw: bytes | None) -> bytes | None:
    return raw if raw is not None and len(raw) == size else None


def _abilities(raw: bytes | None) -> int:
    return int(_ABILITIES.unpack(raw)[0]) if raw is not None and len(raw) == _ABILITIES.size else 0
