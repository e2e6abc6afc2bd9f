"""The threads of one feature, for work that would block the event loop."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from pimd.calls import Calls, Outcome, Stopped
from pimd.limits import Bites, declare

T = TypeVar("T")

THREADS = declare("threads of a feature", 4, "threads", "further blocking work waits for one")


class Threads:
    """Runs blocking work in a bounded number of threads; implements `contract.RunBlocking`."""

    def __init__(self, feature: str, bites: Bites, *, in_loop: bool = False) -> None:
        self._feature = feature
        self._calls = Calls(f"feature {feature}", in_loop=in_loop)
        self._bites = bites
        self._in_loop = in_loop
        self._pool: ThreadPoolExecutor | None = None
        self._busy = 0
        self._lock = threading.Lock()

    async def run(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, or raise what it raises; in a simulation it runs in this turn."""
        outcome = self._call(function) if self._in_loop else await asyncio.wrap_future(self._submit(function))
        if outcome.error is not None:
            raise outcome.error
        result: T = outcome.value
        return result

    def close(self) -> int:
        """Begin nothing that waits; return how many functions still run, whose results are dropped."""
        self._calls.closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        return self._busy

    def _call(self, function: Callable[[], object]) -> Outcome:
        return self._calls.call("the function given to run_blocking", function)

    def _submit(self, function: Callable[[], object]) -> "Future[Outcome]":
        if self._calls.closed:
            raise Stopped(f"feature {self._feature} was stopped; it starts no thread any more")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS.value, thread_name_prefix=f"feature {self._feature}")
        with self._lock:
            if self._busy >= THREADS.value:
                self._bites.count(THREADS)
            self._busy += 1
        future = self._pool.submit(contextvars.copy_context().run, self._call, function)
        future.add_done_callback(self._freed)
        return future

    def _freed(self, _: "Future[Outcome]") -> None:
        with self._lock:
            self._busy -= 1
