"""Cases of one test of which the quick gate plays some."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet

C = TypeVar("C")


def one_in(count: int, cases: Sequence[C], name: Callable[[C], str] = str) -> list[ParameterSet]:
    """Leave all cases but every `count`-th, the first included, to the slow tests."""
    return [
        pytest.param(case, id=name(case), marks=[pytest.mark.slow] if number % count else [])
        for number, case in enumerate(cases)
    ]
