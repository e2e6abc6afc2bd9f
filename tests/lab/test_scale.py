"""What meshes of many daemons cost is measured, and within the promised virtual time they converge."""

import re

import pytest

from pimd.lab import run, scale
from pimd.lab.__main__ import main


@pytest.mark.slow
def test_the_table_has_a_row_of_positive_figures_for_each_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scale", "2", "5", "--steady", "40"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == scale.HEAD
    assert [row.split()[:2] for row in rows] == [["2", "1"], ["5", "10"]]
    for row in rows:
        virtual_s, _wall_s, _cpu_s, *others = (float(figure) for figure in row.split()[2:])
        assert virtual_s > 0
        assert len(others) == 5
        assert min(others) > 0


def cost_of(nodes: int, *, wall_s: float, memory_mib: float) -> scale.Cost:
    return scale.Cost(nodes, 3 * nodes, 1.0, wall_s, wall_s, memory_mib, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        (cost_of(300, wall_s=60.0, memory_mib=4096.0), []),
        (cost_of(300, wall_s=61.0, memory_mib=100.0), ["300 nodes took 61 s of wall time to converge, more than 60"]),
        (cost_of(1000, wall_s=61.0, memory_mib=100.0), []),
        (
            cost_of(1000, wall_s=901.0, memory_mib=5000.0),
            [
                "1000 nodes took 901 s of wall time to converge, more than 900",
                "1000 nodes took 5000 MiB, more than 4096",
            ],
        ),
        (cost_of(2000, wall_s=5000.0, memory_mib=9000.0), []),
    ],
)
def test_what_takes_more_than_promised_is_told(cost: scale.Cost, told: list[str]) -> None:
    assert scale.broken_promises(cost) == told


def test_a_mesh_that_costs_more_or_does_not_converge_ends_the_command_with_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scale, "PROMISES", ((2, 0.0, 4096.0),))
    assert main(["scale", "2", "--steady", "1"]) == 1
    assert re.fullmatch(r"2 nodes took \d+ s of wall time to converge, more than 0\n", capsys.readouterr().err)
    monkeypatch.setattr(scale, "LIMIT_S", 0.01)
    assert main(["scale", "5", "--steady", "1"]) == 1
    assert "5 nodes: convergence was not so within 0.01 s of virtual time" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)  # a minute of CPU, which others may want, too
def test_three_hundred_daemons_that_start_at_once_converge_within_the_promised_virtual_time() -> None:
    cost = run(lambda: scale.measure(300, 1, steady_s=1.0), seed=1)  # raises when it takes longer
    assert cost.links == 900
