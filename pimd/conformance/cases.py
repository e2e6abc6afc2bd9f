"""The text of cases: a line `>> request`, and `<< answer` below it when there is one; `//` begins a comment.

A request is sent as it stands, so that it need not be JSON; `>>hex` is followed by its bytes in hexadecimal digits, and
`{N*text}` in it stands for N copies of a text. Answers are patterns. A blank line ends a case, whose requests go over one
connection. A line `on unix websocket` in it names the only listeners that it is for.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LISTENERS = ("unix", "http", "websocket")
NOTHING = object()
"""Expected of a notification."""
REPEATED = re.compile(rb"\{([1-9][0-9]{0,7})\*([^{}]*)\}")


@dataclass(frozen=True)
class Exchange:
    """One request, and the pattern of its answer or `NOTHING`."""

    request: bytes
    answer: Any


@dataclass(frozen=True)
class Case:
    """What is asked over one connection."""

    name: str
    """File and line."""
    exchanges: Sequence[Exchange]
    listeners: Sequence[str] = LISTENERS


def read(path: Path) -> list[Case]:
    """Return the cases of a file; ValueError names the line that cannot be read."""
    return list(_cases(path.name, path.read_text(encoding="utf-8").splitlines()))


def _cases(file: str, lines: Sequence[str]) -> Iterator[Case]:
    exchanges: list[Exchange] = []
    listeners: Sequence[str] = LISTENERS
    began = 0
    for number, line in enumerate([*lines, ""], 1):
        if not line.strip():
            if exchanges:
                yield Case(f"{file}:{began}", tuple(exchanges), listeners)
            exchanges, listeners = [], LISTENERS
        elif line.startswith(">>"):
            began = began if exchanges else number
            exchanges.append(Exchange(_request(line), NOTHING))
        elif line.startswith("<< ") and exchanges and exchanges[-1].answer is NOTHING:
            try:
                exchanges[-1] = Exchange(exchanges[-1].request, json.loads(line.removeprefix("<< ")))
            except ValueError as error:
                raise ValueError(f"{file}:{number}: the answer is no JSON: {error}") from None
        elif line.startswith("on "):
            listeners = line.split()[1:]
        elif not line.startswith("//"):
            raise ValueError(f"{file}:{number}: neither a request, an answer, a comment nor the names of listeners")


def _request(line: str) -> bytes:
    if line.startswith(">>hex "):
        return bytes.fromhex(line.removeprefix(">>hex "))
    raw = line.removeprefix(">> ").encode()
    return REPEATED.sub(lambda found: found[2] * int(found[1]), raw)
