"""What all tests share."""

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from pimd.limits import Limit, Rate
from tests.limits import Lower, watched

SHARED = frozenset({"pair_of_module", "shared_daemon", "open_node", "private_node", "target"})
"""Fixtures of a module that are whole daemons."""

# No test judges times, and a busy machine is no fault.
settings.register_profile("without times", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without times")


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


def pytest_itemcollected(item: pytest.Item) -> None:
    """Run tests that share daemons in one process, so that these are started once."""
    if isinstance(item, pytest.Function) and SHARED.intersection(item.fixturenames):
        item.add_marker(pytest.mark.xdist_group(item.module.__name__))
