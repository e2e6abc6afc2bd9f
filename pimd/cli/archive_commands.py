"""`pim export` and `pim import`: messages in a file."""

import argparse
import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pimd.cli.commands import say
from pimd.cli.connection import Connection, call
from pimd.cli.errors import OutputError, PimError, UsageError
from pimd.cli.names import resolve
from pimd.cli.output import complain
from pimd.cli.text import counted, visible

LINE_BYTES = 256 * 1024
"""What is read of a line; the daemon refuses those that are half as long."""
LINES_AT_ONCE = 500
BYTES_AT_ONCE = 512 * 1024
SHOWN = 100
"""Bad lines that are named."""


def export(connection: Connection, options: argparse.Namespace) -> None:
    """Write messages into a new file that only this user reads, or with `-` to standard output."""
    method, params = "messages.export", dict[str, Any]()
    if options.group is not None:
        method, params = "groups.export", {"group": options.group}
    elif options.who is not None:
        params["peer_node_id"] = resolve(connection, options.who)
    written = 0
    with _new_file(options.file) as file:
        while True:
            page = call(connection, method, params)
            written += len(page["lines"])
            _write(file, options.file, "".join(f"{line}\n" for line in page["lines"]).encode())
            if page["cursor"] is None:
                break
            params["cursor"] = page["cursor"]
    if options.file != "-":
        count = written - 2  # the first line and the last tell of the others
        text = (
            f"{counted(count, 'message')} in {visible(options.file)}, readable by you alone; their texts are in clear"
        )
        say(options, {"file": options.file, "messages": count}, text)


def _write(file: BinaryIO, name: str, lines: bytes) -> None:
    try:
        file.write(lines)
        file.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{visible(name)} cannot be written: {error.strerror}") from None


@contextmanager
def _new_file(name: str) -> Iterator[BinaryIO]:
    """Open a file that must not exist; when writing fails it is removed."""
    if name == "-":
        yield _standard_output()
        return
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{name} cannot be made: {error.strerror}; name a file that does not exist yet") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise OutputError("standard output is closed")
    return sys.stdout.buffer


def import_(connection: Connection, options: argparse.Namespace) -> None:
    """Read a file that `pim export` wrote, or with `-` standard input; exit code 1 when a line was bad or the end is missing."""
    added, known, bad, bad_count = 0, 0, list[dict[str, Any]](), 0
    answer: dict[str, Any] = {"complete": False, "cursor": None}
    with _open(options.file) as file:
        for lines in _batches(file):
            answer = call(connection, "messages.import", {"lines": lines, "cursor": answer["cursor"]})
            added, known, bad_count = added + answer["added"], known + answer["known"], bad_count + len(answer["bad"])
            bad += answer["bad"][: SHOWN - len(bad)]
    found = {"added": added, "known": known, "bad": bad_count, "bad_lines": bad, "complete": answer["complete"]}
    say(options, found, f"{counted(added, 'message')} imported, {known} were here already")
    for one in bad:
        complain(f"line {one['line']}: {one['reason']}")
    problems = [f"{counted(bad_count, 'line')} not imported"] if bad_count else []
    problems += [] if answer["complete"] else ["the last line of the export is missing: the file was cut short"]
    if problems:
        raise _PartlyImportedError(f"{visible(options.file)}: {'; '.join(problems)}")


class _PartlyImportedError(PimError):
    """Some lines were not imported; the answer is printed already."""

    def for_programs(self) -> None:
        """Nothing more."""


@contextmanager
def _open(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as file:
            yield file
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None


def _batches(file: BinaryIO) -> Iterator[list[str]]:
    """Lines, some at a time; of one that is too long only the beginning, which the daemon refuses."""
    batch, size = list[str](), 0
    mark = codecs.BOM_UTF8  # an editor may have put it before the first line
    while line := file.readline(LINE_BYTES):
        part = line
        while not part.endswith(b"\n") and (part := file.readline(LINE_BYTES)):
            pass
        batch.append(line.removesuffix(b"\n").removeprefix(mark).decode(errors="replace"))
        mark = b""
        size += len(line)
        if len(batch) == LINES_AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    yield batch
