"""A dialler written on another implementation of Noise, for tests of a running daemon."""

import hashlib
import socket
import struct

from nacl.signing import SigningKey
from noise.connection import Keypair, NoiseConnection

PROOF_DOMAIN = b"pim-link-v2 static key\0"
PREAMBLES = {"ChaChaPoly": b"PIM\x02", "AESGCM": b"PIM\x12"}


class ForeignLink:
    """Speaks docs/protocol.md with `noiseprotocol`; every step can be done wrong."""

    def __init__(
        self,
        port: int,
        *,
        psk: bytes | None = None,
        cipher: str = "AESGCM",
        seed: int = 1,
        static: bytes | None = None,
    ) -> None:
        self.signing = SigningKey(bytes([seed]) * 32)
        self.static = static or bytes([seed + 100]) * 32
        self.node_id = hashlib.sha256(bytes(self.signing.verify_key)).digest()[:16].hex()
        name = f"Noise_XX{'psk0' if psk else ''}_25519_{cipher}_SHA256"
        self.noise = NoiseConnection.from_name(name.encode())
        self.noise.set_as_initiator()
        self.noise.set_prologue(PREAMBLES[cipher])
        self.noise.set_keypair_from_private_bytes(Keypair.STATIC, self.static)
        if psk:
            self.noise.set_psks(psk=psk)
        self.noise.start_handshake()
        self.preamble = PREAMBLES[cipher]
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def proof(self) -> bytes:
        static_pub = self.noise.noise_protocol.keypairs["s"].public_bytes
        signature = self.signing.sign(PROOF_DOMAIN + static_pub).signature
        return bytes(self.signing.verify_key) + signature

    def open(self, proof: bytes | None = None, first_payload: bytes = b"") -> bytes:
        """Do the handshake and return the daemon's proof; ConnectionError when it hangs up."""
        self.socket.sendall(self.preamble)
        self.send(bytes(self.noise.write_message(first_payload)))
        theirs = bytes(self.noise.read_message(self.receive()))
        self.send(bytes(self.noise.write_message(self.proof() if proof is None else proof)))
        return theirs

    def send(self, message: bytes) -> None:
        self.socket.sendall(struct.pack(">H", len(message)) + message)

    def receive(self) -> bytes:
        (length,) = struct.unpack(">H", self._exactly(2))
        return self._exactly(length)

    def record(self) -> bytes:
        """The plaintext of the next record."""
        return bytes(self.noise.decrypt(self.receive()))

    def write(self, plaintext: bytes) -> None:
        """Send one record."""
        self.send(bytes(self.noise.encrypt(plaintext)))

    def until_closed(self) -> bytes:
        """Everything the daemon still sends."""
        found = b""
        try:
            while data := self.socket.recv(65536):
                found += data
        except ConnectionResetError:
            pass
        return found

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            data = self.socket.recv(size - len(found))
            if not data:
                raise ConnectionError("the daemon hung up")
            found += data
        return found
