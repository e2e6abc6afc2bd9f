"""Replaces all randomness of the process by a seed, for the length of a run."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Replace `os.urandom` and what `secrets` draws from, seed the module `random`; all of it is put back at the end.

    Keys made meanwhile are worth nothing outside.
    """
    draw = random.Random(f"pimd.lab os.urandom {seed}").randbytes
    before = random.getstate()
    random.seed(f"pimd.lab random {seed}")
    try:
        with mock.patch.object(os, "urandom", draw), mock.patch.object(random, "_urandom", draw):
            yield
    finally:
        random.setstate(before)
