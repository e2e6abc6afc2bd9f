"""Opens SQLite files: private, checked, durable; a damaged one is moved aside."""

import logging
import os
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

from pimd.clock import Clock
from pimd.database.errors import DatabaseError, SchemaTooNew, is_damage
from pimd.database.migrations import Migration, migrate, schema_version
from pimd.database.thread import DatabaseThread
from pimd.paths import sync_directory

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 5.0
"""How long a lock held by another program is waited for."""
COMPANIONS = ("-wal", "-shm", "-journal")


class _Damaged(Exception):  # noqa: N818 - never leaves this module
    """The content of the file cannot be trusted."""


async def open_file(path: Path, migrations: Sequence[Migration], clock: Clock) -> tuple[DatabaseThread, Path | None]:
    """Return the thread of a sound file of the newest schema, and where a damaged one was moved, if there was one.

    Raises `DatabaseError`, and `SchemaTooNew` for a file of a later program.
    """
    return await opener.get()(path, migrations, clock)


async def _open_on_disk(
    path: Path, migrations: Sequence[Migration], clock: Clock
) -> tuple[DatabaseThread, Path | None]:
    try:
        return await _open_sound(path, migrations), None
    except _Damaged as damage:
        moved = _move_aside(path, clock)
        log.warning("%s is damaged (%s): moved to %s, beginning with an empty one", path, damage, moved)
    try:
        return await _open_sound(path, migrations), moved
    except _Damaged as damage:
        raise DatabaseError(path, "open", f"a new file is damaged at once ({damage}); check the disk") from damage


opener: ContextVar[Callable[[Path, Sequence[Migration], Clock], Awaitable[tuple[DatabaseThread, Path | None]]]] = (
    ContextVar("opener", default=_open_on_disk)
)
"""The function that opens database files in this context; a simulation sets one that keeps them in memory."""


async def _open_sound(path: Path, migrations: Sequence[Migration]) -> DatabaseThread:
    _make_private(path)
    _refuse_lost_main_file(path)
    if _has_content(path):
        await _check(path, len(migrations))
    return await _connect(path, "rw", lambda connection: prepare(connection, path, migrations))


async def _check(path: Path, supported: int) -> None:
    """Raise `_Damaged` or `SchemaTooNew`, leaving file and write-ahead log as they are."""
    # A connection that may write would check the log in and delete it when it is closed. Only a rollback journal, left
    # by a kill during the very first start, cannot be looked at without undoing what it holds.
    mode = "rw" if _has_content(path.with_name(path.name + "-journal")) else "ro"
    thread = await _connect(path, mode, lambda connection: _refuse_unsound(connection, path, supported))
    await thread.stop()


async def _connect(path: Path, mode: str, prepare: Callable[[sqlite3.Connection], None]) -> DatabaseThread:
    thread: DatabaseThread | None = None
    ready = False
    try:
        thread = await DatabaseThread.connect(_uri(path, mode), BUSY_TIMEOUT_S)
        await thread.run(prepare)
        ready = True
    except sqlite3.Error as error:
        if is_damage(error):
            raise _Damaged(str(error)) from error
        raise DatabaseError.from_sqlite(path, "open", error) from error
    finally:
        if thread is not None and not ready:
            await thread.stop()
    return thread


def _refuse_unsound(connection: sqlite3.Connection, path: Path, supported: int) -> None:
    found = schema_version(connection)
    if found > supported:
        raise SchemaTooNew(path, found, supported)
    if found < 0:
        raise _Damaged(f"schema version {found}")
    findings = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    if findings != ["ok"]:
        raise _Damaged(str(findings[0]).replace("\n", " "))


def prepare(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Set up a connection as all here are, and bring the schema up to date."""
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    migrate(connection, path, migrations)
    truncate_log(connection)  # after a kill it may hold what was deleted


def truncate_log(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log, in which deleted content stays; False when somebody reads from it."""
    row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return row is None or not row[0]


def _text(raw: bytes) -> str:
    # A flipped bit in a text must not make the whole table unreadable.
    return raw.decode(errors="replace")


def _make_private(path: Path) -> None:
    """Create the file, or tighten it: SQLite gives -wal and -shm the mode that it finds here."""
    try:
        created = not path.exists()
        _tighten(path, os.O_CREAT)
        for companion in _existing_companions(path):
            _tighten(companion)
        if created:
            sync_directory(path.parent)
    except OSError as error:
        reason = "it is a symbolic link; remove it" if path.is_symlink() else str(error.strerror)
        raise DatabaseError(path, "open", reason) from error


def _tighten(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _existing_companions(path: Path) -> list[Path]:
    companions = [path.with_name(path.name + suffix) for suffix in COMPANIONS]
    return [companion for companion in companions if companion.exists()]


def _refuse_lost_main_file(path: Path) -> None:
    """Raise for an empty file with a write-ahead log: SQLite would delete the log and the data in it."""
    if not _has_content(path) and _has_content(path.with_name(path.name + "-wal")):
        raise _Damaged("the file is empty but its write-ahead log is not")


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


def _move_aside(path: Path, clock: Clock) -> Path:
    moment = datetime.fromtimestamp(clock.unix_ms() / 1000, tz=UTC)
    base = path.with_name(f"{path.name}.damaged-{moment:%Y%m%dT%H%M%SZ}")
    target, count = base, 1
    while target.exists():
        count += 1
        target = base.with_name(f"{base.name}-{count}")
    try:
        path.rename(target)
        for companion in _existing_companions(path):
            companion.rename(target.with_name(target.name + companion.name.removeprefix(path.name)))
        sync_directory(path.parent)
    except OSError as error:
        reason = f"{error.strerror}; the file is damaged, move it away by hand"
        raise DatabaseError(path, "move aside", reason) from error
    return target
