"""Limits in tests: lowered for the length of one, and watched for whether they were reached."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pytest

from pimd.limits import Bites, Limit


class Lower(Protocol):
    """Gives a limit another value until the test ends; what was built before keeps the rate that it had."""

    def __call__(self, limit: Limit, value: int, *, burst: int | None = None) -> None: ...


@contextmanager
def watched() -> Iterator[Counter[str]]:
    """Count by name which limits are reached, in all daemons of this process."""
    reached: Counter[str] = Counter()
    count = Bites.count

    def counting(bites: Bites, limit: Limit, by: int = 1) -> None:
        count(bites, limit, by)
        if by:
            reached[limit.name] += by

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bites, "count", counting)
        yield reached
