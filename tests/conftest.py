"""What all tests share."""

from collections.abc import Generator

import pytest

from pimd.limits import Limit, Rate
from tests.limits import Lower, watched


@pytest.fixture
def lower(monkeypatch: pytest.MonkeyPatch) -> Lower:
    def lower(limit: Limit, value: int, *, burst: int | None = None) -> None:
        monkeypatch.setattr(limit, "value", value)
        if burst is not None:
            assert isinstance(limit, Rate)
            monkeypatch.setattr(limit, "burst", burst)

    return lower


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that is marked with a limit and did not reach it."""
    with watched() as reached:
        outcome = yield
    missed = {name for mark in item.iter_markers("limit") for name in mark.args} - reached.keys()
    if missed:
        pytest.fail(f"the test never reached: {', '.join(sorted(missed))}", pytrace=False)
    return outcome
