"""Durable, grouped, isolated transactions on one file."""

# ruff: noqa: ASYNC240 - a test may block its own loop for a look at a file

import asyncio
import contextlib
import logging
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pimd.database import Connection, Database, DatabaseError, SchemaTooNew, Work
from pimd.database import file as database_file

SCHEMA = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);\n",)


def insert(text: str) -> Work[int]:
    def work(connection: Connection) -> int:
        cursor = connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))
        return cursor.lastrowid or 0

    return work


class Held:
    """A job that begins, and goes on when the test says so."""

    def __init__(self, last: Work[Any]) -> None:
        self._last = last
        self._loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self.go = threading.Event()

    def __call__(self, connection: Connection) -> Any:
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self.go.wait(20)
        return self._last(connection)


async def texts(database: Database) -> list[str]:
    return [row["text"] for row in await database.read("SELECT text FROM notes ORDER BY id")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    tasks: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:
        database = await Database.start(
            path, SCHEMA, lambda name, work: tasks.append(group.create_task(work, name=name))
        )
        yield database
        await database.close()
    assert [task.done() for task in tasks] == [True]


async def test_a_write_returns_the_result_of_its_work_and_is_read_back(database: Database) -> None:
    assert await database.write("insert", insert("hello")) == 1
    assert await texts(database) == ["hello"]


async def test_the_file_runs_in_wal_mode_and_syncs_every_commit(database: Database) -> None:
    assert (await database.read("PRAGMA journal_mode"))[0][0] == "wal"
    assert (await database.read("PRAGMA synchronous"))[0][0] == 2


async def test_jobs_of_one_loop_turn_share_one_transaction(database: Database) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(database.write("insert", insert(str(number))))
    assert database.transactions == 1
    assert len(await texts(database)) == 100


async def test_jobs_queued_while_a_commit_is_under_way_share_the_next_transaction(database: Database) -> None:
    slow = Held(insert("slow"))
    async with asyncio.TaskGroup() as group:
        group.create_task(database.write("slow", slow))
        await slow.begun.wait()
        for number in range(10):
            group.create_task(database.write("insert", insert(str(number))))
            await asyncio.sleep(0)
        slow.go.set()
    assert database.transactions == 2


async def test_only_the_faulty_job_of_a_group_fails_and_the_others_are_redone(database: Database) -> None:
    jobs = [database.submit("insert", insert(text)) for text in ("a", "b", "a", "c")]
    await asyncio.wait(jobs)
    errors = [job.exception() for job in jobs]
    assert [type(error) for error in errors] == [type(None), type(None), DatabaseError, type(None)]
    assert await texts(database) == ["a", "b", "c"]


async def test_a_job_that_raises_gets_its_own_exception_back_and_leaves_nothing_behind(database: Database) -> None:
    def faulty(connection: Connection) -> None:
        connection.execute("INSERT INTO notes (text) VALUES ('half')")
        raise KeyError("mine")

    other = database.submit("insert", insert("whole"))
    with pytest.raises(KeyError, match="mine"):
        await database.write("faulty", faulty)
    await other
    assert await texts(database) == ["whole"]


async def test_the_name_of_a_failed_transaction_and_its_file_are_in_the_error_and_in_the_log(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await database.write("insert", insert("once"))
    with pytest.raises(DatabaseError, match="UNIQUE constraint failed") as caught:
        await database.write("insert the same again", insert("once"))
    assert str(path) in str(caught.value)
    assert caught.value.action == "insert the same again"
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
    assert "insert the same again" in caplog.text


async def test_a_read_never_sees_what_is_not_committed(database: Database) -> None:
    def changes_its_mind(_: Connection) -> None:
        raise LookupError("changed its mind")

    held = Held(changes_its_mind)

    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO notes (text) VALUES ('soon')")
        held(connection)

    job = database.submit("work", work)
    async with asyncio.TaskGroup() as group:
        await held.begun.wait()
        reading = group.create_task(texts(database))
        await asyncio.sleep(0)
        held.go.set()
    assert reading.result() == []
    assert isinstance(job.exception(), LookupError)


async def test_several_reads_of_one_query_see_one_moment(database: Database) -> None:
    await database.write("insert", insert("one"))

    def counted_twice(connection: Connection) -> tuple[int, int]:
        counts = [connection.execute("SELECT count(*) FROM notes").fetchone()[0] for _ in range(2)]
        return counts[0], counts[1]

    async with asyncio.TaskGroup() as group:
        query = group.create_task(database.query(counted_twice))
        group.create_task(database.write("insert", insert("two")))
    assert query.result() in [(1, 1), (2, 2)]


@pytest.mark.parametrize("how", ["write", "query"])
async def test_a_job_that_is_a_coroutine_function_is_told_how_to_be_written(database: Database, how: str) -> None:
    async def old(_: Connection) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="is a plain function"):
        await (database.write("old", old) if how == "write" else database.query(old))  # type: ignore[unused-coroutine]
    assert await database.write("insert", insert("goes on")) == 1


@pytest.mark.parametrize("what", [SystemExit(3), KeyboardInterrupt(), StopIteration(), GeneratorExit()])
async def test_whatever_a_job_raises_reaches_its_caller_and_no_other_job(
    database: Database, what: BaseException
) -> None:
    def faulty(_: Connection) -> None:
        raise what

    other = database.submit("insert", insert("whole"))
    job = database.submit("faulty", faulty)
    await asyncio.wait([job])
    assert type(job.exception()) in (type(what), RuntimeError)
    assert await other == 1


async def test_what_a_job_writes_is_settled_right_before_its_transaction(database: Database) -> None:
    words: list[str] = []
    taken: list[str] = []

    def begin() -> None:
        taken.extend(words)

    job = database.submit("words", lambda connection: [insert(word)(connection) for word in taken], begin=begin)
    words.append("still in time")
    await job
    words.append("too late")
    assert await texts(database) == ["still in time"]


async def test_a_caller_cancelled_before_its_transaction_began_changes_nothing(database: Database) -> None:
    job = database.submit("insert", insert("never"))
    job.cancel()
    await database.write("insert", insert("later"))
    assert await texts(database) == ["later"]


async def test_a_caller_cancelled_during_the_transaction_spoils_nobody_elses_work(database: Database) -> None:
    slow = Held(insert("slow"))
    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(database.write("slow", slow))
        patient = database.submit("insert", insert("patient"))
        await slow.begun.wait()
        impatient.cancel()
        slow.go.set()
        await patient
    assert sorted(await texts(database)) == ["patient", "slow"]


async def test_a_read_that_sqlite_refuses_is_a_database_error(database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"notes\.db: read: .*no such table: nowhere"):
        await database.read("SELECT * FROM nowhere")


async def test_a_full_disk_is_reported_with_advice_and_the_database_goes_on_once_there_is_room(
    database: Database,
) -> None:
    await database.write("insert", insert("before"))
    [[pages]] = await database.read("PRAGMA page_count")
    await database.read(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseError, match="the disk is full; free some space"):
        await database.write("insert much", insert("x" * 100_000))
    await database.read("PRAGMA max_page_count = 1000000")
    await database.write("insert", insert("after"))
    assert await texts(database) == ["before", "after"]


async def test_a_job_that_swallows_the_error_of_a_full_disk_does_not_count_as_done(database: Database) -> None:
    [[pages]] = await database.read("PRAGMA page_count")
    await database.read(f"PRAGMA max_page_count = {pages}")

    def swallowing(connection: Connection) -> None:
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("INSERT INTO notes (text) VALUES (?)", ("x" * 100_000,))

    with pytest.raises(DatabaseError, match="already ended"):
        await database.write("swallowing", swallowing)


async def test_a_disk_error_at_commit_fails_every_waiting_job_and_loses_nothing_acknowledged(
    database: Database, path: Path
) -> None:
    await database.write("insert", insert("before"))
    wal_size = path.with_name("notes.db-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal_size, hard))
    try:
        jobs = [database.submit(f"insert {number}", insert(str(number))) for number in range(3)]
        await asyncio.wait(jobs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [type(job.exception()) for job in jobs] == [DatabaseError] * 3
    await database.write("insert", insert("after"))
    assert await texts(database) == ["before", "after"]


async def test_a_file_locked_by_another_program_is_reported_as_such(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "BUSY_TIMEOUT_S", 0.05)
    async with Database.open(path, SCHEMA) as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="another program holds the file locked"):
            await database.write("insert", insert("x"))
        other.execute("ROLLBACK")
        other.close()
        assert await database.write("insert", insert("x")) == 1


async def test_a_job_that_closes_the_connection_costs_all_later_ones_an_error_and_no_wait(path: Path) -> None:
    async with Database.open(path, SCHEMA) as database:
        with pytest.raises(DatabaseError, match="closed"):
            await database.write("close it", Connection.close)
        with pytest.raises(DatabaseError, match="closed"):
            await database.write("insert", insert("x"))
        with pytest.raises(DatabaseError, match="closed"):
            await database.read("SELECT 1")


async def test_the_end_of_the_thread_fails_all_waiting_jobs_and_leaves_the_block(path: Path) -> None:
    jobs: list[asyncio.Future[int]] = []

    async def block() -> None:
        async with Database.open(path, SCHEMA) as database:
            await database._thread.stop()
            jobs.extend(database.submit("insert", insert(str(number))) for number in range(3))
            await asyncio.Event().wait()

    with pytest.raises(ValueError, match="Connection closed"):
        await block()
    assert [type(job.exception()) for job in jobs] == [DatabaseError] * 3


async def test_an_exception_in_the_block_leaves_it_unchanged_and_the_file_closed(path: Path) -> None:
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with Database.open(path, SCHEMA) as database:
            raise error
    assert caught.value is error
    with pytest.raises(DatabaseError, match="closed"):
        await database.write("insert", insert("late"))


async def test_closing_commits_what_is_queued_and_may_be_done_twice(path: Path) -> None:
    async with Database.open(path, SCHEMA) as database:
        job = database.submit("insert", insert("last words"))
        await database.close()
        await database.close()
        assert job.result() == 1
        with pytest.raises(DatabaseError, match="closed"):
            await database.read("SELECT 1")
    async with Database.open(path, SCHEMA) as database:
        assert await texts(database) == ["last words"]


async def test_a_cancelled_block_closes_its_file_and_releases_its_thread(path: Path) -> None:
    inside = asyncio.Event()
    opened: list[Database] = []

    async def block() -> None:
        async with Database.open(path, SCHEMA) as database:
            opened.append(database)
            inside.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(block())
        await inside.wait()
        task.cancel()
    thread = opened[0]._thread._connection._thread
    await asyncio.to_thread(thread.join, 10)  # it was told to end; its last instructions may still be running
    assert not thread.is_alive()
    assert not path.with_name("notes.db-wal").exists()


async def test_a_close_that_is_cancelled_goes_on_by_itself(path: Path) -> None:
    async with Database.open(path, SCHEMA) as database:
        async with asyncio.TaskGroup() as group:
            closing = group.create_task(database.close())
            await asyncio.sleep(0)
            closing.cancel()
        await database.close()
        assert database._thread._connection._connection is None


async def test_an_owner_that_cancels_the_writer_fails_the_jobs_and_closes_the_file(path: Path) -> None:
    tasks: list[asyncio.Task[None]] = []
    endless = Held(insert("may be done or not"))
    async with asyncio.TaskGroup() as group:
        database = await Database.start(path, SCHEMA, lambda _, work: tasks.append(group.create_task(work)))
        under_way = database.submit("endless", endless)
        await endless.begun.wait()
        waiting = database.submit("insert", insert("x"))
        tasks[0].cancel()
        await asyncio.wait([under_way, waiting])
        endless.go.set()
        await database.close()
    assert isinstance(under_way.exception(), DatabaseError)
    assert isinstance(waiting.exception(), DatabaseError)
    async with Database.open(path, SCHEMA) as database:
        assert await texts(database) == ["may be done or not"]


async def test_a_start_whose_writer_never_gets_to_run_leaves_no_thread_behind(path: Path) -> None:
    def never_run(_name: str, work: Coroutine[Any, Any, None]) -> None:
        work.close()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await Database.start(path, SCHEMA, never_run)
    assert not path.with_name("notes.db-wal").exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
async def test_every_file_is_for_its_owner_alone_under_any_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        async with Database.open(path, SCHEMA) as database:
            await database.write("insert", insert("x"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"notes.db": 0o600, "notes.db-wal": 0o600, "notes.db-shm": 0o600}


async def test_a_file_that_others_could_read_is_tightened(path: Path) -> None:
    path.touch(mode=0o644)
    path.chmod(0o644)
    async with Database.open(path, SCHEMA):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_symbolic_link_in_place_of_the_file_is_refused(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatabaseError, match="symbolic link"):
        async with Database.open(path, SCHEMA):
            pass
    assert not (tmp_path / "elsewhere").exists()


async def test_a_directory_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="No such file or directory"):
        async with Database.open(tmp_path / "missing" / "notes.db", SCHEMA):
            pass


async def test_an_empty_file_is_a_new_database(path: Path) -> None:
    path.touch()
    async with Database.open(path, SCHEMA) as database:
        await database.write("insert", insert("x"))
        assert database.damaged is None


async def test_the_file_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    async with Database.open(path, (*SCHEMA, "CREATE TABLE more (id);\n")) as database:
        await database.write("insert", insert("precious"))
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match="install that version again") as caught:
        async with Database.open(path, SCHEMA):
            pass
    assert (caught.value.path, caught.value.found, caught.value.supported) == (path, 2, 1)
    assert path.read_bytes() == before


async def test_debug_logs_name_the_committed_transaction(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "pimd.database.database")
    await database.write("remember this", insert("secret text"))
    assert "remember this" in caplog.text
    assert "secret text" not in caplog.text


async def test_a_program_that_forgets_to_close_still_exits_when_its_loop_is_cancelled(path: Path) -> None:
    program = f"""
import asyncio, pathlib
from pimd.database import Database
async def main():
    async with Database.open(pathlib.Path({str(path)!r}), ("CREATE TABLE t (a);",)) as database:
        asyncio.current_task().cancel()
        await database.read("SELECT 1")
try:
    asyncio.run(main())
except asyncio.CancelledError:
    print("cancelled")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)  # noqa: ASYNC221
    assert (done.stdout, done.stderr) == ("cancelled\n", "")
