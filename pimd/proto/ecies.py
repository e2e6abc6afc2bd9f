"""Encryption of stored bodies to a node's X25519 key (docs/protocol.md): ephemeral X25519, HKDF-SHA256, AES-256-GCM."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pimd.proto.errors import LocalProtocolError, RemoteProtocolError
from pimd.proto.identity import KEY_SIZE, Identity, hkdf_sha256

INFO = b"pim-e2e-v1"
NONCE_SIZE = 12
OVERHEAD = KEY_SIZE + NONCE_SIZE + 16
"""Bytes by which a ciphertext is longer than its plaintext."""


class EciesError(RemoteProtocolError):
    """The ciphertext was not made for this key, or was changed."""


def seal(recipient_x25519_pub: bytes, plaintext: bytes, ephemeral_secret: bytes, nonce: bytes) -> bytes:
    """Return `ephemeral public 32 | nonce 12 | ciphertext and tag`; both random inputs must be fresh for each call."""
    ephemeral = X25519PrivateKey.from_private_bytes(ephemeral_secret)
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient_x25519_pub))
    except ValueError:
        raise LocalProtocolError("the recipient's key is of low order") from None
    key = hkdf_sha256(shared, INFO, KEY_SIZE)
    return ephemeral.public_key().public_bytes_raw() + nonce + AESGCM(key).encrypt(nonce, plaintext, None)


def open(identity: Identity, ciphertext: bytes) -> bytes:  # noqa: A001 - the opposite of seal
    """Return the plaintext; EciesError otherwise."""
    if len(ciphertext) < OVERHEAD:
        raise EciesError("the ciphertext is cut short")
    nonce = ciphertext[KEY_SIZE : KEY_SIZE + NONCE_SIZE]
    try:
        key = hkdf_sha256(identity.agree(ciphertext[:KEY_SIZE]), INFO, KEY_SIZE)
        return AESGCM(key).decrypt(nonce, ciphertext[KEY_SIZE + NONCE_SIZE :], None)
    except (InvalidTag, ValueError):
        raise EciesError("the ciphertext was not made for this node, or was changed on the way") from None
