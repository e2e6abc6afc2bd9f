"""Standard output and standard error of a program, whatever they are and whatever they can show."""

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

LINE_LIMIT = 4096
"""Characters of a line that is printed."""


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


class Printed(io.TextIOBase):
    """Takes the place of standard output in a process whose output nobody may be reading: a full pipe would block it.

    `take` gets each line that is printed, in the thread that prints.
    """

    def __init__(self, take: Callable[[str], object]) -> None:
        super().__init__()
        self._encoding: str = getattr(sys.stdout, "encoding", "utf-8")  # None when it was closed at the start
        self._take = take
        self._begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the output whose place it takes."""
        return self._encoding

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str, /) -> int:
        """Hand on the lines that are whole; a begun one is cut to 4096 characters."""
        *lines, begun = (self._begun + text).split("\n")
        self._begun = begun[:LINE_LIMIT]
        for line in lines:
            self._take(line[:LINE_LIMIT])
        return len(text)


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
