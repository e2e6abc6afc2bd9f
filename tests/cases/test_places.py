"""Places that a daemon runs in: links, mounts, homes of others, read-only trees, odd file systems and names."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.conftest import MakeMachine
from tests.cases.machine import Machine
from tests.repeats import one_in
from tests.system.conftest import daemons_in
from tests.system.daemon import Failed

NOBODY = 54321
"""A user id without an entry in passwd, as containers have them."""
SITE = """
import errno, os
def _no_link(*_, **__):
    raise OSError(errno.EPERM, "Operation not permitted")
os.link = _no_link
"""
ADDRESS = "127.0.0.1:9"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, and runs daemons as other users")


@pytest.fixture
def open_machine() -> Iterator[MakeMachine]:
    """Make daemons in a directory that every user reaches."""
    with tempfile.TemporaryDirectory(prefix="pim-") as home, daemons_in(Path(home), Machine) as make:
        Path(home).chmod(0o755)
        yield make


def configured(machine: Machine) -> list[str]:
    return [row["address"] for row in machine.call("peers.configured")]


def as_nobody(machine: Machine) -> None:
    machine.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    machine.data_dir.mkdir(mode=0o700)
    os.chown(machine.data_dir, NOBODY, NOBODY)
    machine.environ["PIM_RPC_SOCKET"] = str(machine.data_dir / "pim.sock")
    machine.environ["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.mark.system
def test_a_link_to_the_configuration_stays(machine: MakeMachine, tmp_path: Path) -> None:
    """syncthing/syncthing#9165, giuspen/cherrytree#1464: an edit puts a file in the place of the link."""
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "pim.toml"
    real.write_text("# my nodes\n")
    (tmp_path / "alice.toml").symlink_to("dotfiles/pim.toml")
    alice = machine().start()
    assert alice.pim("add", ADDRESS).returncode == 0
    assert alice.config.is_symlink()
    assert real.read_text().startswith("# my nodes\n")
    assert ADDRESS in real.read_text()
    alice.kill()
    assert configured(alice.start()) == [ADDRESS]


@needs_root
@pytest.mark.system
def test_one_mounted_file_is_written_where_it_is(machine: MakeMachine, tmp_path: Path) -> None:
    """mautrix/go-util#28, mindroom-ai/mindroom#43: nothing can be renamed onto a mount point."""
    outer = tmp_path / "outer.toml"
    outer.write_text("# mine\n")
    alice = machine()
    alice.prefix = ["unshare", "-m", "sh", "-c", f'mount --bind {outer} {alice.config} && exec "$0" "$@"']
    alice.start()
    assert alice.pim("add", ADDRESS).returncode == 0
    assert outer.read_text().startswith("# mine\n")
    assert ADDRESS in outer.read_text()
    assert alice.pim("remove", ADDRESS).returncode == 0
    assert ADDRESS not in outer.read_text()


@needs_root
@pytest.mark.system
@pytest.mark.parametrize("home", one_in(2, [None, "of another user", "/nonexistent", "/"]))
def test_any_home_will_do(open_machine: MakeMachine, home: str | None) -> None:
    """Vexa-ai/vexa#1102, sclorg/mysql-container#32, kovidgoyal/kitty#1152: HOME is not set, or somebody else's."""
    alice = open_machine()
    as_nobody(alice)
    del alice.environ["HOME"]
    if home is not None:
        alice.environ["HOME"] = home if home.startswith("/") else tempfile.mkdtemp(dir=alice.home)
    for given in (["--config", str(alice.config), "--data-dir", str(alice.data_dir)], []):
        if not given:
            alice.environ["PIM_DATA_DIR"] = str(alice.data_dir)
        command = [*alice.prefix, sys.executable, "-m", "pimd", *given]
        with subprocess.Popen(command, env=alice.environ, stdout=subprocess.PIPE, text=True, cwd="/") as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            assert alice.pim("status").returncode == 0
            assert alice.pim("add", ADDRESS).returncode == 0
            assert configured(alice) == [ADDRESS]
            process.terminate()
        assert process.returncode == 0


@needs_root
@pytest.mark.system
def test_a_service_keeps_what_it_was_told(open_machine: MakeMachine) -> None:
    """TekuSP/SubZeroFramework#72: all but the state directory is read-only, and the file is root's."""
    alice = open_machine(config=f'[node]\nname = "x"\n[[peers]]\nmechanism = "tcp"\naddress = "{ADDRESS}"\n')
    as_nobody(alice)
    mount = f"mount --make-rprivate / && mount --bind {alice.data_dir} {alice.data_dir} && mount -o remount,bind,ro /"
    alice.prefix = ["unshare", "-m", "sh", "-c", f'{mount} && exec {" ".join(alice.prefix)} "$0" "$@"']
    text = alice.config.read_text()
    alice.start()
    assert alice.pim("add", "127.0.0.1:10").returncode == 0
    assert alice.pim("remove", ADDRESS).returncode == 0
    assert alice.call("features.disable", {"name": "groups", "persist": True})["state"] == "disabled"
    alice.kill()
    alice.start()
    assert configured(alice) == ["127.0.0.1:10"]
    assert {row["name"]: row["state"] for row in alice.call("features.list")}["groups"] == "disabled"
    assert alice.pim("add", ADDRESS).returncode == 0
    assert sorted(configured(alice)) == ["127.0.0.1:10", ADDRESS]
    refused = alice.ask("config.save", {"config": '[node]\nname = "y"\n'})["error"]
    assert refused["code"] == -32021
    assert str(alice.config) in refused["message"]
    assert alice.config.read_text() == text


