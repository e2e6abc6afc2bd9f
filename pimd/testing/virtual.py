"""Runs an async test under the virtual clock of the lab."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from pimd.lab.run import run

P = ParamSpec("P")
SEED = 1


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a plain test of an async one: an hour of `asyncio.sleep` takes no time, and all randomness is the same each time.

    pytest needs no plugin for async tests then; those that are installed leave it alone. Sockets and threads are refused.
    """
    if not inspect.iscoroutinefunction(test):
        raise TypeError(f"{test.__qualname__} is no async function; write: async def {test.__name__}(...)")

    @functools.wraps(test)
    def plain(*args: P.args, **kwargs: P.kwargs) -> None:
        run(lambda: test(*args, **kwargs), seed=SEED)

    return plain
