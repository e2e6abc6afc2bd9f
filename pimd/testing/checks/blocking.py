"""What waits without letting others run, as the interpreter's audit events tell it."""

import contextlib
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from pimd.testing.checks.check import Broken, check
from pimd.testing.checks.subject import Subject
from pimd.testing.checks.work import small_work

EVENTS = frozenset(
    {"time.sleep", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "urllib.Request"}
)
SHORT_S = 0.05
"""A sleep up to this is no wait that anybody sees."""
ELSEWHERE = frozenset({"pimd.assembly.threads"})
"""Modules that run blocking work where it blocks nobody."""
PASSED = sys.stdlib_module_names | {"pimd"}

_listeners: list[Callable[[str, tuple[Any, ...]], None]] = []


@check(
    "code of a feature runs in the event loop of the daemon: what waits there stops everything, after 0.6 s it is counted, "
    "and the third time quarantines the feature",
    "await asyncio.sleep instead of time.sleep; run what must block with ctx.run_blocking",
)
async def blocking(subject: Subject) -> None:
    """Start it, let it work and stop it, and listen for calls that wait."""
    heard: list[str] = []
    async with subject.alone() as alone:
        with listening(heard):
            await small_work(alone)
            await alone.disable()
            await alone.enable()
            await small_work(alone)
    if heard:
        raise Broken(heard[0])


@contextlib.contextmanager
def listening(heard: list[str]) -> Iterator[None]:
    """Note the calls of this thread that wait, each with the line that calls."""
    thread = threading.get_ident()
    real_sleep = time.sleep

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if threading.get_ident() == thread and not (event == "time.sleep" and arguments[0] <= SHORT_S):
            frames = list(_frames())
            if not any(module in ELSEWHERE for module, _ in frames):
                where = next((line for module, line in frames if module.partition(".")[0] not in PASSED), "the daemon")
                heard.append(f"it calls {event} within the event loop, in {where}")

    def sleep(seconds: float) -> None:
        hear("time.sleep", (seconds,))
        real_sleep(seconds)

    if not _hooked.is_set():
        _hooked.set()
        sys.addaudithook(_tell)
    _listeners.append(hear)
    try:
        with mock.patch.object(time, "sleep", sleep):  # before 3.13 it has no audit event
            yield
    finally:
        _listeners.remove(hear)


def _frames() -> Iterator[tuple[str, str]]:
    """Yield module and line of each frame, the innermost first."""
    frame: types.FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way to ask who calls
    while frame is not None:
        line = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
        yield str(frame.f_globals.get("__name__", "")), line
        frame = frame.f_back


_hooked = threading.Event()


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    """Stay hooked for good, since a hook cannot be removed, and do nothing unless somebody listens."""
    if _listeners and event in EVENTS:
        for listener in tuple(_listeners):
            listener(event, arguments)
