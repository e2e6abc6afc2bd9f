"""The directions of the architecture are held: an import that points upwards fails the gate."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.daemon import PROJECT

pytestmark = pytest.mark.slow  # reads every import three times


@pytest.mark.parametrize(
    ("where", "line", "broken"),
    [
        (None, "", None),
        ("pimd/proto/tlv.py", "import pimd.rpc.limits", "Layers point downwards only"),
        ("pimd/proto/tlv.py", "import socket", "Protocols do no I/O"),
        ("pimd/mesh/rate.py", "import pimd_features.logs", "Only the assembly names the features"),
        ("features/pimd_features/logs/__init__.py", "import pimd_features.peers", "Features do not know each other"),
        ("features/pimd_features/logs/__init__.py", "import pimd.mesh.rate", "Features stand on the contract alone"),
        ("pimd/cli/text.py", "import pimd.contract", "The client stands alone"),
    ],
)
def test_each_contract_can_break(tmp_path: Path, where: str | None, line: str, broken: str | None) -> None:
    for part in ("pimd", "features"):
        shutil.copytree(PROJECT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    if where is not None:
        target = tmp_path / where
        target.write_text(f"{target.read_text()}\n{line}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{tmp_path / 'features'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (broken is None), done.stdout
    assert broken is None or f"{broken} BROKEN" in done.stdout
