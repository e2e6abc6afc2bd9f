"""Numbered schema changes, counted in `PRAGMA user_version`."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pimd.database.errors import DatabaseError, is_damage
from pimd.database.thread import refuse_awaitable

log = logging.getLogger(__name__)

Migration = str | Callable[[sqlite3.Connection], None]
"""SQL statements, each with its `;` at the end of a line, or a plain function for what SQL alone cannot do.

Called by `Database.start` in the thread of the database, within the transaction that brings the schema one version up.

Errors: `DatabaseError` from `Database.start`, and the file stays as it was.
"""


def schema_version(connection: sqlite3.Connection) -> int:
    """Return how many migrations the file has been through; 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Apply what is missing, each migration with its number in one transaction; a failing one leaves no trace."""
    for number in range(schema_version(connection) + 1, len(migrations) + 1):
        log.debug("%s: migrating to schema version %d", path.name, number)
        connection.execute("BEGIN IMMEDIATE")
        try:
            _apply(connection, migrations[number - 1])
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if is_damage(error):
                raise
            raise DatabaseError.from_sqlite(path, f"migration {number}", error) from error


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    if callable(migration):
        refuse_awaitable(migration(connection))
        return
    for statement in statements_of(migration):
        connection.execute(statement)


def statements_of(script: str) -> Iterator[str]:
    """Split at the ends of statements; `executescript` would commit the transaction first. ValueError on a torn end."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        raise ValueError(f"a statement of the migration has no `;` at its end: {pending.strip()[:60]!r}")
