"""The program `pim`."""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence

from pimd import standard_streams, terminal
from pimd.cli import receipt_commands, token_commands
from pimd.cli.connection import connection_of
from pimd.cli.errors import EXIT_INTERRUPTED, EXIT_OK, NoDaemonError, OutputError, PimError, UsageError
from pimd.cli.help_page import show_help, without_daemon
from pimd.cli.inbox import inbox
from pimd.cli.output import complain, put, read_arguments
from pimd.cli.parser import HELP, NARROW, NEW_FEATURE, RECEIPT_VERIFY, make_parser, scan
from pimd.cli.verbs import learned
from pimd.cli.watch import watch


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program `pim`; returns 0, 1 (answered with an error), 2 (usage) or 3 (no daemon)."""
    arguments = sys.argv[1:] if argv is None else argv
    # Not as defaults of the parser: a flag before the command would be overwritten by the command's default.
    options = argparse.Namespace(data_dir=None, socket=None, url=None, token_file=None, json=False)
    standard_streams.prepare()
    try:
        _parse(arguments, options)
        read_arguments(options)
        _run(options)
    except PimError as error:
        # Parsing a wrong command line may end before --json is read.
        _tell(error, as_json=options.json or "--json" in arguments)
        return error.code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        pass  # the reader has seen enough
    finally:
        standard_streams.finish()
    return EXIT_OK


def _tell(error: PimError, *, as_json: bool) -> None:
    with contextlib.suppress(OutputError, BrokenPipeError):
        if as_json and (found := error.for_programs()) is not None:
            put(json.dumps({"error": found}))
    complain(f"pim: {error}")


def _parse(arguments: Sequence[str], options: argparse.Namespace) -> None:
    """Parse the command line; the daemon is asked for commands that `pim` does not have, and for the help."""
    given = scan(arguments)
    if given.help:
        vars(options).update(vars(given), command=HELP, words=[])
        return
    if not given.words or given.words[0] in terminal.COMMANDS:
        make_parser().parse_args(arguments, options)
        return
    word = given.words[0]
    try:
        connection = connection_of(given)
    except NoDaemonError as error:
        raise NoDaemonError(f"{error}\n{without_daemon(word)}") from error
    with contextlib.closing(connection):
        verbs = [verb for verb in learned(connection) if verb.words[0] == word]
    parser = make_parser(verbs)
    try:
        parser.parse_args(arguments, options)
    except UsageError as error:
        if verbs or word in dict(parser.summaries):
            raise
        raise UsageError(f"{error}; `pim features` says whether the feature that brings it is off") from error


def _run(options: argparse.Namespace) -> None:
    if options.command is HELP:
        show_help(options)
        return
    if options.command is NEW_FEATURE:
        from pimd.cli.new_feature import new_feature  # noqa: PLC0415 - others need not wait for it

        new_feature(options)
        return
    if options.command is RECEIPT_VERIFY:
        receipt_commands.check(options)
        return
    if options.command is NARROW:
        token_commands.narrow(options)
        return
    if options.command in (inbox, watch):
        options.command(lambda: connection_of(options), options)
        return
    with contextlib.closing(connection_of(options)) as connection:
        options.command(connection, options)
