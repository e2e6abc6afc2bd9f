"""The set-up script, as far as it goes without a package index."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.daemon import PROJECT


@pytest.mark.slow  # makes a virtual environment
def test_it_says_what_it_is_doing_before_it_is_silent_for_long(tmp_path: Path) -> None:
    for directory in ("scripts", "build_tools"):
        (tmp_path / directory).mkdir()
    shutil.copy(PROJECT / "scripts" / "venv", tmp_path / "scripts")
    (tmp_path / "build_tools" / "none.py").touch()
    (tmp_path / "pyproject.toml").write_text("what pip gives up on before it asks for anything")
    done = subprocess.run([tmp_path / "scripts" / "venv"], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("installing into .venv "), done
    assert done.returncode != 0
    assert not (tmp_path / ".venv" / "stamp").exists()
