"""`pim help`: the commands of `pim` itself, and those of features where a daemon runs."""

import argparse
import contextlib
import json
import threading
from collections.abc import Sequence
from typing import Any

from pimd import terminal
from pimd.cli.connection import connection_of
from pimd.cli.errors import NoDaemonError, PimError
from pimd.cli.output import put
from pimd.cli.parser import make_parser
from pimd.cli.text import visible
from pimd.cli.verbs import Verb, learned, listed

PATIENCE_S = 2.0
"""Seconds that a help page waits for the daemon; it is of use without one."""


def show_help(options: argparse.Namespace) -> None:
    """Print all commands, or explain the one that `options.words` are; with --json those that begin so.

    `NoDaemonError` for words that `pim` does not have and no daemon can explain, `UsageError` for those nobody has.
    """
    words = tuple(options.words)
    verbs, why_none = _offered(options)
    if why_none is not None and words and words[0] not in terminal.COMMANDS:
        raise NoDaemonError(f"{why_none}\n{without_daemon(words[0])}") from why_none
    parser = make_parser([verb for verb in verbs if verb.words[:1] == words[:1]])
    parser.listing = listed(verbs)
    if why_none is not None:
        parser.listing = f"\ncommands of features are not listed: {visible(str(why_none))}\n"
    if not options.json:
        with contextlib.suppress(SystemExit):  # argparse has printed it
            parser.parse_args([*words, "--help"])
        return
    rows: list[dict[str, Any]] = [
        {"words": [name], "summary": text, "feature": None, "method": None} for name, text in parser.summaries
    ]
    rows += [{"words": list(v.words), "summary": v.summary, "feature": v.feature, "method": v.method} for v in verbs]
    put(json.dumps([row for row in rows if tuple(row["words"])[: len(words)] == words]))


def without_daemon(word: str) -> str:
    """Say which commands there are without a daemon."""
    return (
        f"{word!r} is no command of pim itself, and only a running daemon knows those of features; pim has: "
        + ", ".join(sorted(terminal.COMMANDS))
    )


def _offered(options: argparse.Namespace) -> tuple[Sequence[Verb], PimError | None]:
    """Return the commands of features, or why there are none, soon."""
    answer: list[tuple[Sequence[Verb], PimError | None]] = []

    def ask() -> None:
        try:
            with contextlib.closing(connection_of(options)) as connection:
                answer.append((learned(connection), None))
        except PimError as error:
            answer.append(((), error))

    # A thread, because a daemon that hangs, or answers without end, must not hold up the help.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    return answer[0] if answer else ((), NoDaemonError(f"the daemon did not answer within {PATIENCE_S:g} s"))
