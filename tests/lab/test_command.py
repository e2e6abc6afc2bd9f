"""What the command line of the lab says to what makes no sense."""

from pathlib import Path

import pytest

from pimd.lab import __main__ as command
from pimd.lab.__main__ import main
from pimd.lab.scenario import Verdict
from pimd.lab.script import Script


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scenario", "--seed", "1", "--nodes", "1"], "--nodes: 1 is not a whole number from 2"),
        (["scenario", "--seed", "1", "--svg", "/nowhere/mesh.svg"], "--svg: /nowhere/mesh.svg cannot be written"),
        (["scenario", "--seed", "1", "--lies", "truth"], "--lies: truth is none of substitute-keys, replay"),
        (["scenarios", "--count", "-5"], "--count"),
        (["scenarios", "--jobs", "0"], "--jobs: 0 is not a whole number from 1"),
        (["scale", "many"], "nodes: many is not a whole number from 2"),
        (["scale", "3", "--steady", "nan"], "--steady: nan is not a number above 0"),
        (["scale", "3", "--degree", "-1"], "--degree: -1 is not a number above 0"),
        (["draw", "ring", "0", "mesh.svg"], "nodes: 0 is not a whole number from 1"),
        (["draw", "ring", "5", "/nowhere/mesh.svg"], "file: /nowhere/mesh.svg cannot be written"),
    ],
)
def test_wrong_arguments_are_told_in_one_sentence(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_picture_of_the_routes_to_nobody_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["draw", "ring", "5", str(tmp_path / "mesh.svg"), "--to", "nope"]) == 2
    assert capsys.readouterr().err == "there is no daemon nope: they are n1 to n5\n"
    assert not (tmp_path / "mesh.svg").exists()


def test_two_daemons_of_which_one_lies_are_a_scenario_too() -> None:
    assert main(["scenario", "--seed", "3", "--nodes", "2", "--lies", "drop"]) == 0


def test_a_scenario_that_breaks_the_lab_is_told_with_its_seed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(script: Script, *, log_level: str) -> Verdict:
        raise IndexError(log_level)

    monkeypatch.setattr(command, "play", broken)
    assert main(["scenarios", "--count", "2", "--from", "7", "--jobs", "1"]) == 1
    told = capsys.readouterr().out
    assert "scenario 7: the lab broke: IndexError('warning')" in told
    assert "again: scripts/lab scenario --seed 8" in told
