"""When the code itself is broken on purpose, a scenario tells: the lab does find what it looks for."""

from collections.abc import Iterable

import pytest

from pimd.lab.scenario import play
from pimd.lab.script import script_of
from pimd.proto.route_table import RouteTable
from pimd.proto.sealed import ReplayWindow


def faults(seeds: Iterable[int], *, kind: str, count: int, lies: tuple[str, ...] = ()) -> list[str]:
    """Play until the first scenario that fails."""
    for seed in seeds:
        verdict = play(script_of(seed, kind=kind, count=count, lies=lies), log_level="error")
        if verdict.faults:
            return verdict.faults
    return []


@pytest.mark.slow
def test_without_the_feasibility_condition_there_are_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RouteTable, "is_feasible", lambda *_: True)
    assert any("loop towards" in fault for fault in faults(range(20), kind="ring", count=6))


@pytest.mark.slow
def test_without_replay_windows_frames_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReplayWindow, "accept", lambda *_: True)
    found = faults(range(20), kind="line", count=5, lies=("replay",))
    assert any("handed the probe" in fault for fault in found)


def test_without_signatures_forged_cards_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimd.proto.cards.verify", lambda *_: True)
    found = faults(range(20), kind="line", count=5, lies=("substitute-keys",))
    assert any("another key" in fault or "issued only" in fault for fault in found)
