"""No function has more than 60 lines and no file more than 500; 95 of 100 have at most 40 and 400."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("pimd", "features", "scripts", "tests")


def sources() -> list[Path]:
    return [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]


def functions() -> Iterator[tuple[int, str]]:
    """Lines, and where."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                yield node.end_lineno - node.lineno + 1, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def files() -> Iterator[tuple[int, str]]:
    """Lines, and where."""
    for path in sources():
        yield len(path.read_text().splitlines()), str(path.relative_to(ROOT))


@pytest.mark.parametrize(("measure", "most", "of_95"), [(functions, 60, 40), (files, 500, 400)])
def test_the_size_budget_holds(measure: Callable[[], Iterator[tuple[int, str]]], most: int, of_95: int) -> None:
    sizes = sorted(measure())
    assert len(sizes) > 200
    assert [one for one in sizes if one[0] > most] == []
    assert sizes[len(sizes) * 95 // 100][0] <= of_95
