"""The stop of the process: asked for once, and over within 8 s whatever the code of a feature does."""

import asyncio
import contextlib
import faulthandler
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
HEARD_S = 0.2
"""Seconds that C code lets the thread of signals run, when it asks for signals at all: a regular expression does."""


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
        self._code = 0
        self._standard_error = os.dup(2) if deadline_s is not None else -1
        self._told = False
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
            self._began, self._code = True, code
        # C code that keeps the interpreter to itself keeps the thread from running, but asks for signals now and then. Where
        # it does not even that, a thread of the interpreter's own ends the process, with exit code 1.
        signal.setitimer(signal.ITIMER_REAL, self._deadline_s)
        faulthandler.dump_traceback_later(self._deadline_s + TELL_S, exit=True, file=self._standard_error)
        threading.Thread(target=self._wait, args=(self._deadline_s,), name="deadline of the stop", daemon=True).start()

    def alarm(self) -> None:
        """End the process if the deadline has begun; who else sets an alarm gets nothing."""
        if self._began:
            self.end()

    def took(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take an error of a task or timer that nobody owns, once; implements the exception handler of a loop."""
        error = context.get("exception")
        if error is None:
            loop.default_exception_handler(context)
        elif error is not self._last:  # asyncio tells the same again when the task is collected
            self._last = error
            if self.blame(plain(error)) is None:
                log.error("%s: %s", context.get("message"), traceback_of(plain(error)))

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)
        self.end()

    def end(self) -> None:
        """Say what is left, and end the process; any thread may call."""
        telling = threading.Thread(target=self._tell, daemon=True)
        telling.start()
        telling.join(TELL_S)
        os._exit(self._code)

    def _tell(self) -> None:
        with self._lock:  # a second one waits until the line is written
            if not self._told:
                self._told = True
                log.error(
                    "the stop took longer than %g s and is ended by force; what is left: %s",
                    self._deadline_s,
                    self._left(),
                )

    def _left(self) -> str:
        try:
            return self.who_is_left() or "unknown"
        # It reads what the main thread may be changing.
        except Exception:  # noqa: BLE001
            return "unknown"


class Signals:
    """Reads signals in a thread, so that they are heard while the main thread is blocked."""

    HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)

    def __init__(self, loop: asyncio.AbstractEventLoop, stop: Stop) -> None:
        self._loop = loop
        self._stop = stop
        self._asked = False
        self._heard = threading.Event()
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
        if number == signal.SIGALRM:
            self._stop.alarm()
        else:
            self._heard.wait(HEARD_S)
            self._heard.clear()

    def _listen(self) -> None:
        while numbers := os.read(self._read, 1):
            number = numbers[0]
            if number == signal.SIGHUP:
                log.info(
                    "SIGHUP is ignored: the log goes to standard error, and the configuration is read at the start"
                )
            elif number in self.HEARD and number != signal.SIGALRM:
                if self._asked:
                    os._exit(128 + number)  # a second signal: exit at once
                self._asked = True
                self._stop.begin(0)
                with contextlib.suppress(RuntimeError):  # the loop is closed: the end is near
                    self._loop.call_soon_threadsafe(self._stop.set)
            self._heard.set()
