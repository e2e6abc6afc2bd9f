"""A disk in memory for each machine: it outlives the daemon, and ignores writes of a killed one."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pimd.clock import Clock
from pimd.database import SchemaTooNew
from pimd.database.file import prepare
from pimd.database.migrations import Migration, schema_version
from pimd.database.thread import DatabaseThread, Undone, Work

T = TypeVar("T")


SYNC_S = 0.004
"""Seconds that a commit takes."""


class _OpenFile(DatabaseThread):
    """A file of a disk without a thread: each call runs where it is awaited, and a commit takes its time."""

    def __init__(self, database: sqlite3.Connection, sync_s: float) -> None:
        self._sync_s = sync_s
        self._database: sqlite3.Connection | None = database
        self._running = True

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Call `function` with the database, unless the machine is off or the file was closed."""
        if not self._running:
            raise ValueError("Connection closed")
        if self._database is None:
            raise sqlite3.OperationalError("the machine is off")
        return function(self._database)

    async def transact(self, works: Sequence[Work[Any]]) -> list[Any] | Undone:
        """Do all in one transaction, after the time of a commit."""
        await asyncio.sleep(self._sync_s)
        return await super().transact(works)

    async def stop(self) -> None:
        """Close the file; the database stays with the disk."""
        self._running = False
        self._database = None

    def power_off(self) -> None:
        """Refuse every further statement, as if none had reached the disk."""
        self._database = None


class Disk:
    """The SQLite files of one machine by path; `open` replaces `pimd.database.file.opener`."""

    def __init__(self, sync_s: float = SYNC_S) -> None:
        self._sync_s = sync_s
        self._files: dict[Path, sqlite3.Connection] = {}
        self._open: list[_OpenFile] = []

    async def open(
        self, path: Path, migrations: Sequence[Migration], clock: Clock
    ) -> tuple[DatabaseThread, Path | None]:
        """Open a file, or create it; it is never damaged."""
        del clock
        database = self._files.get(path)
        if database is None:
            database = self._files[path] = sqlite3.connect(":memory:", isolation_level=None)
        found = schema_version(database)
        if found > len(migrations):
            raise SchemaTooNew(path, found, len(migrations))
        prepare(database, path, migrations)
        self._open.append(_OpenFile(database, self._sync_s))
        return self._open[-1], None

    def power_off(self) -> None:
        """Discard uncommitted data, and refuse every further statement of the daemon that had the files open."""
        for file in self._open:
            file.power_off()
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
