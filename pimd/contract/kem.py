"""ML-KEM-768 (FIPS 203), against who records now and has a quantum computer later; to be mixed with an X25519 secret."""

from pimd.proto import mlkem
from pimd.proto.errors import LocalProtocolError

KEM_SEED_SIZE = mlkem.SEED_SIZE
KEM_PUBLIC_SIZE = mlkem.PUBLIC_SIZE
KEM_CIPHERTEXT_SIZE = mlkem.CIPHERTEXT_SIZE


class KemMissing(Exception):  # noqa: N818 - says what is the matter
    """The installed `cryptography` cannot do ML-KEM-768; the text tells the user what to install."""


def kem_probe() -> None:
    """Raise `KemMissing` unless the functions here work; for the start of a feature that needs them."""
    try:
        mlkem.probe()
    except LocalProtocolError:
        raise KemMissing(
            "it needs ML-KEM-768, which the installed cryptography lacks; install its wheel of version 48 or later"
        ) from None


def kem_public_of(seed: bytes) -> bytes:
    """Return the public key, 1184 bytes, of 64 random secret bytes."""
    return mlkem.public_of(seed)


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """Return a fresh secret of 32 bytes, and the ciphertext that gives it to the owner of the key.

    Raises ValueError when the key is none.
    """
    return mlkem.encapsulate(public)


def decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    """Return the secret; of a ciphertext that was changed another one, as FIPS 203 says."""
    return mlkem.decapsulate(seed, ciphertext)
