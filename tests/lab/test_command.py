"""What the command line of the lab says to what makes no sense."""

from pathlib import Path

import pytest

from pimd.lab.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scenario", "--seed", "1", "--nodes", "1"], "--nodes: 1 is not a whole number from 2"),
        (["scenario", "--seed", "1", "--svg", "/nowhere/mesh.svg"], "--svg: /nowhere/mesh.svg cannot be written"),
        (["scenario", "--seed", "1", "--lies", "truth"], "--lies: truth is none of substitute-keys, replay"),
        (["scenarios", "--count", "-5"], "--count"),
        (["scenarios", "--jobs", "0"], "--jobs: 0 is not a whole number from 1"),
        (["scale", "many"], "nodes: many is not a whole number from 2"),
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
