"""ML-KEM-768 (FIPS 203), its secret key kept as the seed that makes it."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

SEED_SIZE = 64
PUBLIC_SIZE = 1184
CIPHERTEXT_SIZE = 1088


class KemMissing(Exception):  # noqa: N818 - says what is the matter
    """The installed `cryptography` cannot do ML-KEM-768."""


def public_of(seed: bytes) -> bytes:
    """Return the encapsulation key of a seed `d | z`, 64 bytes."""
    return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """Return a fresh secret of 32 bytes and its ciphertext; ValueError when the key is none."""
    return MLKEM768PublicKey.from_public_bytes(public).encapsulate()


def decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    """Return the secret; of a ciphertext that was changed another one, as FIPS 203 says."""
    return MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)


def probe() -> None:
    """Raise `KemMissing` unless a secret comes through; its text tells the user what to install."""
    seed = bytes(SEED_SIZE)
    try:
        secret, ciphertext = encapsulate(public_of(seed))
        works = decapsulate(seed, ciphertext) == secret
    except UnsupportedAlgorithm:
        works = False
    if not works:
        raise KemMissing(
            "messages need ML-KEM-768, which the installed cryptography lacks; install its wheel of 48 or later"
        )
