"""The image's steps, run without Docker; the Dockerfile does nothing else of weight."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.daemon import PROJECT, Daemon

STEPS = PROJECT / "scripts" / "image"
DOCKERFILE = (PROJECT / "Dockerfile").read_text()


@pytest.mark.slow  # downloads and installs everything the daemon needs
@pytest.mark.timeout(600)
def test_the_steps_make_a_daemon_of_the_chosen_features(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PIMD_FEATURES": "peers,status"}
    subprocess.run([STEPS / "build-wheel", PROJECT, tmp_path / "wheels"], env=environ, check=True)
    done = subprocess.run(
        [STEPS / "install", tmp_path / "wheels", tmp_path / "env"],
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "(features: status, peers)" in done.stdout
    daemon = Daemon(tmp_path, "image")
    del daemon.environ["PYTHONPATH"]
    daemon.executable = str(tmp_path / "env" / "bin" / "python")
    daemon.start()
    try:
        health = subprocess.run(  # what HEALTHCHECK runs
            [tmp_path / "env" / "bin" / "pim", "status"],
            env={**daemon.environ, "PIM_DATA_DIR": str(daemon.data_dir)},
            check=True,
            capture_output=True,
            text=True,
        )
        assert daemon.node_id in health.stdout
    finally:
        daemon.kill()


def test_the_dockerfile_has_what_was_promised() -> None:
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2
    for line in (
        "ARG PIMD_FEATURES=all",
        "USER pim",
        "VOLUME /var/lib/pim",
        'HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["pim", "status"]',
    ):
        assert line in DOCKERFILE.splitlines()
    for step in re.findall(r"(?:scripts|/)image/([a-z-]+)", DOCKERFILE):
        assert os.access(STEPS / step, os.X_OK), step


def test_its_environment_is_a_valid_configuration(tmp_path: Path) -> None:
    found = re.findall(r"\b(PIMD?_\w+)=(\S+)", DOCKERFILE[DOCKERFILE.index("ENV PATH") :])
    environ = {name: value for name, value in found if name.startswith("PIMD_")}
    assert len(environ) == 3
    done = subprocess.run(
        [sys.executable, "-m", "pimd", "--check-config"],
        env={**Daemon(tmp_path, "x").environ, **environ, "PIMD_RPC__HTTP_PORT": "9102"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
