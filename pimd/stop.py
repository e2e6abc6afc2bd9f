"""The stop of the process: asked for once, and over within 8 s whatever the code of a feature does."""

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from pimd.faults import plain, traceback_of

log = logging.getLogger("pimd")

DEADLINE_S = 8.0
HOLD_S = 0.2
"""Seconds after which signals that a feature took are taken back."""
TELL_S = 0.5
"""Seconds to write the last line: standard error may be a pipe that nobody reads."""


class Stop(asyncio.Event):
    """Set when the daemon is to stop; from then on a thread holds the deadline, if there is one."""

    def __init__(self, deadline_s: float | None = None) -> None:
        super().__init__()
        self._deadline_s = deadline_s
        self.who_is_left: Callable[[], str] = lambda: ""
        """Says what holds the stop up; called from the thread of the deadline."""
        self.blame: Callable[[BaseException], str | None] = lambda _: None
        """Tells a feature that an error of its code was caught outside of any call; returns its name."""
        self._last: BaseException | None = None
        self._began = False
        self._lock = threading.Lock()

    def set(self) -> None:
        """Begin the stop; exit code 0."""
        self.begin(0)
        super().set()

    def failed(self) -> None:
        """Begin to unwind a daemon that failed; exit code 1."""
        self.begin(1)

    def begin(self, code: int) -> None:
        """Have the process ended after the deadline, with this exit code; only the first call counts. Any thread may call."""
        with self._lock:
            if self._began or self._deadline_s is None:
                return
            self._began = True
        work = (self._deadline_s, code)
        threading.Thread(target=self._end, args=work, name="deadline of the stop", daemon=True).start()

    def took(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take an error of a task or timer that nobody owns, once; implements the exception handler of a loop."""
        error = context.get("exception")
        if error is None:
            loop.default_exception_handler(context)
        elif error is not self._last:  # asyncio tells the same again when the task is collected
            self._last = error
            if self.blame(plain(error)) is None:
                log.error("%s: %s", context.get("message"), traceback_of(plain(error)))

    def _end(self, seconds: float, code: int) -> None:
        time.sleep(seconds)
        telling = threading.Thread(target=self._tell, args=(seconds,), daemon=True)
        telling.start()
        telling.join(TELL_S)
        os._exit(code)

    def _tell(self, seconds: float) -> None:
        try:
            left = self.who_is_left()
        # It reads what the main thread may be changing.
        except Exception:  # noqa: BLE001
            left = ""
        log.error("the stop took longer than %g s and is ended by force; what is left: %s", seconds, left or "unknown")


class Signals:
    """Reads signals in a thread, so that they are heard while the main thread is blocked."""

    HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def __init__(self, loop: asyncio.AbstractEventLoop, stop: Stop) -> None:
        self._loop = loop
        self._stop = stop
        self._asked = False
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._write, False)
        self._hold()
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def _hold(self) -> None:
        """Take the signals, and take them again should a feature have taken them."""
        if signal.set_wakeup_fd(self._write, warn_on_full_buffer=False) != self._write or any(
            signal.getsignal(number) != self._on_signal for number in self.HEARD
        ):
            for number in self.HEARD:
                signal.signal(number, self._on_signal)
        self._loop.call_later(HOLD_S, self._hold)

    def _on_signal(self, number: int, _: object) -> None:
        """Called by the interpreter, which has told the pipe already, unless somebody else took its place."""
        if signal.set_wakeup_fd(self._write, warn_on_full_buffer=False) != self._write:
            os.write(self._write, bytes((number,)))

    def _listen(self) -> None:
        while numbers := os.read(self._read, 1):
            number = numbers[0]
            if number == signal.SIGHUP:
                log.info(
                    "SIGHUP is ignored: the log goes to standard error, and the configuration is read at the start"
                )
            elif number in self.HEARD:
                if self._asked:
                    os._exit(128 + number)  # a second signal: exit at once
                self._asked = True
                self._stop.begin(0)
                with contextlib.suppress(RuntimeError):  # the loop is closed: the end is near
                    self._loop.call_soon_threadsafe(self._stop.set)
