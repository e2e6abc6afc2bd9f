"""What a job deleted is within a minute in no file any more, and at once after a close or a kill."""

# ruff: noqa: ASYNC240 - a test may block its own loop for a look at a file

import asyncio
import sqlite3
from pathlib import Path

import pytest

from pimd.clock import ManualClock
from pimd.database import Connection, Database
from pimd.database.database import TRUNCATED_AFTER_S

SCHEMA = ("CREATE TABLE secrets (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n",)
SECRET = "correct horse battery staple, at length"


def on_disk(path: Path) -> bool:
    return any(SECRET.encode() in file.read_bytes() for file in path.parent.glob(path.name + "*"))


def keep(connection: Connection) -> None:
    connection.execute("INSERT INTO secrets (text) VALUES (?)", (SECRET,))


def forget(connection: Connection) -> None:
    connection.execute("UPDATE secrets SET text = 'x'")


async def quiet(database: Database) -> None:
    """Let the writer do what is due."""
    for _ in range(3):
        await asyncio.sleep(0)
        await database.read("SELECT 1")


async def test_a_minute_after_a_deletion_no_file_holds_it(tmp_path: Path) -> None:
    path, clock = tmp_path / "secrets.db", ManualClock()
    async with Database.open(path, SCHEMA, clock=clock) as database:
        await database.write("keep", keep)
        await database.write("forget", forget, forgets=True)
        assert on_disk(path)
        clock.advance(TRUNCATED_AFTER_S - 1)
        await quiet(database)
        assert on_disk(path)
        clock.advance(1)
        await quiet(database)
        assert not on_disk(path)
        assert path.with_name("secrets.db-wal").stat().st_size == 0
        clock.advance(10 * TRUNCATED_AFTER_S)
        await database.write("keep", keep)
        await database.write("forget", forget)  # a job that does not say so is not minded
        clock.advance(10 * TRUNCATED_AFTER_S)
        await quiet(database)
        assert on_disk(path)
    assert not on_disk(path)


async def test_somebody_who_reads_delays_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, clock = tmp_path / "secrets.db", ManualClock()
    async with Database.open(path, SCHEMA, clock=clock) as database:
        await database.query(lambda connection: connection.execute("PRAGMA busy_timeout = 0"))
        await database.write("keep", keep)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT * FROM secrets").fetchall()
        await database.write("forget", forget, forgets=True)
        clock.advance(TRUNCATED_AFTER_S)
        await quiet(database)
        assert on_disk(path)
        other.close()
        clock.advance(TRUNCATED_AFTER_S)
        await quiet(database)
        assert not on_disk(path)
    assert not caplog.records


async def test_what_a_killed_process_left_in_the_log_goes_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "secrets.db"
    async with Database.open(path, SCHEMA, clock=ManualClock()) as database:
        await database.write("keep", keep)
        await database.write("forget", forget, forgets=True)
        left = {file.name: file.read_bytes() for file in tmp_path.glob("secrets.db*")}
    other = tmp_path / "other"
    other.mkdir()
    for name, content in left.items():
        if not name.endswith("-shm"):
            (other / name).write_bytes(content)
    assert on_disk(other / "secrets.db")
    async with Database.open(other / "secrets.db", SCHEMA, clock=ManualClock()):
        assert not on_disk(other / "secrets.db")
