"""What meshes of many daemons cost is measured, and within the promised virtual time they converge."""

import pytest

from pimd.lab import run, scale
from pimd.lab.__main__ import main


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


@pytest.mark.slow
def test_a_hundred_daemons_that_start_at_once_converge_within_the_promised_time() -> None:
    cost = run(lambda: scale.measure(100, 1, steady_s=1.0), seed=1)
    assert cost.links == 300
    assert cost.virtual_s < 90
