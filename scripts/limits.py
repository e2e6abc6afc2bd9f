"""Writes the rows of docs/protocol.md, "Limits", from the registry: known ones in place, new ones at the end."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pimd
import pimd_features
from pimd.limits import Limit, all_limits

TARGET = Path(__file__).parents[1] / "docs" / "protocol.md"
HEADING = "\n## Limits\n"


def limits() -> Mapping[str, Limit]:
    """Return every limit of the daemon and its features by name."""
    for package in (pimd, pimd_features):
        _import_all(package)
    return {limit.name: limit for limit in all_limits()}


def name_of(row: str) -> str | None:
    """Return the first cell of a table's row; None for any other line, and for the head of a table."""
    if not row.startswith("| ") or row.startswith("| what |"):
        return None
    return row.split("|")[1].strip()


def written(document: str, declared: Mapping[str, Limit]) -> str:
    """Return the document with the rows that belong there."""
    before, heading, section = document.partition(HEADING)
    lines = section.splitlines()
    present = {name for line in lines if (name := name_of(line)) is not None}
    kept = list(_renewed(lines, declared))
    new = [_row(limit) for name, limit in declared.items() if name not in present]
    end = max(number for number, line in enumerate(kept) if line.startswith("|")) + 1
    return before + heading + "\n".join([*kept[:end], *new, *kept[end:]]) + "\n"


def _renewed(lines: list[str], declared: Mapping[str, Limit]) -> Iterator[str]:
    for line in lines:
        name = name_of(line)
        if name is None:
            yield line
        elif name in declared:
            yield _row(declared[name])


def _row(limit: Limit) -> str:
    return f"| {limit.name} | {limit} | {limit.effect} |"


def _import_all(package: ModuleType) -> None:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def main() -> int:
    """Return 1 when the committed document is out of date."""
    before = TARGET.read_text()
    after = written(before, limits())
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(after)
    elif after != before:
        print("docs/protocol.md is out of date; run scripts/limits and commit it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
