"""Writes docs/import_graph.txt: which room of the source imports which other rooms and packages; --check only compares.

A room is a package or module right below `pimd`, or one feature. scripts/subsets.py holds every wheel to it.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.import_rules import COMPUTED, imports

PROJECT = Path(__file__).resolve().parents[1]
TARGET = PROJECT / "docs" / "import_graph.txt"
ROOMS = ("pimd", "pimd_features")


def room_of(module: str) -> str | None:
    """Return the room of a module of ours, the package of another one; None for the standard library."""
    parts = module.split(".")
    if parts[0] in ROOMS:
        return ".".join(parts[:2])
    return None if parts[0] in sys.stdlib_module_names or module == COMPUTED else parts[0]


def graph(root: Path, sources: Iterable[str]) -> dict[str, list[str]]:
    """Read the graph of the packages at `sources` below `root`."""
    found: dict[str, set[str]] = {}
    for one in imports(root, sources):
        room, other = room_of(one.importer), room_of(one.imported)
        if room is not None:
            found.setdefault(room, set()).update({other} - {room, None} if other is not None else ())
    return {room: sorted(others) for room, others in sorted(found.items())}


def text(rooms: Mapping[str, Iterable[str]]) -> str:
    """Write one line for each room."""
    return "".join(f"{room}: {' '.join(others)}".rstrip() + "\n" for room, others in rooms.items())


def read(written: str) -> dict[str, list[str]]:
    """Read what `text` wrote."""
    return {room: others.split() for room, _, others in (line.partition(":") for line in written.splitlines())}


def main() -> int:
    """Return 1 when the committed graph is out of date."""
    now = text(graph(PROJECT, ["pimd", "features/pimd_features"]))
    if "--check" in sys.argv[1:]:
        if TARGET.is_file() and TARGET.read_text() == now:
            return 0
        print("docs/import_graph.txt is out of date; run scripts/import-graph and commit it", file=sys.stderr)
        return 1
    TARGET.write_text(now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
