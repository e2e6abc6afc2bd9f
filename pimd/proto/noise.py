"""The Noise protocol framework (revision 34): 25519, ChaChaPoly and AESGCM, SHA256 and BLAKE2s, patterns as data."""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from pimd.proto.errors import HandshakeError, LocalProtocolError
from pimd.proto.noise_patterns import handshake_pattern

KEY_SIZE = 32
TAG_SIZE = 16
MAX_NONCE = 2**64 - 1
_NONCE_PREFIX = bytes(4)

_HASHES: dict[str, Callable[[bytes], bytes]] = {
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "BLAKE2s": lambda data: hashlib.blake2s(data).digest(),
}
_CIPHERS: dict[str, type[AESGCM | ChaCha20Poly1305]] = {"AESGCM": AESGCM, "ChaChaPoly": ChaCha20Poly1305}


class CipherState:
    """Key and counter of one direction (section 5.1); the key is never shown."""

    __slots__ = ("_aead", "_big_endian", "_cipher", "_nonce")

    def __init__(self, cipher: str) -> None:
        self._cipher = _CIPHERS[cipher]
        self._big_endian = cipher == "AESGCM"
        self._aead: AESGCM | ChaCha20Poly1305 | None = None
        self._nonce = 0

    def initialize_key(self, key: bytes) -> None:
        """Set the key and start counting at 0."""
        self._aead = self._cipher(key)
        self._nonce = 0

    @property
    def has_key(self) -> bool:
        """Whether data is encrypted at all."""
        return self._aead is not None

    def encrypt(self, ad: bytes, plaintext: bytes | bytearray) -> bytes:
        """Encrypt under the next counter; without a key return the plaintext."""
        return bytes(plaintext) if self._aead is None else self._aead.encrypt(self._next_nonce(), plaintext, ad)

    def decrypt(self, ad: bytes, ciphertext: bytes | memoryview) -> bytes:
        """Decrypt under the next counter; HandshakeError when it does not authenticate."""
        if self._aead is None:
            return bytes(ciphertext)
        try:
            return self._aead.decrypt(self._next_nonce(), ciphertext, ad)
        except (InvalidTag, ValueError):
            raise HandshakeError("a message does not authenticate") from None

    def rekey(self) -> None:
        """Replace the key by REKEY (section 4.2); the counter stays."""
        if self._aead is None:
            raise LocalProtocolError("a cipher without a key cannot rekey")
        self._aead = self._cipher(self._aead.encrypt(self._format(MAX_NONCE), bytes(KEY_SIZE), b"")[:KEY_SIZE])

    def _next_nonce(self) -> bytes:
        if self._nonce >= MAX_NONCE:
            raise LocalProtocolError("the counter of a key is used up")
        nonce = self._format(self._nonce)
        self._nonce += 1
        return nonce

    def _format(self, nonce: int) -> bytes:
        return _NONCE_PREFIX + nonce.to_bytes(8, "big" if self._big_endian else "little")


