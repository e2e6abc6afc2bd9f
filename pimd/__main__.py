"""Arguments of the daemon, and the loop it runs in."""

import os

# Plugins of pydantic are installed code that nobody chose; it looks for them in the metadata of all distributions.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

import argparse
import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pimd import __version__, standard_streams
from pimd.faults import traceback_of
from pimd.held import hold
from pimd.loop import LEFT_S, Loop
from pimd.startup import EXIT_FAILED, EXIT_OK, Arguments, check_config, run_daemon, version
from pimd.stop import DEADLINE_S, Signals, Stop

log = logging.getLogger("pimd")

SWITCH_S = 0.0001
"""Seconds for which a busy event loop keeps a thread of a database from running; 5 ms by default.

A thread waits so long for each row that it reads, since SQLite's step gives the interpreter lock away.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program `pimd`, also called `pim-daemon`; returns the exit code."""
    standard_streams.prepare()
    try:
        return _main(argv)
    finally:
        standard_streams.finish()


def _main(argv: Sequence[str] | None) -> int:
    options = _parser().parse_args(argv)
    arguments = Arguments(
        config=options.config or options.config_file,
        data_dir=options.data_dir,
        pid_file=options.pid_file,
        environ=os.environ,
        dev=options.dev,
    )
    if options.version:
        print(version(arguments))  # noqa: T201 - what was asked for
        return EXIT_OK
    if options.check_config:
        return check_config(arguments)
    sys.setswitchinterval(SWITCH_S)
    return _run(arguments)


def _run(arguments: Arguments) -> int:
    """Run the daemon in a loop of its own, and end the process when it is done."""
    stop = Stop(DEADLINE_S)
    loop = Loop(stop.took)
    asyncio.set_event_loop(loop)
    Signals(loop, stop)
    sys.stdout = standard_streams.Printed(partial(logging.getLogger("pimd.printed").info, "%s"))
    hold(loop, loop.tell)
    try:
        code = loop.run(run_daemon(arguments, stop))
    # Threads of the databases would keep a process that leaves here in another way.
    except BaseException as error:  # noqa: BLE001
        log.error("the daemon crashed: %s", traceback_of(error))
        code = EXIT_FAILED
    with contextlib.suppress(RuntimeError):
        loop.close()
    _leave(code)
    return code


def _leave(code: int) -> None:
    """End the process without what the interpreter does at its end: that waits for threads, and runs code of features."""
    others = [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    for one in others:
        one.join(LEFT_S / len(others))
    stuck = [one.name for one in others if one.is_alive()]
    if stuck:
        log.warning("these threads go on, and end with the process: %s", ", ".join(stuck))
    try:
        logging.shutdown()
        standard_streams.finish()
    finally:  # a feature may have put anything in the place of the streams
        os._exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pimd",
        description=f"pimd {__version__}: one node of an encrypted mesh, served over JSON-RPC. `pim` talks to it.",
    )
    parser.add_argument("config_file", nargs="?", type=Path, metavar="CONFIG", help="configuration file")
    parser.add_argument("pid_file", nargs="?", type=Path, metavar="PIDFILE", help="where to write the process id")
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where key, token and databases are")
    parser.add_argument("--check-config", action="store_true", help="print every problem of the configuration; exit 2")
    parser.add_argument("--dev", action="store_true", help="load installed features anew when their files change")
    parser.add_argument("--version", action="store_true", help="print the version and the built features")
    return parser


if __name__ == "__main__":
    sys.exit(main())
