"""Replaces all randomness of the process by a seed, for the length of a run."""

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from pimd.proto import mlkem


class _ToyKem:
    """Gives the right owner the secret, and anybody else, too: that of the library draws randomness that does not repeat."""

    def encapsulate(self, public: bytes) -> tuple[bytes, bytes]:
        drawn = os.urandom(32)
        return hashlib.sha256(public + drawn).digest(), drawn.ljust(mlkem.CIPHERTEXT_SIZE, b"\0")

    def decapsulate(self, seed: bytes, ciphertext: bytes) -> bytes:
        return hashlib.sha256(mlkem.public_of(seed) + ciphertext[:32]).digest()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Replace `os.urandom` and what `secrets` draws from, seed the module `random`; all of it is put back at the end.

    Keys made meanwhile are worth nothing outside.
    """
    draw = random.Random(f"pimd.lab os.urandom {seed}").randbytes
    before = random.getstate()
    random.seed(f"pimd.lab random {seed}")
    try:
        with (
            mock.patch.object(os, "urandom", draw),
            mock.patch.object(random, "_urandom", draw),
            mock.patch.object(mlkem, "scheme", _ToyKem()),
        ):
            yield
    finally:
        random.setstate(before)
