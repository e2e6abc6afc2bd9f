"""Files that only their owner may read, on disk before they are used."""

import errno
import os
import stat
from pathlib import Path

from pimd.paths import sync_directory

NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
"""How file systems without hard links refuse one, such as exFAT and shares of containers."""


class SecretFileError(Exception):
    """A secret file is missing, not to be trusted, or cannot be written; the text never holds its content."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


def create_secret_file(path: Path, content: bytes) -> bool:
    """Write a new file of mode 0600, synced with its directory; False when something of that name exists.

    The content gets its name by `link` only once it is whole, so that neither a crash nor a second process ever meets a
    shorter file. A file system without hard links gives it by a rename. Raises `SecretFileError`.
    """
    unnamed = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        unnamed.unlink(missing_ok=True)
        _write_synced(unnamed, content)
        try:
            _name(unnamed, path)
        except FileExistsError:
            return False
        finally:
            unnamed.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise SecretFileError(path, f"cannot be written: {error.strerror}") from error
    return True


def replace_secret_file(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, synced with its directory, in place of one of that name; raises `SecretFileError`."""
    coming = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        coming.unlink(missing_ok=True)
        _write_synced(coming, content)
        coming.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise SecretFileError(path, f"cannot be written: {error.strerror}") from error


def read_secret_file(path: Path, limit: int) -> bytes:
    """Return at most `limit` + 1 bytes, so that a file that is too long shows.

    Raises FileNotFoundError, and `SecretFileError` for a symbolic link, anything but a regular file, and a file that
    others than its owner may read or write.
    """
    try:
        # Without O_NONBLOCK a FIFO of that name would hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _refuse_unsafe(path, os.fstat(descriptor))
            return os.read(descriptor, limit + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = (
            "is a symbolic link; put the file itself there"
            if path.is_symlink()
            else f"cannot be read: {error.strerror}"
        )
        raise SecretFileError(path, reason) from error


def _name(unnamed: Path, path: Path) -> None:
    """Give a file a name that nothing has; FileExistsError."""
    try:
        os.link(unnamed, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError from None
        # A second process could come between; the lock of the data directory keeps daemons from that.
        unnamed.rename(path)


def _write_synced(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _refuse_unsafe(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SecretFileError(path, "is not a regular file; move it away")
    if os.geteuid() not in {status.st_uid, 0}:
        raise SecretFileError(
            path, f"belongs to user id {status.st_uid}; it must be your own: chown it or move it away"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise SecretFileError(
            path, f"has mode {mode:04o}, so others may have read it; if you trust it, run: chmod 600 {path}"
        )
