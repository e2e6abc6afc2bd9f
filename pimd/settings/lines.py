"""Finds the line of a key in a TOML text."""

import re
from collections.abc import Sequence

_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"^\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\")(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"))*)\s*=")

Path = Sequence[str | int]


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip('"').strip("'") for part in dotted.split(".")]


def line_of(text: str, path: Path) -> int | None:
    """Return the 1-based line of the key at `path`, else of the deepest table around it that has one, else None."""
    best: tuple[int, int] | None = None
    for number, found in _keys(text):
        depth = len(found)
        if tuple(found) == tuple(path[:depth]) and (best is None or depth > best[0]):
            best = depth, number
    return best[1] if best is not None else None


def _keys(text: str) -> list[tuple[int, list[str | int]]]:
    """List (line, path) of every table header and key, with the index after the name of an array of tables."""
    keys: list[tuple[int, list[str | int]]] = []
    table: list[str | int] = []
    arrays: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if header := _TABLE.match(line):
            name = header[2]
            table = list(_parts(name))
            if header[1] == "[[":
                arrays[name] = arrays.get(name, -1) + 1
                table.append(arrays[name])
            keys.append((number, table))
        elif key := _KEY.match(line):
            keys.append((number, [*table, *_parts(key[1])]))
    return keys
