"""What `pim feature new` writes is installed beside a wheel of the daemon, passes its tests, and works."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.build.test_wheels import build
from tests.system.conftest import MakeDaemon
from tests.system.daemon import PROJECT

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]

ENVIRON = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTEST_ADDOPTS"}}


def run(*command: str | Path, at: Path) -> str:
    done = subprocess.run(command, cwd=at, env=ENVIRON, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def install(python: Path, *what: str | Path, at: Path) -> None:
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-index",
        "--no-build-isolation",
    ]
    run(*pip, *what, at=at)


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with a wheel of this tree; dependencies, pytest and hatchling are those of the tests."""
    home = tmp_path_factory.mktemp("new")
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv", at=home)
    python = home / "venv" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", at=home).strip())
    # Names of folders only: files of other paths in them, such as that of this checkout, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install(python, "--no-deps", build(home / "dist"), at=home)
    where = run(python, "-c", "import pimd.lab; print(pimd.lab.__file__)", at=home)
    assert where.startswith(str(site))
    return python.parent


@pytest.mark.parametrize("name", ["hello", "two_words_1"])
def test_it_passes_its_tests_and_works(name: str, venv: Path, tmp_path: Path, daemon: MakeDaemon) -> None:
    word, directory = name.replace("_", "-"), tmp_path / "new"
    assert f"pim help {word}" in run(venv / "pim", "feature", "new", name, directory, at=tmp_path)
    bob, alice = daemon("bob", config=f'[features.{name}]\ngreeting = "good evening"\n'), daemon("alice")
    for one in (alice, bob):
        one.executable, one.environ["PYTHONPATH"] = str(venv / "python"), ""
    alice.start()
    install(venv / "python", "-e", ".", at=directory)
    assert " passed" in run(venv / "python", "-m", "pytest", at=directory)
    bob.start()
    for _ in range(2):  # the second time it is loaded anew
        assert alice.call("features.enable", {"name": name, "reload": True})["state"] == "running"
    pim: list[str | Path] = [venv / "pim", "--data-dir", alice.data_dir]
    told = " ".join(run(*pim, "help", at=tmp_path).split())
    assert f" {word} ask NAME-OR-ID ask a peer for its greeting " in told
    assert run(*pim, word, "answers", at=tmp_path) == "no answers yet\n"
    with alice.socket() as client:
        client.call("peers.subscribe")
        client.call(f"{name}.subscribe")
        alice.call("peers.add_static", {"address": f"127.0.0.1:{bob.mesh_port}"})
        client.wait_for("connected")
        run(*pim, word, "ask", "bob", at=tmp_path)
        client.wait_for("greeted")
    assert f"{bob.node_id}  good evening  " in run(*pim, word, "answers", at=tmp_path)
    refused = subprocess.run(
        [*pim, "feature", "new", name, tmp_path / "again"], capture_output=True, text=True, check=False
    )
    assert (
        refused.returncode,
        f"the installed package pim-feature-{word} has a feature of that name" in refused.stderr,
    ) == (1, True)
    mypy: list[str | Path] = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-executable",
        venv / "python",
        "--cache-dir",
        tmp_path / "mypy",
    ]
    run(*mypy, "src", "tests", at=directory)
    for check in (["check"], ["format", "--check", "--line-length", "120"]):
        run(sys.executable, "-m", "ruff", check[0], "--isolated", *check[1:], ".", at=directory)
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        venv / "python",
        "uninstall",
        "--yes",
        f"pim-feature-{word}",
        at=tmp_path,
    )


def test_the_templates_are_in_the_checkout_too(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "pimd.cli", "--json", "feature", "new", "hello", str(tmp_path / "x"), at=PROJECT)
    assert "tests/test_hello.py" in done
