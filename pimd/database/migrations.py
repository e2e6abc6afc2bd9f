"""Numbered schema changes, counted in `PRAGMA user_version`."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import aiosqlite

from pimd.database.errors import DatabaseError, is_damage

log = logging.getLogger(__name__)

Migration = str | Callable[[aiosqlite.Connection], Awaitable[None]]
"""SQL statements, each with its `;` at the end of a line, or a coroutine function for what SQL alone cannot do."""


async def schema_version(connection: aiosqlite.Connection) -> int:
    """Return how many migrations the file has been through; 0 for a new one."""
    rows = list(await connection.execute_fetchall("PRAGMA user_version"))
    return int(rows[0][0])


async def migrate(connection: aiosqlite.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Apply what is missing, each migration with its number in one transaction; a failing one leaves no trace."""
    for number in range(await schema_version(connection) + 1, len(migrations) + 1):
        log.debug("%s: migrating to schema version %d", path.name, number)
        await connection.execute("BEGIN IMMEDIATE")
        try:
            await _apply(connection, migrations[number - 1])
            await connection.execute(f"PRAGMA user_version = {number}")
            await connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                await connection.execute("ROLLBACK")
            if is_damage(error):
                raise
            raise DatabaseError.from_sqlite(path, f"migration {number}", error) from error


async def _apply(connection: aiosqlite.Connection, migration: Migration) -> None:
    if callable(migration):
        await migration(connection)
        return
    for statement in statements_of(migration):
        await connection.execute(statement)


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
