"""The example of docs/lab.md runs as it stands there."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def test_the_example_for_feature_authors_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(PROJECT / "docs" / "examples" / "pim_feature_echo")
    (example,) = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "lab.md").read_text(), re.DOTALL)
    exec(compile(example, "docs/lab.md", "exec"), {"__name__": "example"})  # noqa: S102 - our own document
    told = capsys.readouterr().out
    assert told.startswith("all routes found after ")
    assert " n1     INFO    pimd.mesh: linked with " in told


def test_the_figures_are_there() -> None:
    figures = (PROJECT / "docs" / "lab.md").read_text().partition("## Figures\n")[2]
    assert "FIGURES" not in figures
    for nodes in ("10", "100", "300", "1 000"):
        assert f"\n| {nodes} | " in figures
