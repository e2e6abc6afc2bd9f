"""Creates a Unix socket in the file system: private from the start, and never taken from a running daemon."""

import os
import socket
import stat
import struct
from pathlib import Path

from pimd.addresses import UNIX_PATH_LIMIT
from pimd.net.sockets import BACKLOG, ListeningSocket, OnSocket, leave

MODE = 0o660
DIRECTORY_MODE = 0o750
CREDENTIALS = struct.Struct("3i")


class SocketInUse(Exception):  # noqa: N818 - a state of the world, told to a person
    """The path cannot be bound; the text says why and what to do."""


def bind(path: Path, setting: str, prepare: OnSocket = leave) -> ListeningSocket:
    """Bind, replacing the socket of a dead daemon; mode 0660 in a directory made 0750. `SocketInUse` otherwise.

    `setting` names what a person would change; `prepare` gets each accepted socket.
    """
    refuse_long(path, setting)
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        _clear(path, setting)
        return _bind(path, prepare)
    except OSError as error:
        raise SocketInUse(
            f"{path}: cannot be bound: {error.strerror}; set {setting} to a path this user may write"
        ) from error


def refuse_long(path: Path, setting: str) -> None:
    """Raise `SocketInUse` for a path that no socket can have."""
    if len(os.fsencode(path)) > UNIX_PATH_LIMIT:
        raise SocketInUse(f"{path}: a socket's path has at most {UNIX_PATH_LIMIT} bytes; set a shorter {setting}")


def peer_credentials(connection: socket.socket) -> tuple[int, int, int] | None:
    """Return process, user and group of the other end from the kernel; None where it does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    process, user, group = CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    )
    return process, user, group


def _bind(path: Path, prepare: OnSocket) -> ListeningSocket:
    bound = ListeningSocket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    bound.prepare = prepare
    before = os.umask(0o077)
    try:
        bound.bind(os.fspath(path))
        path.chmod(MODE)
        # A socket that does not listen yet looks like that of a dead daemon.
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    finally:
        os.umask(before)
    bound.setblocking(False)  # noqa: FBT003 - positional only
    return bound


def _clear(path: Path, setting: str) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUse(f"{path}: is there and is no socket; move it away or set another {setting}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise SocketInUse(f"{path}: is there and cannot be asked who holds it: {error}") from error
        credentials = peer_credentials(probe)
        holder = credentials[0] if credentials is not None else "unknown"
        raise SocketInUse(f"{path}: already running (pid {holder}); stop it, or set another {setting}")


def inode_of(path: Path) -> int:
    """Identify the bound socket, to tell it from one that another daemon puts there later."""
    return path.lstat().st_ino


def unlink_if_ours(path: Path, inode: int) -> None:
    """Remove the socket unless another daemon replaced it."""
    try:
        if path.lstat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        return
