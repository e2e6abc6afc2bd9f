"""Discovery keeps the contract, on sessions that send nothing: a real one needs sockets, which have no virtual time."""

import pytest

from pimd.testing import conformance
from pimd_features.discovery import FEATURE, service_browser
from tests.features.discovery.test_service_browser import HOUSE, YARD, SessionDouble


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    SessionDouble.made, SessionDouble.said, SessionDouble.fails, SessionDouble.refuses = [], {}, False, []
    monkeypatch.setattr(service_browser, "Session", SessionDouble)
    monkeypatch.setattr(service_browser, "own_addresses", lambda: (HOUSE, YARD))


test_conformance = conformance(FEATURE)