class _SymmetricState:
    """Chaining key, transcript hash and cipher (section 5.2)."""

    def __init__(self, protocol_name: str, cipher: str, hash_name: str) -> None:
        self._hash = _HASHES[hash_name]
        self._hash_name = hash_name.lower()
        self._cipher_name = cipher
        name = protocol_name.encode()
        self.h = name.ljust(32, b"\0") if len(name) <= KEY_SIZE else self._hash(name)
        self._ck = self.h
        self.cipher = CipherState(cipher)

    def mix_key(self, material: bytes) -> None:
        self._ck, key = self._hkdf(material, 2)
        self.cipher.initialize_key(key)

    def mix_hash(self, data: bytes) -> None:
        self.h = self._hash(self.h + data)

    def mix_key_and_hash(self, material: bytes) -> None:
        self._ck, mixed, key = self._hkdf(material, 3)
        self.mix_hash(mixed)
        self.cipher.initialize_key(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = self.cipher.encrypt(self.h, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        plaintext = self.cipher.decrypt(self.h, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split_keys(self) -> tuple[bytes, bytes]:
        first, second = self._hkdf(b"", 2)
        return first, second

    def split(self) -> tuple[CipherState, CipherState]:
        first, second = CipherState(self._cipher_name), CipherState(self._cipher_name)
        for cipher, key in zip((first, second), self.split_keys(), strict=True):
            cipher.initialize_key(key)
        return first, second

    def _hkdf(self, material: bytes, outputs: int) -> list[bytes]:
        temporary = self._hmac(self._ck, material)
        results = [b""]
        for number in range(1, outputs + 1):
            results.append(self._hmac(temporary, results[-1] + bytes((number,))))
        return results[1:]

    def _hmac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self._hash_name)


class HandshakeState:
    """One side of a handshake (section 5.3).

    `ephemeral` returns 32 fresh secret bytes; it is a parameter because protocol code draws no randomness itself.
    """

    def __init__(
        self,
        protocol_name: str,
        *,
        initiator: bool,
        prologue: bytes,
        ephemeral: Callable[[], bytes],
        static: bytes | None = None,
        remote_static: bytes | None = None,
        psks: Sequence[bytes] = (),
    ) -> None:
        _, pattern_name, dh, cipher, hash_name = protocol_name.split("_")
        pattern = handshake_pattern(pattern_name)
        if dh != "25519" or cipher not in _CIPHERS or hash_name not in _HASHES or len(psks) != pattern.psks:
            raise ValueError(f"{protocol_name} with {len(psks)} pre-shared keys is not supported")
        self._symmetric = _SymmetricState(protocol_name, cipher, hash_name)
        self._initiator = initiator
        self._ephemeral = ephemeral
        self._s = X25519PrivateKey.from_private_bytes(static) if static is not None else None
        self._e: X25519PrivateKey | None = None
        self._rs = X25519PublicKey.from_public_bytes(remote_static) if remote_static is not None else None
        self._re: X25519PublicKey | None = None
        self._psks = list(psks)
        self._mixes_ephemerals = bool(psks)
        self._messages = list(pattern.messages)
        self._my_turn = initiator
        self._symmetric.mix_hash(prologue)
        self._mix_pre_messages(pattern.initiator_pre, pattern.responder_pre)

    @property
    def finished(self) -> bool:
        """All messages were written and read."""
        return not self._messages

    @property
    def handshake_hash(self) -> bytes:
        """Identifies this session, 32 bytes (section 11.2)."""
        return self._symmetric.h

    @property
    def remote_static(self) -> bytes | None:
        """The peer's static key, once it is known."""
        return self._rs.public_bytes_raw() if self._rs is not None else None

    def write_message(self, payload: bytes) -> bytes:
        """Return the next message; LocalProtocolError when it is not ours to write."""
        tokens = self._take_turn(mine=True)
        message = b"".join(self._write_token(token) for token in tokens)
        return message + self._symmetric.encrypt_and_hash(payload)

    def read_message(self, message: bytes) -> bytes:
        """Return the payload of the peer's next message; HandshakeError when anything about it is wrong."""
        tokens = self._take_turn(mine=False)
        for token in tokens:
            message = self._read_token(token, message)
        return self._symmetric.decrypt_and_hash(message)

    def split(self) -> tuple[CipherState, CipherState]:
        """Return the transport ciphers, this side's sending one first."""
        if not self.finished:
            raise LocalProtocolError("the handshake is not finished")
        first, second = self._symmetric.split()
        return (first, second) if self._initiator else (second, first)

    def split_keys(self) -> tuple[bytes, bytes]:
        """Return the keys that `split` would give its ciphers, this side's sending one first, for a transport of one's own."""
        if not self.finished:
            raise LocalProtocolError("the handshake is not finished")
        first, second = self._symmetric.split_keys()
        return (first, second) if self._initiator else (second, first)

    def _take_turn(self, *, mine: bool) -> tuple[str, ...]:
        if not self._messages or self._my_turn is not mine:
            raise LocalProtocolError("the handshake expects another step")
        self._my_turn = not mine
        return self._messages.pop(0)

    def _mix_pre_messages(self, initiator_pre: tuple[str, ...], responder_pre: tuple[str, ...]) -> None:
        for tokens, is_own in ((initiator_pre, self._initiator), (responder_pre, not self._initiator)):
            if not tokens:
                continue
            key = self._s.public_key() if is_own and self._s is not None else self._rs
            if key is None:
                raise ValueError("this pattern needs a static key that was not given")
            self._symmetric.mix_hash(key.public_bytes_raw())

    def _write_token(self, token: str) -> bytes:
        if token == "e":
            self._e = X25519PrivateKey.from_private_bytes(self._ephemeral())
            public = self._e.public_key().public_bytes_raw()
            self._mix_ephemeral(public)
            return public
        if token == "s":
            return self._symmetric.encrypt_and_hash(self._own(self._s).public_key().public_bytes_raw())
        self._mix_secret(token)
        return b""

    def _read_token(self, token: str, message: bytes) -> bytes:
        if token == "e":
            public = self._cut(message, KEY_SIZE)
            self._re = X25519PublicKey.from_public_bytes(public)
            self._mix_ephemeral(public)
            return message[KEY_SIZE:]
        if token == "s":
            size = KEY_SIZE + (TAG_SIZE if self._symmetric.cipher.has_key else 0)
            public = self._symmetric.decrypt_and_hash(self._cut(message, size))
            self._rs = X25519PublicKey.from_public_bytes(public)
            return message[size:]
        self._mix_secret(token)
        return message

    @staticmethod
    def _cut(message: bytes, size: int) -> bytes:
        if len(message) < size:
            raise HandshakeError("a handshake message is cut short")
        return message[:size]

    def _mix_ephemeral(self, public: bytes) -> None:
        self._symmetric.mix_hash(public)
        if self._mixes_ephemerals:
            self._symmetric.mix_key(public)

    def _mix_secret(self, token: str) -> None:
        if token == "psk":
            self._symmetric.mix_key_and_hash(self._psks.pop(0))
            return
        own, remote = (token[0], token[1]) if self._initiator else (token[1], token[0])
        secret = self._own(self._e if own == "e" else self._s)
        public = self._re if remote == "e" else self._rs
        if public is None:
            raise LocalProtocolError(f"the key for {token} is not known yet")
        try:
            self._symmetric.mix_key(secret.exchange(public))
        except ValueError:
            raise HandshakeError("the peer sent a key of low order") from None

    @staticmethod
    def _own(key: X25519PrivateKey | None) -> X25519PrivateKey:
        if key is None:
            raise LocalProtocolError("this pattern needs a key that was not given")
        return key
