"""A disk that outlives its daemon, and loses what was not committed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pimd.clock import ManualClock
from pimd.database import Connection, Database, DatabaseError, SchemaTooNew
from pimd.database.file import opener
from pimd.lab import run
from pimd.lab.disk import SYNC_S, Disk

PATH = Path("/nowhere/things.db")
MIGRATIONS = ("CREATE TABLE things (name TEXT);\n",)


def on(disk: Disk, main: Callable[[], Awaitable[Any]]) -> Any:
    async def with_disk() -> Any:
        opener.set(disk.open)
        return await main()

    return run(with_disk, seed=1)


def insert(connection: Connection, name: str) -> None:
    connection.execute("INSERT INTO things VALUES (?)", (name,))


def names(disk: Disk) -> list[str]:
    return [row[0] for row in disk.rows("things.db", "SELECT name FROM things")]


def test_what_was_written_is_there_at_the_next_start_and_no_file_is_made() -> None:
    disk = Disk()

    async def write() -> None:
        async with Database.open(PATH, MIGRATIONS, clock=ManualClock()) as database:
            await database.write("one", lambda connection: insert(connection, "kept"))

    async def read() -> list[str]:
        async with Database.open(PATH, MIGRATIONS, clock=ManualClock()) as database:
            return [row["name"] for row in await database.read("SELECT name FROM things")]

    on(disk, write)
    assert on(disk, read) == ["kept"]
    assert not PATH.exists()


def test_a_commit_takes_its_time() -> None:
    async def main() -> float:
        async with Database.open(PATH, MIGRATIONS, clock=ManualClock()) as database:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await database.write("one", lambda connection: insert(connection, "x"))
            return loop.time() - began

    assert on(Disk(), main) == pytest.approx(SYNC_S)


def test_a_crash_during_the_commit_loses_it_and_the_dead_daemon_writes_no_more() -> None:
    disk = Disk()

    async def main() -> None:
        async with Database.open(PATH, MIGRATIONS, clock=ManualClock()) as database:
            await database.write("one", lambda connection: insert(connection, "kept"))
            lost = database.submit("two", lambda connection: insert(connection, "lost"))
            await asyncio.sleep(SYNC_S / 2)
            disk.power_off()
            with pytest.raises(DatabaseError, match="the machine is off"):
                await lost
            with pytest.raises(DatabaseError):
                await database.write("three", lambda connection: insert(connection, "late"))

    on(disk, main)
    assert names(disk) == ["kept"]


def test_after_a_crash_the_next_start_works_while_the_last_one_still_ends() -> None:
    disk = Disk()

    async def main() -> None:
        async with Database.open(PATH, MIGRATIONS, clock=ManualClock()):
            disk.power_off()
            async with Database.open(PATH, MIGRATIONS, clock=ManualClock()) as database:
                await database.write("one", lambda connection: insert(connection, "anew"))

    on(disk, main)
    assert names(disk) == ["anew"]


def test_a_failing_job_is_rolled_back() -> None:
    disk = Disk()

    def faulty(connection: Connection) -> None:
        insert(connection, "half")
        raise ValueError("no")

    async def main() -> None:
        async with Database.open(PATH, MIGRATIONS, clock=ManualClock()) as database:
            with pytest.raises(ValueError, match="no"):
                await database.write("faulty", faulty)

    on(disk, main)
    assert names(disk) == []


def test_a_file_of_a_later_version_is_refused() -> None:
    disk = Disk()

    async def open_with(migrations: tuple[str, ...]) -> None:
        async with Database.open(PATH, migrations, clock=ManualClock()):
            pass

    on(disk, lambda: open_with((*MIGRATIONS, "CREATE TABLE more (x);\n")))
    with pytest.raises(SchemaTooNew):
        on(disk, lambda: open_with(MIGRATIONS))
