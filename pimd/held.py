"""What an interpreter has once, for everybody: code of a feature may change it, and it is put back."""

import asyncio
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

HOLD_S = 0.2
"""Seconds after which it is put back."""
PLACES = 100
"""Places in code whose failures to log are told of, each once."""
Tell = Callable[[BaseException, str], None]
"""Gets an error that nobody caught, and where it was raised; any thread calls it."""


def hold(loop: asyncio.AbstractEventLoop, tell: Tell) -> None:
    """Keep what is set now of logging, warnings, hooks and limits for as long as the loop runs."""
    _catch_errors_of_logging(tell)
    _parts[:] = _recursion(), _warnings(), _hooks(tell), _hold_logging

    def again() -> None:
        put_back()
        loop.call_later(HOLD_S, again)

    again()


_parts: list[Callable[[], None]] = []


def put_back() -> None:
    """Put it back now, so that what one feature changed costs the next one nothing; without `hold` do nothing."""
    for part in _parts:
        part()


_own: tuple[int, tuple[logging.Handler, ...]] = (logging.NOTSET, ())


def own_log(level: int, *handlers: logging.Handler) -> None:
    """Write the log to these handlers of the root logger from now on, whoever changes that."""
    global _own  # noqa: PLW0603 - as global as the root logger is
    _own = (level, handlers)
    _hold_logging()


def _hold_logging() -> None:
    level, handlers = _own
    root = logging.getLogger()
    if not handlers:
        return
    logging.disable(logging.NOTSET)
    logging.raiseExceptions = False  # what cannot be logged is dropped
    logging.setLogRecordFactory(logging.LogRecord)
    root.disabled = False
    if root.level != level:
        root.setLevel(level)
    for handler in handlers:
        if handler not in root.handlers:
            root.addHandler(handler)
    for name, logger in tuple(root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and (name == "pimd" or name.startswith("pimd.")):
            logger.disabled, logger.propagate = False, True


def _catch_errors_of_logging(tell: Tell) -> None:
    """Whoever logs is not to fail because of a handler, filter or record that a feature added; each is told of once."""
    handle, make = logging.Logger.handle, logging.Logger.makeRecord
    told: set[object] = set()

    def caught(error: BaseException) -> None:
        entry = error.__traceback__
        while entry is not None and entry.tb_next is not None:
            entry = entry.tb_next
        place = entry.tb_frame.f_code if entry is not None else None
        if place not in told and len(told) < PLACES:
            told.add(place)
            tell(error, "a log line was not written")

    def safe_handle(logger: logging.Logger, record: logging.LogRecord) -> None:
        try:
            handle(logger, record)
        # The seam of logging.
        except BaseException as error:  # noqa: BLE001
            caught(error)

    def safe_make(logger: logging.Logger, *args: Any, **named: Any) -> logging.LogRecord:
        try:
            return make(logger, *args, **named)
        # The seam of logging.
        except BaseException as error:  # noqa: BLE001
            caught(error)
            return logging.LogRecord(*args[:7])

    logging.Logger.handle = safe_handle  # type: ignore[method-assign,assignment]
    logging.Logger.makeRecord = safe_make  # type: ignore[method-assign,assignment]


def _recursion() -> Callable[[], None]:
    limit = sys.getrecursionlimit()

    def put_back() -> None:
        if sys.getrecursionlimit() < limit:
            sys.setrecursionlimit(limit)

    return put_back


def _warnings() -> Callable[[], None]:
    """A warning that is raised as an error breaks the code that it warns of."""
    before = list(warnings.filters)

    def put_back() -> None:
        if any(one[0] == "error" and one not in before for one in warnings.filters):
            warnings.resetwarnings()
            warnings.filters[:] = before  # type: ignore[index]

    return put_back


def _hooks(tell: Tell) -> Callable[[], None]:
    """Log errors of threads and of `__del__` in one line; the interpreter writes tracebacks."""

    def of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            tell(args.exc_value, f"thread {args.thread.name if args.thread is not None else '?'}")

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            tell(args.exc_value, args.err_msg or "an error that nobody could catch")

    def put_back() -> None:
        threading.excepthook, sys.unraisablehook = of_thread, unraisable

    return put_back
