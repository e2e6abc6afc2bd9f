"""Text for a terminal: characters of strangers that move the cursor, hide or reverse text are escaped."""

import datetime
import unicodedata
from collections.abc import Iterable, Sequence

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control, format (bidi overrides and isolates, zero-width), surrogates, private use, unassigned, separators."""


def visible(text: str) -> str:
    r"""Write every control, format and unassigned character as an escape such as `\x1b` or `\u202e`."""
    return "".join(_escaped(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def _escaped(char: str) -> str:
    return ascii(char)[1:-1]


def width(text: str) -> int:
    """Columns on a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Align columns under their heads; cells must be visible text already."""
    lines = [list(head), *map(list, rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell + " " * (widths[column] - width(cell)) for column, cell in enumerate(line)).rstrip()
        for line in lines
    )


def moment(unix_ms: int | None) -> str:
    """Local date and time to the second; a dash for none."""
    if unix_ms is None:
        return "-"
    try:
        return datetime.datetime.fromtimestamp(unix_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(unix_ms)


def span(seconds: float) -> str:
    """`3 s`, `5 min`, `2 h`, `4 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def size(number: float) -> str:
    """`300 B`, `4.5 kB`, `1.2 GB`; of bytes, in powers of ten."""
    for least, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= least:
            return f"{number / least:.1f} {unit}"
    return f"{number:.0f} B"


def counted(number: int, noun: str) -> str:
    """`1 route`, `2 routes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
