"""Errors of a database file, with the file's name and what to do."""

import sqlite3
from pathlib import Path
from typing import Self

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and try again",
    sqlite3.SQLITE_BUSY: "another program holds the file locked; close it and try again",
    sqlite3.SQLITE_LOCKED: "another program holds the file locked; close it and try again",
    sqlite3.SQLITE_READONLY: "the file or its directory cannot be written; check owner and permissions",
    sqlite3.SQLITE_PERM: "the file or its directory cannot be written; check owner and permissions",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check owner and permissions of it and its directory",
    sqlite3.SQLITE_IOERR: "the disk reported an error; check its health and free space",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restart, and it is moved aside",
    sqlite3.SQLITE_NOTADB: "the file is no database, or its head is damaged; restart, and it is moved aside",
}


class DatabaseError(Exception):
    """A file could not be opened, read or written; of a failed transaction nothing was changed."""

    def __init__(self, path: Path, action: str, reason: str) -> None:
        super().__init__(f"{path}: {action}: {reason}")
        self.path = path
        self.action = action
        """The failed operation: a transaction's name, `open`, or `read`."""

    @classmethod
    def from_sqlite(cls, path: Path, action: str, error: sqlite3.Error) -> Self:
        """Combine SQLite's message with what a person can do."""
        advice = _ADVICE.get(primary_code(error))
        return cls(path, action, f"{error} ({advice})" if advice else str(error))


class SchemaTooNew(DatabaseError):  # noqa: N818 - says what is the matter
    """A later version wrote the file; it was left as it is."""

    def __init__(self, path: Path, found: int, supported: int) -> None:
        super().__init__(
            path,
            "open",
            f"its schema has version {found}, this program knows versions up to {supported}; a newer version wrote it: "
            f"install that version again, or move the file away to begin with an empty one",
        )
        self.found = found
        self.supported = supported


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code without the extended part; 0 when the error did not come from SQLite."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file's content is at fault, and not the disk or another program."""
    return primary_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
