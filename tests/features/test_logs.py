"""Which log records a subscriber wants."""

from typing import Any

import pytest

from pimd.contract import LogRecord
from pimd_features.logs import LogFilter, accepts
from tests.system.conftest import MakeDaemon


def record(level: Any = "info", source: str = "pimd.mesh") -> LogRecord:
    return LogRecord(ts="2026-01-01T00:00:00Z", level=level, source=source, message="x")


@pytest.mark.parametrize(
    ("wanted", "level", "source", "accepted"),
    [
        ({}, "trace", "a", True),
        ({"min_level": "trace", "sources": []}, "trace", "a", True),
        ({"min_level": "warn"}, "info", "a", False),
        ({"min_level": "warn"}, "error", "a", True),
        ({"levels": ["info"]}, "info", "a", True),
        ({"levels": ["info"]}, "error", "a", False),
        ({"sources": ["pimd.mesh"]}, "info", "pimd.mesh", True),
        ({"sources": ["pimd.mesh"]}, "info", "pimd.mesh.links", True),
        ({"sources": ["pimd.mesh"]}, "info", "pimd.meshes", False),
        ({"sources": ["x", "pimd."]}, "info", "pimd.rpc", True),
    ],
)
def test_filters(wanted: dict[str, Any], level: str, source: str, accepted: bool) -> None:  # noqa: FBT001
    assert accepts(LogFilter.model_validate(wanted), record(level, source)) is accepted


def test_past_records_come_first_and_then_new_ones(daemon: MakeDaemon) -> None:
    alice = daemon(config="[routing]\nmax_hops = 3\n").start()
    with alice.socket() as client:
        client.call("logs.subscribe", {"min_level": "warn"})
        first = client.receive() if not client.notifications else client.notifications.pop(0)
        assert first["method"] == "logs.event"
        alice.call("peers.add_static", {"address": "127.0.0.1:1"})
        second = client.receive()
        assert second["params"]["level"] == "warn"
        assert "127.0.0.1:1" in second["params"]["message"]
        assert second["params"]["seq"] > first["params"]["seq"]
