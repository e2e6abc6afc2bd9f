"""Arguments and signals of the daemon, and nothing else."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pimd import __version__, standard_streams
from pimd.startup import EXIT_OK, Arguments, check_config, run_daemon, version

SWITCH_S = 0.0001


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
    )
    if options.version:
        print(version(arguments))  # noqa: T201 - what was asked for
        return EXIT_OK
    if options.check_config:
        return check_config(arguments)
    # A database thread waits this long for the interpreter lock while the loop is busy; the default is 5 ms.
    sys.setswitchinterval(SWITCH_S)
    return asyncio.run(_until_signalled(arguments))


async def _until_signalled(arguments: Arguments) -> int:
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)  # a second signal: exit at once
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return await run_daemon(arguments, stop)


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
    parser.add_argument("--version", action="store_true", help="print the version and the built features")
    return parser


if __name__ == "__main__":
    sys.exit(main())
