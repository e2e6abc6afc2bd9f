"""Seeded scenarios with whole daemons, judged by what the protocol promises."""

import os

import pytest

from pimd.lab.__main__ import main
from pimd.lab.lies import LIES
from pimd.lab.scenario import play
from pimd.lab.script import SIZES, script_of
from pimd.lab.topology import KINDS

MANY = int(os.environ.get("PIMD_LAB_SCENARIOS", "20"))
"""20 when somebody runs the slow tests, 100 in .ci/run, and as many as wanted by hand."""

SHOWN_BY = {
    "substitute-keys": ("cards_bad", "cards_of_other_keys"),
    "replay": ("dropped_replayed", "dropped_no_route", "dropped_returned_to_source", "dropped_back_where_it_came_from"),
    "forge-source": ("dropped_unopenable", "dropped_ids_differ", "dropped_unsealed"),
    "lie-in-routes": ("dropped_routes",),
    "flood": (
        "dropped_cards_over_rate",
        "dropped_seq_requests_over_rate",
        "dropped_unopenable",
        "dropped_unknown_source",
    ),
}
"""Counters of the honest, one of which moves when the lie was told."""


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (at > 1)) for at, kind in enumerate(KINDS)]
)
def test_a_scenario_of_each_shape_keeps_every_promise(kind: str) -> None:
    verdict = play(script_of(21, kind=kind, count=8, lies=()))
    assert not verdict.faults, str(verdict)
    assert min(verdict.looked[what] for what in ("next hops", "reconnections", "identities", "probes")) > 0
    assert len(verdict.script.steps) >= 3


QUICK = ("substitute-keys", "forge-source")
"""Played by the quick tests; the others by all."""


@pytest.mark.parametrize("lie", [pytest.param(lie, marks=[pytest.mark.slow] * (lie not in QUICK)) for lie in LIES])
def test_a_scenario_with_each_kind_of_liar_keeps_what_is_promised_against_liars(lie: str) -> None:
    script = script_of(27, kind="line", count=5, lies=(lie,))
    assert set(script.liars) <= {1, 2, 3}, "a liar at the end of the line has nothing to carry"
    verdict = play(script)
    assert not verdict.faults, str(verdict)
    assert min(verdict.looked[what] for what in ("next hops", "identities", "probes")) > 0
    assert lie not in SHOWN_BY or any(verdict.counters[name] for name in SHOWN_BY[lie]), verdict.counters


@pytest.mark.slow
def test_all_lies_at_once_change_nothing() -> None:
    verdict = play(script_of(23, kind="small-world", count=10, lies=tuple(LIES)))
    assert not verdict.faults, str(verdict)
    assert verdict.looked["overheard"] > 0


def test_seeds_draw_all_shapes_all_lies_and_everything_that_can_happen() -> None:
    scripts = [script_of(seed) for seed in range(300)]
    assert {script.topology.kind for script in scripts} == set(KINDS)
    assert {lie for script in scripts for lies in script.liars.values() for lie in lies} == set(LIES)
    steps = {step.what for script in scripts for step in script.steps}
    assert steps == {"cut", "flap", "partition", "kill", "stop", "restore", "wrong clock"}
    assert {script.topology.count for script in scripts} <= set(range(SIZES[0], SIZES[1] + 1))
    assert 60 < sum(bool(script.liars) for script in scripts) < 140
    assert any(script.silent for script in scripts)
    assert any(script.settings for script in scripts)
    assert all(sum(map(max, script.latencies_s)) < 10 for script in scripts)


@pytest.mark.slow
def test_a_scenario_that_fails_says_why_and_how_to_play_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pimd.lab.judge.AGAIN_S", 0.0)
    assert main(["scenario", "--seed", "3", "--nodes", "6", "--kind", "line", "--lies", "none"]) == 1
    told = capsys.readouterr().out
    assert "scenario 3: FAILED" in told
    assert "FAULT t=" in told
    assert "pairs are apart" in told
    assert "again: scripts/lab scenario --seed 3 --kind line --nodes 6 --lies none" in told


@pytest.mark.slow
def test_a_good_scenario_tells_its_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "--seed", "3", "--nodes", "6", "--lies", "none"]) == 0
    told = capsys.readouterr().out
    assert "scenario 3: good" in told
    assert "messages delivered" in told
    assert "digest " in told


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_many_scenarios_keep_every_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenarios", "--count", str(MANY)]) == 0, capsys.readouterr().out


@pytest.mark.slow
def test_a_clock_set_ahead_by_a_month_at_a_restart_makes_no_message_expire() -> None:
    verdict = play(script_of(101047, count=6), log_level="warning")
    assert not verdict.faults
    assert any("its clock set elsewhere" in line for line in verdict.story)
    assert not any("expired" in line for line in verdict.story)
