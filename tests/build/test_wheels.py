"""Wheels of chosen features hold those and nothing of the others."""

import email
import email.message
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.system.daemon import PROJECT, Daemon

pytestmark = pytest.mark.slow  # each builds a wheel


def build(out: Path, source: Path = PROJECT, *arguments: str, features: str | None = None) -> Path:
    """Build a wheel of `source` and return it."""
    environ = {name: value for name, value in os.environ.items() if name != "PIMD_FEATURES"}
    if features is not None:
        environ["PIMD_FEATURES"] = features
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        str(out),
        *arguments,
        str(source),
    ]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return next(out.glob("*.whl"))


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return next(
            archive.read(entry).decode() for entry in archive.namelist() if entry.endswith(f".dist-info/{name}")
        )


def files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/RECORD")}


def dependencies(wheel: Path) -> list[str]:
    message: email.message.Message = email.message_from_string(metadata(wheel, "METADATA"))
    return sorted(message.get_all("Requires-Dist") or [])


def installed(wheel: Path, home: Path) -> Daemon:
    """A daemon that runs from the unpacked wheel and not from this checkout."""
    target = home / "site"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            str(target),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    daemon = Daemon(home, "reduced")
    daemon.environ["PYTHONPATH"] = str(target)
    return daemon


def test_a_wheel_of_peers_and_status_has_no_messaging_and_says_so(tmp_path: Path) -> None:
    wheel = build(tmp_path / "dist", features="peers,status")
    assert not [name for name in files(wheel) if "messaging" in name or "/logs/" in name]
    assert "pimd_features/peers/__init__.py" in files(wheel)
    points = metadata(wheel, "entry_points.txt")
    assert "peers = pimd_features.peers:FEATURE" in points
    assert "messaging" not in points
    assert "zeroconf" not in " ".join(dependencies(wheel))
    assert "zeroconf" in " ".join(dependencies(build(tmp_path / "other", features="discovery")))

    daemon = installed(wheel, tmp_path).start()
    try:
        assert daemon.call("daemon.info")["features"] == ["peers", "status"]
        error = daemon.ask("messages.send", {"peer_node_id": "0" * 32, "body": "x"})["error"]
        assert error["code"] == -32601
        assert error["data"]["feature"] == "messaging"
        assert error["data"]["state"] == "not_built"
        assert "PIMD_FEATURES" in error["data"]["hint"]
        rows = {row["name"]: row["state"] for row in daemon.call("features.list")}
        assert rows == {
            "peers": "running",
            "status": "running",
            "routes": "not_built",
            "discovery": "not_built",
            "messaging": "not_built",
            "groups": "not_built",
            "config": "not_built",
            "logs": "not_built",
        }
        version = subprocess.run(
            [sys.executable, "-m", "pimd", "--version"],
            env=daemon.environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "(features: status, peers)" in version.stdout
    finally:
        daemon.kill()


def test_config_settings_choose_as_the_variable_does(tmp_path: Path) -> None:
    by_variable = build(tmp_path / "a", features="peers,status")
    by_setting = build(tmp_path / "b", PROJECT, "-C", "features=peers,status")
    assert files(by_variable) == files(by_setting)
    assert dependencies(by_variable) == dependencies(by_setting)


def test_the_wheel_from_the_sdist_is_the_wheel_from_the_tree(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(tmp_path), str(PROJECT)]
    subprocess.run(command, check=True, capture_output=True)
    sdist = next(tmp_path.glob("*.tar.gz"))
    subprocess.run(["tar", "-xzf", str(sdist), "-C", str(tmp_path)], check=True)
    unpacked = next(path for path in tmp_path.iterdir() if path.is_dir())
    for chosen in (None, "peers,status"):
        tree = build(tmp_path / f"tree-{chosen}", features=chosen)
        from_sdist = build(tmp_path / f"sdist-{chosen}", unpacked, features=chosen)
        assert files(tree) == files(from_sdist)
        assert dependencies(tree) == dependencies(from_sdist)
        assert metadata(tree, "entry_points.txt") == metadata(from_sdist, "entry_points.txt")


def test_the_stamp_names_every_feature(tmp_path: Path) -> None:
    wheel = build(tmp_path, features="none")
    with zipfile.ZipFile(wheel) as archive:
        stamp = json.loads(archive.read("pimd/_build_features.json"))
    assert {name: row["built"] for name, row in stamp["features"].items()} == dict.fromkeys(
        ("status", "peers", "routes", "discovery", "messaging", "groups", "config", "logs"), False
    )
    assert stamp["features"]["messaging"]["namespaces"] == ["messages"]
    assert "[pytest11]\npimd = pimd.pytest_plugin" in metadata(wheel, "entry_points.txt")
    assert {"pimd/pytest_plugin.py", "pimd/testing/checks/leaks.py"} <= files(wheel)
    assert "pytest" not in " ".join(one for one in dependencies(wheel) if "extra ==" not in one)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("peers,nonsense", "nonsense, which nobody knows"),
        ("status", "status requires peers"),
    ],
)
def test_a_choice_that_cannot_be_fails_the_build(tmp_path: Path, chosen: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        build(tmp_path, features=chosen)
