"""`pim receipt`: signed receipts as files."""

import argparse
import os
import sys
from pathlib import Path

from pimd.cli.commands import say
from pimd.cli.connection import Connection, call
from pimd.cli.errors import PimError, UsageError
from pimd.cli.output import put
from pimd.cli.receipt import LONGEST, verify
from pimd.cli.text import moment, visible


def save(connection: Connection, options: argparse.Namespace) -> None:
    """Write the receipt of a message into a new file, or print it."""
    found = call(connection, "messages.proof", {"message_id": options.message})
    if options.file is None:
        say(options, found, found["file"].removesuffix("\n"))
        return
    try:
        with Path(options.file).open("xb") as file:
            file.write(found["file"].encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UsageError(
            f"{options.file} cannot be made: {error.strerror}; name a file that does not exist yet"
        ) from None
    say(
        options,
        found,
        f"the receipt is in {visible(options.file)}; whoever has it checks it with: pim receipt verify FILE",
    )


def check(options: argparse.Namespace) -> None:
    """Verify a file without any daemon; exit code 1 when it does not hold."""
    try:
        found = verify(_read(options.file))
    except ValueError as error:
        raise PimError(f"{visible(options.file)} is no receipt that holds: {error}") from None
    time_ms = found["time_ms"]
    when = moment(time_ms) if isinstance(time_ms, int) else ""
    body = "\n    ".join(visible(line) for line in str(found["body"]).split("\n"))
    lines = (
        f"good: {found['recipient']} signed that it had message {found['message_id']}",
        f"of {found['sender']} at {when}, by its own clock:",
        f"    {body}",
    )
    if options.json:
        say(options, found, "")
    else:
        put("\n".join(lines))


def _read(name: str) -> bytes:
    if name == "-":
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        return sys.stdin.buffer.read(LONGEST + 1)
    try:
        with Path(name).open("rb") as file:
            return file.read(LONGEST + 1)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
