"""The event loop of the process: code of a feature can neither end it nor replace its parts."""

import asyncio
import contextvars
import math
import os
import socket
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

from pimd.calls import running

FORKED = 1
"""Exit code of a copy of the process that a feature made and that came back from its code."""
LEFT_S = 0.5
"""Seconds that tasks which nobody owns have to end after the daemon did."""


class Loop(asyncio.SelectorEventLoop):
    """Runs one coroutine to its end; `took` gets the errors of tasks and callbacks that nobody owns."""

    def __init__(self, took: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]) -> None:
        super().__init__()
        self._took = took
        self._main: asyncio.Future[Any] | None = None
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._workers = ThreadPoolExecutor(thread_name_prefix="worker")
        self._resolvers = ThreadPoolExecutor(thread_name_prefix="resolver")
        super().set_default_executor(self._workers)
        super().set_exception_handler(took)
        super().set_task_factory(_task)
        os.register_at_fork(after_in_child=self._forked)

    def run(self, work: Coroutine[Any, Any, int]) -> int:
        """Run until `work` is done, then end the tasks that are left, and close."""
        try:
            code: int = self._until_done(work)
            left = [task for task in self._tasks if not task.done()]
            for task in left:
                task.cancel()
            if left:
                self._until_done(asyncio.wait(left, timeout=LEFT_S))
        finally:
            for executor in (self._workers, self._resolvers):
                executor.shutdown(wait=False, cancel_futures=True)
        return code

    def tell(self, error: BaseException, message: str) -> None:
        """Take an error that was raised outside of the loop; any thread may call."""
        try:
            self.call_soon_threadsafe(self._took, self, {"message": message, "exception": error})
        except RuntimeError:
            return  # the loop is closed

    # --- what a feature may not do

    def stop(self) -> None:
        """End `run_until_complete`, which calls this; RuntimeError for everybody else."""
        if self._main is not None and not self._main.done():
            _refuse("stop it")
        super().stop()

    def set_task_factory(self, factory: Any) -> None:
        """Raise RuntimeError."""
        del factory
        _refuse("replace its tasks")

    def set_exception_handler(self, handler: Any) -> None:
        """Raise RuntimeError."""
        del handler
        _refuse("replace its exception handler")

    def set_default_executor(self, executor: Any) -> None:
        """Raise RuntimeError."""
        del executor
        _refuse("replace its executor")

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the name in asyncio
        """Raise RuntimeError."""
        del timeout
        _refuse("end its executor")

    # --- what would break the order of all timers, or be used up or repeated without end

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Raise TypeError or ValueError for a time that cannot be compared with others."""
        number = float(when)
        if math.isnan(number):
            raise ValueError("a timer takes a number of seconds, not nan")
        return super().call_at(number, callback, *args, context=context)

    async def getaddrinfo(self, *args: Any, **named: Any) -> Any:
        """Resolve in threads of its own, since those of the default executor may all be busy."""
        return await self.run_in_executor(self._resolvers, partial(socket.getaddrinfo, *args, **named))

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """Watch until the callback raises: it would be called at once again, without end."""
        super().add_reader(fd, self._watched, partial(self.remove_reader, fd), partial(callback, *args))

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """Watch until the callback raises."""
        super().add_writer(fd, self._watched, partial(self.remove_writer, fd), partial(callback, *args))

    def _watched(self, end: Callable[[], object], callback: Callable[[], object]) -> None:
        try:
            callback()
        except BaseException:
            end()
            raise

    # --- inside

    def _until_done(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run until `work` is done.

        A SystemExit or KeyboardInterrupt in a task or timer that nobody owns makes asyncio end its loop; it is run again,
        and nothing that was queued is lost.
        """
        main = self._main = self.create_task(work, name="the daemon")
        while not main.done():
            try:
                self.run_until_complete(main)
            except (SystemExit, KeyboardInterrupt) as error:
                self.call_soon(self._took, self, {"message": "outside of any call", "exception": error})
        return main.result()

    def _forked(self) -> None:
        """End this copy of the process when it comes back from the code that made it: it has the sockets of the first."""
        running.forked = True
        if not self.is_closed():
            self.call_soon(os._exit, FORKED)


def _task(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> "asyncio.Task[Any]":
    """Make a task that `asyncio.all_tasks` does not name: who cancels all of those wants to end a program of its own."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **more)
    asyncio.tasks._unregister_task(task)  # noqa: SLF001 - documented for loops
    if isinstance(loop, Loop):
        loop._tasks.add(task)  # noqa: SLF001
    return task


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(f"the event loop is the daemon's; a feature cannot {what}")
