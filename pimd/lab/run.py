"""One run of a lab: a virtual loop, and all randomness from one seed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pimd.lab.entropy import seeded
from pimd.lab.virtual_loop import VirtualLoop

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]], *, seed: int) -> T:
    """Run `main()` to its end under virtual time; the same seed and the same code do the same, byte for byte."""
    with seeded(seed), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