@pytest.mark.system
def test_what_an_editor_of_windows_saved_is_read_and_stays(machine: MakeMachine, tmp_path: Path) -> None:
    """influxdata/telegraf#1378, hukkin/tomli#304, herdrdev/herdr#3678: a byte order mark, and other line ends."""
    lines = b'\xef\xbb\xbf[node]\r\nname = "Z\xc3\xb6e" # mine\r\n'
    (tmp_path / "alice.toml").write_bytes(lines)
    alice = machine(PYTHONUTF8="0", LC_ALL="C", PYTHONCOERCECLOCALE="0")
    del alice.environ["PIMD_NODE__NAME"]
    alice.start()
    assert alice.call("status")["node"] == "Zöe"
    assert alice.pim("add", ADDRESS).returncode == 0
    wanted = alice.call("config.get")["config"].replace("# mine", "# ours") + "[relay]\nenabled = false\n"
    alice.call("config.save", {"config": wanted})
    saved = alice.config.read_bytes()
    assert saved.startswith(lines.replace(b"mine", b"ours"))
    assert b"enabled = false\r\n" in saved
    assert saved.count(b"\xef\xbb\xbf") == 1
    assert saved.count(b"\n") == saved.count(b"\r\n")


@pytest.mark.parametrize("place", ["missing", ""])
def test_a_pid_file_that_cannot_be_written_is_told_in_one_line(
    machine: MakeMachine, tmp_path: Path, place: str
) -> None:
    """vyos/vyos-1x#188, systemd/systemd#6620: places for output that are not there."""
    alice = machine()
    with pytest.raises(Failed) as ended:
        alice.start("--", str(alice.config), str(tmp_path / place / "pid" if place else tmp_path))
    last = ended.value.stderr.strip().splitlines()[-1]
    assert "the PID file cannot be written" in last
    assert "bug" not in last


@needs_root
@pytest.mark.system
def test_a_file_system_that_turned_read_only_is_named(machine: MakeMachine, tmp_path: Path) -> None:
    """urbit/vere#134: after an error of the disk the kernel lets nobody write."""
    disk = tmp_path / "alice"
    disk.mkdir()
    alice = machine()
    alice.start().kill()
    alice.prefix = ["unshare", "-m", "sh", "-c", f'mount --bind -o ro {disk} {disk} && exec "$0" "$@"']
    with pytest.raises(Failed) as ended:
        alice.start()
    last = ended.value.stderr.strip().splitlines()[-1]
    assert "Read-only file system" in last
    assert "bug" not in last


@pytest.mark.system
def test_a_file_system_without_hard_links_will_do(machine: MakeMachine, tmp_path: Path) -> None:
    """ZoneMinder/zoneminder#5057: exFAT, FUSE and shares of containers refuse them."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    alice = machine()
    alice.environ["PYTHONPATH"] = f"{tmp_path / 'site'}:{alice.environ['PYTHONPATH']}"
    node_id = alice.start().node_id
    alice.kill()
    assert alice.start().node_id == node_id
    assert (alice.data_dir / "node.key").stat().st_mode & 0o777 == 0o600
    assert not [path.name for path in alice.data_dir.iterdir() if path.name.endswith(".new")]


@pytest.mark.system
def test_a_directory_may_have_a_name_that_is_no_utf_8(machine: MakeMachine, tmp_path: Path) -> None:
    """Names are bytes: disks that came from elsewhere have some in other encodings."""
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    alice = machine(config='[node]\nname = "x"\n')
    alice.data_dir, alice.config = odd / "data", alice.config.rename(odd / "pim.toml")
    alice.environ["PIM_RPC_SOCKET"] = str(odd / "pim.sock")
    alice.start()
    assert alice.call("daemon.info")["data_dir"] == f"{tmp_path}/caf\\xe9/data"
    assert alice.pim("add", ADDRESS).returncode == 0
    assert "caf\\xe9" in alice.pim("config", "show", "--origin").stdout
    saved = alice.call("config.save", {"config": '[node]\nname = "y"\n', "dry_run": True})
    assert saved["written_to"] == f"{tmp_path}/caf\\xe9/pim.toml"
    assert json.loads(alice.pim("--json", "status").stdout)["node_id"] == alice.node_id


@needs_root
@pytest.mark.system
def test_process_1_of_a_container_ends_and_starts_again(machine: MakeMachine) -> None:
    """bitcoin/bitcoin#20732, ElementsProject/lightning#9315, stacks-network/stacks-core#658: a lost signal, an old id."""
    alice = machine()
    alice.prefix = ["unshare", "-p", "-f", "--kill-child", "--mount-proc"]
    for number, code in ((signal.SIGTERM, 0), (signal.SIGKILL, None)):
        alice.start()
        assert alice.process is not None
        assert alice.runtime["pid"] == 1
        inner = Path(f"/proc/{alice.process.pid}/task/{alice.process.pid}/children").read_text().split()[0]
        os.kill(int(inner), number)
        assert code in {None, alice.process.wait(30)}
        alice.kill(signal.SIGKILL)
        assert alice.pim("status").returncode == 3
    alice.start()
