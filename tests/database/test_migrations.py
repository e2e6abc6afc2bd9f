"""Numbered migrations, each all or nothing."""

import sqlite3
from pathlib import Path

import pytest

from pimd.database import Connection, Database, DatabaseError
from pimd.database.migrations import Migration, statements_of

FIRST = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);\n"


def upper_case(connection: Connection) -> None:
    connection.execute("UPDATE notes SET text = upper(text)")


VERSIONS: tuple[Migration, ...] = (
    FIRST,
    "ALTER TABLE notes ADD COLUMN read INTEGER NOT NULL DEFAULT 0;\nCREATE INDEX by_text ON notes (text);\n",
    upper_case,
)


@pytest.mark.parametrize("start", range(1, len(VERSIONS)))
async def test_a_file_of_any_earlier_version_is_brought_up_with_its_rows(tmp_path: Path, start: int) -> None:
    path = tmp_path / "notes.db"
    async with Database.open(path, VERSIONS[:start]) as database:
        await database.write("insert", lambda c: c.execute("INSERT INTO notes (text) VALUES ('kept')"))
    async with Database.open(path, VERSIONS) as database:
        assert [tuple(row) for row in await database.read("SELECT id, text, read FROM notes")] == [(1, "KEPT", 0)]
        assert (await database.read("PRAGMA user_version"))[0][0] == len(VERSIONS)


async def test_a_migration_runs_once(tmp_path: Path) -> None:
    ran: list[int] = []

    def count(_connection: Connection) -> None:
        ran.append(1)

    for _ in range(3):
        async with Database.open(tmp_path / "notes.db", (FIRST, count)):
            pass
    assert ran == [1]


async def test_a_migration_that_fails_half_way_leaves_the_version_before_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    broken = "CREATE TABLE more (id INTEGER);\nINSERT INTO nowhere VALUES (1);\n"
    with pytest.raises(DatabaseError, match="migration 2: no such table: nowhere"):
        async with Database.open(path, (FIRST, broken)):
            pass
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA user_version").fetchone() == (1,)
        assert plain.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall() == [("notes",)]
    plain.close()
    async with Database.open(path, (FIRST, "CREATE TABLE more (id INTEGER);\n")) as database:
        assert await database.read("SELECT * FROM more") == []


def test_a_trigger_is_one_statement_in_spite_of_the_semicolons_inside() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;\n"
    assert list(statements_of(f"CREATE TABLE a (x);\n{trigger}")) == ["CREATE TABLE a (x);\n", trigger]


def test_a_statement_without_an_end_is_refused_and_shown() -> None:
    with pytest.raises(ValueError, match="CREATE TABLE torn"):
        list(statements_of("CREATE TABLE a (x);\nCREATE TABLE torn (x)"))
