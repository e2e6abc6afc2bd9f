"""The chain of a session: each message has a key of its own, and no key leads back to those before it."""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NONCE_SIZE = 12
TAG_SIZE = 16


def message_key(chain: bytes) -> bytes:
    """Return the key of the message whose turn it is."""
    return hmac.digest(chain, b"\x01", "sha256")


def next_chain(chain: bytes) -> bytes:
    """Return the chain key of the message after it."""
    return hmac.digest(chain, b"\x02", "sha256")


def encrypt(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """Return ciphertext and tag.

    The nonce is random: a restored backup uses keys twice, and then must not use nonces twice.
    """
    return ChaCha20Poly1305(key).encrypt(nonce, plain, associated)


def decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """Raise ValueError when anything of it differs from what was encrypted."""
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, ciphertext, associated)
    except InvalidTag:
        raise ValueError("the message does not authenticate") from None
