"""One daemon a directory, nobody else's eyes."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pimd.store.data_dir import DataDirError, hold_data_dir

HOLDER = """
import pathlib, sys, time
from pimd.store.data_dir import hold_data_dir
with hold_data_dir(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_directory_and_lock_are_for_their_owner_alone_under_any_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "a").mkdir()
    before = os.umask(umask)
    try:
        with hold_data_dir(tmp_path / "a" / "pim") as held:
            assert (held.path, mode_of(held.path), mode_of(held.path / "lock")) == (
                tmp_path / "a" / "pim",
                0o700,
                0o600,
            )
    finally:
        os.umask(before)


def test_missing_parents_are_created(tmp_path: Path) -> None:
    with hold_data_dir(tmp_path / "a" / "b" / "pim") as held:
        assert held.path.is_dir()


def test_the_lock_file_holds_the_process_id(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("123456789\n")
    with hold_data_dir(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_whoever_looks_whether_the_lock_is_held_does_not_keep_a_daemon_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "lock").open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda _: looking.close())  # gone by the next try
        with hold_data_dir(tmp_path):
            assert looking.closed


def test_a_second_daemon_is_told_the_process_id_of_the_first_and_gets_in_once_that_is_killed(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    with first:
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(DataDirError, match=f"in use by another pimd, process {first.pid};"),
            hold_data_dir(tmp_path),
        ):
            pass
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
        with hold_data_dir(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_free_again_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            hold_data_dir(tmp_path),
            pytest.raises(DataDirError, match=f"process {os.getpid()}"),
            hold_data_dir(tmp_path),
        ):
            pass


def test_a_symbolic_link_in_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(DataDirError, match="lock: cannot be opened"), hold_data_dir(tmp_path):
        pass
    assert not (tmp_path / "victim").exists()


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pim").touch()
    with pytest.raises(DataDirError, match="not a directory"), hold_data_dir(tmp_path / "pim"):
        pass


def test_a_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pim").touch()
    with pytest.raises(DataDirError, match="cannot be created: Not a directory"), hold_data_dir(tmp_path / "pim" / "x"):
        pass


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_may_write_to_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    (tmp_path / "pim").mkdir()
    (tmp_path / "pim").chmod(mode)
    with pytest.raises(DataDirError, match="chmod 700"), hold_data_dir(tmp_path / "pim"):
        pass


def test_a_plugin_gets_its_own_private_directory(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        with hold_data_dir(tmp_path / "pim") as held:
            directory = held.plugin_dir("messaging")
            assert held.plugin_dir("messaging") == directory == tmp_path / "pim" / "plugins" / "messaging"
    finally:
        os.umask(before)
    assert (mode_of(directory), mode_of(directory.parent)) == (0o700, 0o700)


BAD_NAMES = ["", ".", "..", "a/b", "/etc", "../x", "a\\b", "nul\0", "new\nline", "x\n", ".hidden", "x" * 65, "é"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_a_plugin_name_that_is_not_plain_is_refused(tmp_path: Path, name: str) -> None:
    with hold_data_dir(tmp_path / "pim") as held, pytest.raises(ValueError, match="cannot name a plugin's directory"):
        held.plugin_dir(name)
    assert [file.name for file in (tmp_path / "pim").iterdir()] == ["lock"]


@pytest.mark.parametrize("link", ["plugins", "plugins/messaging"])
def test_a_symbolic_link_in_place_of_a_plugins_directory_is_refused(tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    with hold_data_dir(tmp_path / "pim") as held:
        held.plugin_dir("other")
        (tmp_path / "pim/plugins/other").rmdir()
        target = tmp_path / "pim" / link
        if target.exists():
            target.rmdir()
        target.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(DataDirError, match="symbolic link"):
            held.plugin_dir("messaging")
    assert list((tmp_path / "elsewhere").iterdir()) == []
