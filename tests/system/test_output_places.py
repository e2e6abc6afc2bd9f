"""A daemon whose standard output or standard error takes nothing runs all the same."""

import subprocess
import sys
import time

import pytest

from tests.system.conftest import MakeDaemon


@pytest.mark.system
@pytest.mark.parametrize(
    "redirected", [">/dev/full", ">&-", "2>/dev/full", ">&- 2>&-", ">/dev/full 2>/dev/full", "| true"]
)
def test_it_starts_serves_and_stops_with_0(daemon: MakeDaemon, redirected: str) -> None:
    alice = daemon(config='[node]\nname = "Zoë \U0001f680"\n')
    command = [sys.executable, "-m", "pimd", "-c", str(alice.config), "--data-dir", str(alice.data_dir)]
    # `exec` lets the signal reach the daemon; behind a pipe the shell has to wait for it.
    script = f'"$0" "$@" {redirected}' if redirected.startswith("|") else f'exec "$0" "$@" {redirected}'
    # In an ASCII locale: the file is UTF-8 all the same.
    environ = alice.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    del environ["PIMD_NODE__NAME"]
    with subprocess.Popen(["sh", "-c", script, *command], env=environ, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 30
        while not (alice.data_dir / "daemon.json").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert alice.pim("status").returncode == 0
        assert alice.call("status")["node"] == "Zoë \U0001f680"
        alice.pim("call", "daemon.shutdown")
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert b"Traceback" not in said
