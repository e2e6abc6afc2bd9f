"""Standard output and standard error of a program, whatever they are and whatever they can show."""

import io
import os
import sys
from typing import TextIO


def prepare() -> None:
    """Let both replace what their encoding lacks; one that is not open leads nowhere.

    Otherwise the next file or socket that is opened would get its number, and whatever is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def own(number: int) -> TextIO:
    """Return standard output (1) or error (2) on a descriptor of its own: whoever closes the other does not close it."""
    encoding = getattr(sys.stdout if number == 1 else sys.stderr, "encoding", "utf-8")
    return os.fdopen(os.dup(number), "w", buffering=1, encoding=encoding, errors="replace")


def finish() -> None:
    """Flush both; what cannot be written is dropped, or the interpreter's exit would print an error and return 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        # Code of a feature may have put anything in their place.
        except BaseException:  # noqa: BLE001
            _abandon(stream)


def _abandon(stream: object) -> None:
    if isinstance(stream, io.TextIOWrapper) and not stream.closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
