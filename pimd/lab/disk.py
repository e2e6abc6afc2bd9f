"""A disk in memory for each machine: it outlives the daemon, and ignores writes of a killed one."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from pimd.clock import Clock
from pimd.database import SchemaTooNew
from pimd.database.file import prepare
from pimd.database.migrations import Migration, schema_version

T = TypeVar("T")


SYNC_S = 0.004
"""Seconds that a commit takes."""


class _Connection(aiosqlite.Connection):
    """The interface of aiosqlite without its thread: each statement runs where it is awaited."""

    def __init__(self, database: sqlite3.Connection, sync_s: float) -> None:
        self._running = True
        self._sync_s = sync_s
        self._connection = database
        self._iter_chunk_size = 64

    def __del__(self) -> None:
        """The database stays with the disk, so there is nothing to warn of."""

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        if args and args[0] == "COMMIT":
            await asyncio.sleep(self._sync_s)
        _ = self._conn  # the machine may be off by now, or the file closed
        return fn(*args, **kwargs)

    @property
    def _conn(self) -> sqlite3.Connection:
        if not self._running:
            raise ValueError("no active connection")
        if self._connection is None:
            raise sqlite3.OperationalError("the machine is off")
        return self._connection

    @property
    def in_transaction(self) -> bool:
        return self._connection is not None and self._connection.in_transaction

    def stop(self) -> asyncio.Future[Any] | None:
        """Close the connection; an uncommitted transaction is rolled back."""
        if self._running and self.in_transaction:
            self._conn.rollback()
        self._running = False
        self._connection = None
        return None

    def power_off(self) -> None:
        """Refuse every further statement, as if none had reached the disk."""
        if self.in_transaction:
            self._conn.rollback()
        self._connection = None


class Disk:
    """The SQLite files of one machine by path; `open` replaces `pimd.database.file.opener`."""

    def __init__(self, sync_s: float = SYNC_S) -> None:
        self._sync_s = sync_s
        self._files: dict[Path, sqlite3.Connection] = {}
        self._open: list[_Connection] = []

    async def open(
        self, path: Path, migrations: Sequence[Migration], clock: Clock
    ) -> tuple[aiosqlite.Connection, Path | None]:
        """Open a file, or create it; it is never damaged."""
        del clock
        database = self._files.get(path)
        if database is None:
            database = self._files[path] = sqlite3.connect(":memory:", isolation_level=None)
        connection = _Connection(database, self._sync_s)
        self._open.append(connection)
        found = await schema_version(connection)
        if found > len(migrations):
            raise SchemaTooNew(path, found, len(migrations))
        await prepare(connection, path, migrations)
        return connection, None

    def power_off(self) -> None:
        """Discard uncommitted data, and refuse every further statement of the daemon that had the files open."""
        for connection in self._open:
            connection.power_off()
        self._open.clear()

    def copied(self, old: Path, new: Path) -> "Disk":
        """Return a disk with a copy of each file, below `new` what is below `old` here."""
        made = Disk(self._sync_s)
        for path, database in self._files.items():
            copy = made._files[new / path.relative_to(old)] = sqlite3.connect(":memory:", isolation_level=None)
            database.backup(copy)
        return made

    def lose(self, name: str) -> None:
        """Delete the file `name`; its daemon must not run."""
        for path in [path for path in self._files if path.name == name]:
            self._files.pop(path).close()

    def rows(self, name: str, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Read rows of the file `name` for a test, whether its daemon runs or not."""
        for path, database in self._files.items():
            if path.name == name:
                return database.execute(sql, parameters).fetchall()
        return []

    def close(self) -> None:
        """Free the memory; after that nothing can be read."""
        self.power_off()
        for database in self._files.values():
            database.close()
        self._files.clear()
