"""What `pim feature new` refuses, and that it leaves everything as it was then."""

import json
import re
from pathlib import Path

import pytest

from pimd.cli import program
from pimd.cli.new_feature import FILES


@pytest.mark.parametrize(
    ("code", "name", "said"),
    [
        (2, "Hello", "'Hello' cannot be the name of a feature: lowercase letters"),
        (2, "1hello", "cannot be the name"),
        (2, "hel-lo", "cannot be the name"),
        (2, "../hello", "cannot be the name"),
        (2, "x" * 31, "at most 30"),
        (2, "\x1b[2J", r"'\x1b[2J' cannot be the name"),
        (1, "messaging", "messaging is taken: it belongs to the feature messaging of pimd"),
        (1, "messages", "it belongs to the feature messaging of pimd"),
        (1, "discovery", "it belongs to the feature discovery of pimd"),
        (1, "rpc", "it belongs to the daemon"),
        (1, "send", "pim has a command of that name; choose another name"),
        (1, "lab", "the lab of pimd, in which features are tested"),
    ],
)
def test_a_name_that_cannot_be(
    code: int, name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["feature", "new", name, str(tmp_path / "new")]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_directory_that_is_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine")
    for directory, said in (
        (tmp_path, "is not empty; name a directory that is new or empty"),
        (tmp_path / "mine", "cannot be written: File exists"),
        (tmp_path / "mine" / "new", "cannot be written: Not a directory"),
    ):
        assert program.main(["feature", "new", "hello", str(directory)]) == 1
        assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_is_missing_is_said_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["feature", "new", "hello"]) == 2
    assert "usage: pim feature new" in capsys.readouterr().err


def test_an_empty_directory_is_filled_and_the_files_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new").mkdir()
    assert program.main(["--json", "feature", "new", "hello_2", str(tmp_path / "new")]) == 0
    told = json.loads(capsys.readouterr().out)
    there = sorted(str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert sorted(told["files"]) == there
    assert len(there) == len(FILES)
    assert "src/pim_feature_hello_2/plugin.py" in there
    for path in there:
        assert not re.search("@[a-zA-Z]+@", (tmp_path / "new" / path).read_text())
