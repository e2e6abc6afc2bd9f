"""The text of an error of foreign code: one line, bounded, whatever its `__str__` does."""

import traceback
from collections.abc import Callable
from pathlib import PurePath
from types import NoneType, TracebackType

from pydantic import ValidationError

TEXT_LIMIT = 300
TRACEBACK_LIMIT = 20_000
PROBLEMS_TOLD = 3
FRAMES = 24
"""Frames of a traceback that are kept, the innermost ones."""
_PARTS = (TracebackType, BaseException, NoneType)


def plain(error: BaseException) -> BaseException:
    """Return the error, or a RuntimeError in place of one whose attributes cannot be read as those of any error."""
    try:
        parts = (error.__traceback__, error.__cause__, error.__context__)
        if error.__class__ is type(error) and all(isinstance(one, _PARTS) for one in parts):
            return error
    # Attributes of a foreign class may raise anything.
    except BaseException:  # noqa: BLE001, S110
        pass
    found: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    return RuntimeError(f"{text_of(error)} (its attributes cannot be read)").with_traceback(found)


def text_of(error: BaseException) -> str:
    """Return the type and the text of an error, in one line of at most 300 characters; never raises."""
    name = _safely(lambda: type(error).__name__, "an error without a name")
    said = _safely(lambda: without_values(error), f"(its text cannot be had: __str__ of {name} fails)")
    line = " ".join(said[: 4 * TEXT_LIMIT].split())
    if len(line) > TEXT_LIMIT:
        line = line[:TEXT_LIMIT] + "..."
    printable = "".join(letter if letter.isprintable() else "?" for letter in line)
    return f"{name}: {printable}" if printable else name


def without_values(error: BaseException) -> str:
    """Return the text of an error; that of a ValidationError names fields and what is wrong, since values may be secrets."""
    if (
        type(error) is not ValidationError
    ):  # `isinstance` asks a foreign error for its `__class__`; this one has no subclasses
        return str(error)
    found = error.errors(include_input=False, include_url=False, include_context=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in found]
    return "; ".join([*told[:PROBLEMS_TOLD], *(["..."] if len(told) > PROBLEMS_TOLD else [])])


def traceback_of(error: BaseException) -> str:
    """Return the traceback as text, its frames and its error bounded; never raises."""
    lines = _safely(lambda: "".join(traceback.format_tb(error.__traceback__, -FRAMES)), "")
    causes: list[str] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and cause is not error and len(causes) < FRAMES:
        causes.append(f"caused by {text_of(cause)}\n")
        cause = cause.__cause__ or cause.__context__
    return f"{lines[-TRACEBACK_LIMIT:]}{text_of(error)}\n{''.join(causes)}".rstrip()


def text_and_place(error: BaseException, package: str) -> str:
    """Return `text_of` and where `package` was when it was raised, such as `KeyError: 'x' (plugin.py:12)`; never raises."""
    # A SyntaxError names its own place.
    place = "" if isinstance(error, SyntaxError) else _safely(lambda: _place(error, package), "")
    return f"{text_of(error)} ({place})" if place else text_of(error)


def _place(error: BaseException, package: str) -> str:
    entry, found = error.__traceback__, ""
    while entry is not None:
        if str(entry.tb_frame.f_globals.get("__name__", "")).split(".")[0] == package:
            found = f"{PurePath(entry.tb_frame.f_code.co_filename).name}:{entry.tb_lineno}"
        entry = entry.tb_next
    return found if found.isprintable() else ""


def modules_of(error: BaseException) -> list[str]:
    """Return the modules of all frames of a traceback, the innermost first."""
    entry, found = error.__traceback__, []
    while entry is not None:
        found.append(str(entry.tb_frame.f_globals.get("__name__", "")))
        entry = entry.tb_next
    return found[::-1]


def _safely(text: Callable[[], object], otherwise: str) -> str:
    """Return a plain `str`; a subclass could bring methods that raise."""
    try:
        found = text()
        return str.__str__(found) if isinstance(found, str) else otherwise
    # An error of foreign code may raise anything while it is told.
    except BaseException:  # noqa: BLE001
        return otherwise
