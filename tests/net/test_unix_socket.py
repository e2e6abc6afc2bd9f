"""Sockets in the file system: whose they are, and that none is taken from who lives."""

import os
from pathlib import Path
from typing import Any

import pytest

from pimd.net.unix_socket import SocketInUse, bind, inode_of, unlink_if_ours


def test_a_socket_that_answers_is_never_taken(tmp_path: Path) -> None:
    path = tmp_path / "s"
    held = bind(path, "SETTING")
    with pytest.raises(SocketInUse, match=rf"already running \(pid {os.getpid()}\); stop it, or set another SETTING"):
        bind(path, "SETTING")
    assert path.exists()
    held.close()
    bind(path, "SETTING").close()  # left behind by a dead daemon


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda path: path.write_text("mine"), "is no socket"), (lambda path: path.mkdir(), "is no socket")],
)
def test_what_is_no_socket_is_left_alone(tmp_path: Path, make: Any, message: str) -> None:
    path = tmp_path / "s"
    make(path)
    with pytest.raises(SocketInUse, match=message):
        bind(path, "SETTING")
    assert path.exists()


def test_a_path_too_long_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SocketInUse, match="at most 107 bytes"):
        bind(tmp_path / ("x" * 108), "SETTING")


def test_a_socket_of_another_daemon_is_not_unlinked(tmp_path: Path) -> None:
    path = tmp_path / "s"
    ours = bind(path, "SETTING")
    inode = inode_of(path)
    path.rename(tmp_path / "moved")
    other = bind(path, "SETTING")
    unlink_if_ours(path, inode)
    assert path.exists()
    ours.close()
    other.close()
