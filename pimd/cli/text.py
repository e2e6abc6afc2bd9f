"""Text for a terminal: characters of strangers that move the cursor, hide or reverse text are escaped."""

import unicodedata
from collections.abc import Iterable, Sequence

from pimd.characters import INVISIBLE, NAMED_BLANKS, escaped, hidden, is_refused
from pimd.local_time import local_time


def visible(text: str) -> str:
    r"""Write controls, and what turns the direction of text, as escapes such as `\x1b` or `\u202e`."""
    return "".join(escaped(char) if is_refused(char) else char for char in text)


def visible_name(text: str) -> str:
    """The same for a name, in which letters that are not seen are escaped, too."""
    unseen = set(hidden(text))
    return "".join(escaped(char) if is_refused(char) or at in unseen else char for at, char in enumerate(text))


def width(text: str) -> int:
    """Columns on a terminal."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me") or (char in INVISIBLE and ord(char) not in NAMED_BLANKS):
        return 0
    # An emoji that is newer than this Python is unassigned to it, and as wide as the others.
    is_new_emoji = unicodedata.category(char) == "Cn" and 0x1F300 <= ord(char) <= 0x1FBFF  # noqa: PLR2004
    return 2 if is_new_emoji or unicodedata.east_asian_width(char) in "WF" else 1


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Align columns under their heads; cells must be visible text already."""
    lines = [list(head), *map(list, rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell + " " * (widths[column] - width(cell)) for column, cell in enumerate(line)).rstrip()
        for line in lines
    )


def moment(unix_ms: int | None) -> str:
    """Local date and time to the second, with the offset in an hour that the clocks show twice; a dash for none."""
    if unix_ms is None:
        return "-"
    try:
        return local_time(unix_ms / 1000)
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
