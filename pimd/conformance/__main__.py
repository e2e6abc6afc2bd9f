"""`python -m pimd.conformance URL FILE...`: exits 1 when an answer differs from what is expected."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from pimd.conformance.cases import NOTHING, Case, read
from pimd.conformance.listeners import connection
from pimd.conformance.patterns import mismatch


async def failures(url: str, token: str | None, cases: Sequence[Case]) -> list[str]:
    """Ask all that is for this listener; return what differs, by case."""
    kind = "unix" if url.startswith("unix:") else "websocket" if url.startswith("ws") else "http"
    played = [(case.name, await _failure(url, token, case)) for case in cases if kind in case.listeners]
    return [f"{name}: {why}" for name, why in played if why is not None]


async def _failure(url: str, token: str | None, case: Case) -> str | None:
    async with connection(url, token) as ask:
        for exchange in case.exchanges:
            try:
                answer = await ask(exchange.request, is_answered=exchange.answer is not NOTHING)
            except (ConnectionError, TimeoutError) as error:
                return f"{exchange.request!r:.200}: {str(error) or 'no answer came in time'}"
            if exchange.answer is NOTHING:
                why = None if answer is None else f"nothing was to be answered, and not {answer!r:.200}"
            else:
                why = mismatch(exchange.answer, answer)
            if why is not None:
                return f"{exchange.request!r:.200}: {why}"
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each case that fails, and the number of those that were played."""
    parser = argparse.ArgumentParser(prog="python -m pimd.conformance", description=__doc__)
    parser.add_argument("url", metavar="URL", help="http://HOST:PORT/rpc, ws://HOST:PORT/ws, or unix:PATH")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="cases, *.io")
    parser.add_argument("--token-file", type=Path, help="holds the bearer token for HTTP and WebSocket")
    options = parser.parse_args(argv)
    token = options.token_file.read_text().strip() if options.token_file is not None else None
    cases = [case for file in options.files for case in read(file)]
    found = asyncio.run(failures(options.url, token, cases))
    for line in found:
        print(line)  # noqa: T201 - what was asked for
    print(f"{len(found)} of {len(cases)} cases failed over {options.url}")  # noqa: T201 - as above
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
