"""A Unix socket in the file system: private from the first moment, and never taken from a daemon that lives."""

import os
import socket
import stat
import struct
from pathlib import Path

PATH_LIMIT = 107
"""Bytes of a path that fit in `sockaddr_un` with its terminating NUL."""
MODE = 0o660
DIRECTORY_MODE = 0o750
CREDENTIALS = struct.Struct("3i")


class SocketInUse(Exception):  # noqa: N818 - a state of the world, told to a person
    """The path cannot be bound; the text says why and what to do."""


def bind(path: Path) -> socket.socket:
    """Bind, replacing the socket of a dead daemon; mode 0660 in a directory made 0750. `SocketInUse` otherwise."""
    refuse_long(path)
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        _clear(path)
        return _bind(path)
    except OSError as error:
        raise SocketInUse(
            f"{path}: cannot be bound: {error.strerror}; set [rpc] unix_socket to a path this user may write"
        ) from error


def refuse_long(path: Path) -> None:
    """Raise `SocketInUse` for a path that no socket can have."""
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise SocketInUse(
            f"{path}: a socket's path has at most {PATH_LIMIT} bytes; set a shorter [rpc] unix_socket or PIM_RPC_SOCKET"
        )


def _bind(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o077)
    try:
        bound.bind(os.fspath(path))
        path.chmod(MODE)
    except BaseException:
        bound.close()
        raise
    finally:
        os.umask(before)
    bound.setblocking(False)  # noqa: FBT003 - positional only
    return bound


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUse(f"{path}: is there and is no socket; move it away or set another [rpc] unix_socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise SocketInUse(f"{path}: is there and cannot be asked who holds it: {error}") from error
        raise SocketInUse(f"{path}: already running (pid {_pid_behind(probe)}); stop it, or set another unix_socket")


def _pid_behind(probe: socket.socket) -> str:
    if not hasattr(socket, "SO_PEERCRED"):
        return "unknown"
    credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    return str(CREDENTIALS.unpack(credentials)[0])


def unlink_if_ours(path: Path, inode: int) -> None:
    """Remove the socket unless another daemon put its own there."""
    try:
        if path.lstat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        return
