"""ML-KEM-768 (FIPS 203), its secret key kept as the seed that makes it."""

from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from pimd.proto.errors import LocalProtocolError

SEED_SIZE = 64
PUBLIC_SIZE = 1184
CIPHERTEXT_SIZE = 1088


class Scheme(Protocol):
    """What encapsulates and decapsulates."""

    def encapsulate(self, public: bytes) -> tuple[bytes, bytes]:
        """Return a fresh secret of 32 bytes and its ciphertext."""

    def decapsulate(self, seed: bytes, ciphertext: bytes) -> bytes:
        """Return the secret."""


class _MlKem:
    """That of the library, which draws its randomness itself."""

    def encapsulate(self, public: bytes) -> tuple[bytes, bytes]:
        return MLKEM768PublicKey.from_public_bytes(public).encapsulate()

    def decapsulate(self, seed: bytes, ciphertext: bytes) -> bytes:
        return MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)


scheme: Scheme = _MlKem()
"""A simulation, whose randomness repeats, sets another one."""


def public_of(seed: bytes) -> bytes:
    """Return the encapsulation key of a seed `d | z`, 64 bytes."""
    return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """Return a fresh secret of 32 bytes and its ciphertext; ValueError when the key is none."""
    return scheme.encapsulate(public)


def decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    """Return the secret; of a ciphertext that was changed another one, as FIPS 203 says."""
    return scheme.decapsulate(seed, ciphertext)


def probe() -> None:
    """Raise LocalProtocolError unless a secret comes through: the installed `cryptography` cannot do it."""
    seed = bytes(SEED_SIZE)
    try:
        secret, ciphertext = encapsulate(public_of(seed))
        works = decapsulate(seed, ciphertext) == secret
    except UnsupportedAlgorithm:
        works = False
    if not works:
        raise LocalProtocolError("ML-KEM-768 does not work")
