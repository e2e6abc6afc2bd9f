"""Text files that people edit: read and written as UTF-8 whatever the locale, with byte order mark, line ends, owner and mode kept."""

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pimd.paths import sync_directory

MARK = b"\xef\xbb\xbf"
"""The byte order mark that some editors of Windows put before UTF-8."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
BACKUP_SUFFIX = ".bak"
NO_RENAME = frozenset({errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS})
"""What a rename onto a mount point, or a directory that is not ours, is answered with."""


class NotText(ValueError):  # noqa: N818
    """The bytes are no UTF-8; the text says what they are, for a sentence about the file."""


@dataclass(frozen=True)
class Text:
    """A text without its mark, line ends as they are in the file."""

    content: str
    marked: bool = False

    @property
    def windows(self) -> bool:
        """Whether every line ends as on Windows."""
        return "\r\n" in self.content and self.content.count("\n") == self.content.count("\r\n")


def decode(raw: bytes) -> Text:
    """Read UTF-8, with a mark or without; `NotText` for anything else."""
    if raw.startswith(UTF_16):
        raise NotText("is UTF-16; save it as UTF-8")
    try:
        return Text(raw.removeprefix(MARK).decode(), raw.startswith(MARK))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise NotText(f"is not UTF-8 text, from line {line} on; save it as UTF-8") from None


def read(path: Path) -> Text:
    """Read a file; `NotText`, OSError."""
    return decode(path.read_bytes())


def encode(content: str, like: Text) -> bytes:
    """Write a changed text in the form of the one before: its mark, and the line ends where all are of one kind."""
    if like.windows:
        content = content.replace("\r\n", "\n").replace("\n", "\r\n")
    return (MARK if like.marked else b"") + content.encode()


def is_own(path: Path) -> bool:
    """Tell whether a file belongs to this process's user, who may write it."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_uid == os.geteuid() and bool(found.st_mode & 0o200) and os.access(path, os.W_OK)
    return False


def replace(path: Path, content: bytes, *, backup: bool = True) -> None:
    """Replace a file so that after a crash it is the old or the new one; with `backup` the one before stays, as `.bak`.

    A symbolic link stays, and what it leads to changes. Where nothing can take the file's place (a mount point, a directory of
    others, a further name of the same file), it is overwritten instead. OSError with nothing changed.
    """
    target = path.resolve()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _put(target, content, None)
        return
    before = target.stat()
    if before.st_nlink == 1 and os.access(target.parent, os.W_OK):
        if backup:
            _put(target.with_name(target.name + BACKUP_SUFFIX), target.read_bytes(), before)
        try:
            _put(target, content, before)
        except OSError as error:
            if error.errno not in NO_RENAME:
                raise
        else:
            return
    _overwrite(target, content)


def _put(path: Path, content: bytes, like: os.stat_result | None) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if like is not None and (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, 0o600 if like is None else like.st_mode & 0o777)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _overwrite(path: Path, content: bytes) -> None:
    with _writable(path) as descriptor:
        before = path.read_bytes()
        try:
            _fill(descriptor, content)
        except OSError:  # such as a full disk: the old content takes the room it had
            _fill(descriptor, before)
            raise


@contextmanager
def _writable(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _fill(descriptor: int, content: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    written = 0
    while written < len(content):
        written += os.write(descriptor, content[written:])
    os.ftruncate(descriptor, len(content))
    os.fsync(descriptor)
