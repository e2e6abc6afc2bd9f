"""The example of docs/writing-a-feature.md is installed and works between two daemons."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import PROJECT

EXAMPLE = PROJECT / "docs" / "examples" / "pim_feature_echo"

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the example installed in it."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(site), str(EXAMPLE)], check=True, capture_output=True)
    return site


def test_it_is_found_and_answers_over_the_mesh(daemon: MakeDaemon, site: Path) -> None:
    bob = daemon("bob", config="[features.echo]\nshout = true\n")
    alice = daemon("alice")
    for one in (alice, bob):
        one.environ["PYTHONPATH"] += f":{site}"
        one.start()
    row = next(row for row in alice.call("features.list") if row["name"] == "echo")
    assert (row["origin"], row["version"], row["state"]) == ("pim-feature-echo", "1.0", "running")
    assert row["methods"] == ["echo.ask", "echo.subscribe", "echo.unsubscribe"]
    assert row["payload_kinds"] == ["echo.ask", "echo.answer"]
    with alice.socket() as client:
        client.call("peers.subscribe")
        client.call("echo.subscribe")
        alice.call("peers.add_static", {"address": f"127.0.0.1:{bob.mesh_port}"})
        client.wait_for("connected")
        client.call("echo.ask", {"node_id": bob.node_id, "text": "hello"})
        assert client.wait_for("echoed")["text"] == "HELLO"
        done = alice.pim("echo", "ask", "bob", "again")
        assert (done.returncode, done.stdout) == (0, "asked; the answer comes as echo.event\n")
        assert client.wait_for("echoed")["text"] == "AGAIN"
    assert alice.ask("echo.ask", {"node_id": "0" * 32, "text": "x"})["error"]["code"] == -32010
    assert " echo ask NAME-OR-ID TEXT ask a peer to echo a text " in " ".join(alice.pim("help").stdout.split())
    for code, line, words in (
        (1, ["echo", "ask", "nobody", "x"], "nobody here is called 'nobody'"),
        (1, ["echo", "ask", "0" * 32, "x"], "cannot be reached now; peers.list shows who can (error -32010)"),
        (2, ["echo", "ask", "bob"], "usage: pim echo ask"),
    ):
        done = alice.pim(*line)
        assert (done.returncode, words in done.stderr) == (code, True), done
    alice.call("features.disable", {"name": "echo"})
    assert alice.pim("echo", "ask", "bob", "x").returncode == 2
    alice.kill()
    assert alice.pim("echo", "ask", "bob", "x").returncode == 3


def test_one_that_cannot_be_imported_is_named(daemon: MakeDaemon, site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for source in site.glob("*.dist-info"):
        target = broken / source.name
        target.mkdir()
        for file in source.iterdir():
            (target / file.name).write_bytes(file.read_bytes())
    alice = daemon("alice")
    alice.environ["PYTHONPATH"] += f":{broken}"
    row = next(row for row in alice.start().call("features.list") if row["name"] == "echo")
    assert row["state"] == "failed"
    assert "uninstall pim-feature-echo" in row["reason"]
