"""A node's keys, all derived from one 32-byte seed (docs/protocol.md)."""

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from pimd.ids import NodeId

SEED_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
KEY_SIZE: Final = 32
X25519_INFO: Final = b"pim-x25519-identity-v1"
FEATURE_DOMAIN: Final = b"pim-sign-v1"
LINK_PROOF_DOMAIN: Final = b"pim-link-v2 static key\0"
_PROBE: Final = X25519PrivateKey.from_private_bytes(hashlib.sha256(b"any scalar shows a low-order point").digest())


def hkdf_sha256(ikm: bytes, info: bytes, length: int) -> bytes:
    """Derive `length` bytes without a salt (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(ikm)


def node_id_of(ed25519_pub: bytes) -> NodeId:
    """Return the first 16 bytes of SHA-256 over the key."""
    return NodeId(hashlib.sha256(ed25519_pub).digest()[:16])


def verify(ed25519_pub: bytes, message: bytes, signature: bytes) -> bool:
    """Check by libsodium's rules: small-order keys and non-canonical values are invalid."""
    if len(ed25519_pub) != KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        VerifyKey(ed25519_pub).verify(message, signature)
    except (BadSignatureError, ValueError):
        return False
    return crypto_core_ed25519_is_valid_point(ed25519_pub)


def signed_for_feature(feature: str, domain: str, message: bytes) -> bytes:
    """Return what a node signs when one of its features asks for it; ValueError when `domain` holds a NUL."""
    if "\0" in domain:
        raise ValueError("a signing domain holds no NUL")
    return b"\0".join((FEATURE_DOMAIN, feature.encode(), domain.encode(), message))


def is_low_order_x25519(public: bytes) -> bool:
    """Tell whether every agreement with this point yields zero (RFC 7748 section 6.1)."""
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return True
    return False


class Identity:
    """The secret half of a node; shows only its NodeId when printed."""

    def __init__(self, seed: bytes) -> None:
        """Derive everything; ValueError unless the seed has 32 bytes."""
        if len(seed) != SEED_SIZE:
            raise ValueError(f"an identity seed is {SEED_SIZE} bytes, not {len(seed)}")
        self._seed = seed
        self._signing = SigningKey(seed)
        self._x25519 = X25519PrivateKey.from_private_bytes(hkdf_sha256(seed, X25519_INFO, KEY_SIZE))
        self.ed25519_pub = bytes(self._signing.verify_key)
        self.x25519_pub = self._x25519.public_key().public_bytes_raw()
        self.node_id = node_id_of(self.ed25519_pub)

    @classmethod
    def from_seed(cls, seed: bytes) -> "Identity":
        """Derive the keys of `seed`."""
        return cls(seed)

    def __repr__(self) -> str:
        return f"Identity({self.node_id})"

    def seed(self) -> bytes:
        """Return the raw 32 bytes; for the key file and features that declared the need."""
        return self._seed

    def x25519_secret(self) -> bytes:
        """Return the raw 32-byte scalar; for Noise and the Box only."""
        return self._x25519.private_bytes_raw()

    def agree(self, public: bytes) -> bytes:
        """X25519 with `public`; ValueError when the result is all zero."""
        return self._x25519.exchange(X25519PublicKey.from_public_bytes(public))

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature, 64 bytes; the caller puts its own prefix into the message."""
        return self._signing.sign(message).signature

    @property
    def link_proof_signature(self) -> bytes:
        """Binds the Noise static key to the Ed25519 key (docs/protocol.md)."""
        return self.sign(LINK_PROOF_DOMAIN + self.x25519_pub)
