"""The daemon's directory: private, and held by one daemon at a time."""

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pimd import paths

LOCK_RETRIES = 10
LOCK_RETRY_S = 0.01
PLUGINS_NAME = "plugins"
PLUGIN_DIR_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
"""No separator, no NUL, no leading dot: `..` cannot be written."""


class DataDirError(Exception):
    """The directory cannot be used; the text names it and says what to do."""


class DataDir:
    """A directory that this process holds the lock of."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def plugin_dir(self, name: str) -> Path:
        """Create `plugins/<name>` with mode 0700 and return it.

        Raises ValueError for a name that is no plain one, and `DataDirError` for a symbolic link in its place.
        """
        if not PLUGIN_DIR_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a plugin's directory: letters, digits, `_`, `-` and `.` only")
        return _private_dir(_private_dir(self.path / PLUGINS_NAME) / name)


@contextmanager
def hold_data_dir(path: Path) -> Iterator[DataDir]:
    """Create the directory with mode 0700 if need be and hold its lock until the end of the block.

    Raises `DataDirError`, naming the process id, while another daemon holds it.
    """
    _make(path)
    descriptor = _take_lock(path)
    try:
        yield DataDir(path)
    finally:
        # The lock file stays: after a deletion two daemons could each lock a file of that name.
        os.close(descriptor)


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True)
        path.chmod(0o700)
    except FileExistsError:
        _refuse_unsafe(path)
    except OSError as error:
        raise DataDirError(
            f"{path}: the data directory cannot be created: {error.strerror}; "
            "choose another with --data-dir or PIM_DATA_DIR"
        ) from error


def _refuse_unsafe(path: Path) -> None:
    if not path.is_dir():
        raise DataDirError(f"{path}: the data directory is not a directory; choose another or move it away")
    if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DataDirError(
            f"{path}: others may write to the data directory and replace its files; run: chmod 700 {path}"
        )


def _take_lock(path: Path) -> int:
    lock = path / paths.LOCK_NAME
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirError(f"{lock}: cannot be opened: {error.strerror}; check owner and permissions") from error
    try:
        _lock(descriptor)
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise DataDirError(
                f"{path}: in use by another pimd, process {holder or 'unknown'}; stop it or choose another directory"
            ) from error
        raise DataDirError(f"{lock}: cannot be locked: {error.strerror}") from error
    return descriptor


def _lock(descriptor: int) -> None:
    """Try for a moment, because `pim` holds the lock briefly to see whether a daemon does."""
    for _ in range(LOCK_RETRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(LOCK_RETRY_S)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _private_dir(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = "is a symbolic link; remove it" if path.is_symlink() else f"cannot be used: {error.strerror}"
        raise DataDirError(f"{path}: {reason}") from error
    return path
