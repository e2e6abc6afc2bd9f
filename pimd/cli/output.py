"""What `pim` reads and writes as text: its arguments, standard input, and standard output."""

import argparse
import contextlib
import os
import sys

from pimd.cli.errors import OutputError, UsageError
from pimd.cli.text import visible


def put(text: str) -> None:
    """Print at once; `OutputError` when standard output is closed or full, BrokenPipeError when its reader is gone."""
    if sys.stdout is None:
        raise OutputError("standard output is closed; what was to be printed is lost")
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def complain(text: str) -> None:
    """Print lines on standard error, where they can be printed."""
    # They may quote strangers, so they are escaped; the line breaks are ours.
    with contextlib.suppress(OSError):
        print("\n".join(map(visible, text.split("\n"))), file=sys.stderr, flush=True)


def read_arguments(options: argparse.Namespace) -> None:
    """Read each text as UTF-8 where the locale has no such letters; `UsageError` when it is not. Paths stay bytes."""
    for name, value in vars(options).items():
        if isinstance(value, str) and not value.isascii():
            setattr(options, name, _read(value))
        elif isinstance(value, list):
            setattr(options, name, [_read(one) if isinstance(one, str) else one for one in value])


def read_input() -> str:
    """Return standard input to its end; `UsageError` when it is closed or no text."""
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    raw = sys.stdin.buffer.read()
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode(sys.stdin.encoding)
    except UnicodeDecodeError:
        raise UsageError("standard input is not UTF-8 text") from None


def _read(text: str) -> str:
    # Python kept bytes of an argument that the locale cannot decode (PEP 383).
    return _utf8(os.fsencode(text)) if any("\udc80" <= char <= "\udcff" for char in text) else text


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise UsageError(f"the argument {raw!r} is not UTF-8 text") from None
