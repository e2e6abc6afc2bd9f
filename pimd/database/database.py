"""One SQLite file: reads, and named jobs that share transactions."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite

from pimd.clock import Clock, SystemClock
from pimd.database.errors import DatabaseError, SchemaTooNew
from pimd.database.file import open_file, stop
from pimd.database.migrations import Migration
from pimd.task_scope import task_scope

__all__ = ["Database", "DatabaseError", "Migration", "SchemaTooNew", "Work"]

log = logging.getLogger(__name__)

T = TypeVar("T")

Work = Callable[[aiosqlite.Connection], Awaitable[T]]
"""The statements of one job. It may run twice, so it changes nothing but the database, and awaits nothing else."""

Spawn = Callable[[str, Coroutine[Any, Any, None]], None]
"""Starts a named task that its owner will cancel; the one of a `PluginContext` fits."""


@dataclass(frozen=True)
class _Job:
    """One piece of work waiting for its transaction."""

    name: str
    work: Work[Any]
    done: asyncio.Future[Any]


class Database:
    """A file with one connection; what `write` returned for survives SIGKILL and a power cut (WAL, `synchronous=FULL`).

    Jobs that are queued in one turn of the event loop, or while a commit is under way, share the next transaction. When
    one of them fails, all are rolled back and done again one by one, so that only the faulty one fails.
    """

    def __init__(self, path: Path, connection: aiosqlite.Connection, damaged: Path | None) -> None:
        self.path = path
        self.damaged = damaged
        """Where a damaged file was moved when this one was opened; None as a rule."""
        self.transactions = 0
        """Commits so far."""
        self._connection = connection
        self._waiting: list[_Job] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._released = False
        self._begun = asyncio.Event()
        self._closed = asyncio.Event()
        # A connection sees its own uncommitted rows, so a read waits until no transaction is open.
        self._turn = asyncio.Lock()
        self._writer: asyncio.Task[Any] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, migrations: Sequence[Migration], *, clock: Clock | None = None
    ) -> AsyncIterator[Self]:
        """Own the file until the end of the block; what was queued by then is committed.

        Raises what `start` raises. An unexpected failure of the writer cancels the block and is raised from it.
        """
        async with task_scope() as tasks:

            def spawn(name: str, work: Coroutine[Any, Any, None]) -> None:
                tasks.create_task(work, name=name)

            database = await cls.start(path, migrations, spawn, clock=clock)
            try:
                yield database
            finally:
                await database.close()

    @classmethod
    async def start(
        cls, path: Path, migrations: Sequence[Migration], spawn: Spawn, *, clock: Clock | None = None
    ) -> Self:
        """Open, check and migrate the file; `close` ends it. `spawn` owns the writer task; plugins hand in their own.

        Migration n brings the schema from version n - 1 to n. A damaged file is moved aside (`damaged`, and a line in
        the log) and a new one begun. Raises `DatabaseError`, and `SchemaTooNew` when a later version wrote the file.
        """
        connection, damaged = await open_file(path, migrations, clock or SystemClock())
        database = cls(path, connection, damaged)
        spawn(f"database {path.name}", database._run())
        try:
            # A task that is cancelled before its first step never reaches its `finally`.
            await database._begun.wait()
        finally:
            if not database._begun.is_set():
                await database._release()
        return database

    async def write(self, name: str, work: Work[T]) -> T:
        """Run `work` inside a transaction and return its result once that is committed.

        Raises what `work` raised, with nothing changed, and `DatabaseError` naming the job for what SQLite refused. A
        caller cancelled before the transaction began has changed nothing; afterwards the job is committed all the same.
        """
        return await self.submit(name, work)

    def submit(self, name: str, work: Work[T]) -> asyncio.Future[T]:
        """Queue without waiting; cancel the future, before its transaction begins, to take the job back."""
        self._refuse_unless_usable(name)
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(name, work, done))
        self._wake.set()
        return done

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the committed rows of a SELECT, by index or column name; `DatabaseError` if SQLite refuses."""
        self._refuse_unless_usable("read")
        async with self._turn:
            try:
                return list(await self._connection.execute_fetchall(sql, parameters))
            except sqlite3.Error as error:
                raise DatabaseError.from_sqlite(self.path, "read", error) from error
            except ValueError as error:  # aiosqlite's word for a connection that was closed meanwhile
                raise DatabaseError(self.path, "read", "the database is closed") from error

    async def close(self) -> None:
        """Commit what is queued, refuse the rest, release the file. Closing twice is no error.

        Cancelled, it stops waiting; the closing goes on.
        """
        self._closing = True
        self._wake.set()
        await self._closed.wait()

    def _refuse_unless_usable(self, action: str) -> None:
        if self._closing:
            raise DatabaseError(self.path, action, "the database is closed")
        if self._writer is not None and asyncio.current_task() is self._writer:
            raise RuntimeError(f"{self.path.name}: a job uses the connection it was handed; this would wait forever")

    async def _run(self) -> None:
        self._writer = asyncio.current_task()
        self._begun.set()
        try:
            while not (self._closing and not self._waiting):
                await self._wake.wait()
                self._wake.clear()
                async with self._turn:
                    await self._commit_waiting()
        finally:
            await self._release()

    async def _release(self) -> None:
        self._closing = True
        self._fail(self._waiting, DatabaseError(self.path, "write", "the database was closed before it was done"))
        if not self._released:
            self._released = True
            try:
                await stop(self._connection)
            finally:
                self._closed.set()

    async def _commit_waiting(self) -> None:
        batch = [job for job in self._waiting if not job.done.done()]
        self._waiting = []
        if not batch:
            return
        try:
            await self._commit(batch)
        finally:
            self._fail(batch, DatabaseError(self.path, "write", "the database was closed, and may have done it or not"))

    async def _commit(self, batch: Sequence[_Job]) -> None:
        """Do the jobs in one transaction, or, when that fails, each in its own."""
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._report(batch, error)
            return
        try:
            results = await self._work_and_commit(batch)
        # A job is a plugin's code: whatever it raises is its caller's, and must not reach the other jobs.
        except Exception as error:  # noqa: BLE001
            await self._roll_back()
            await self._after_failure(batch, error)
            return
        for job, result in zip(batch, results, strict=True):
            if not job.done.done():
                job.done.set_result(result)

    async def _work_and_commit(self, batch: Sequence[_Job]) -> list[Any]:
        results = [await job.work(self._connection) for job in batch]
        if not self._connection.in_transaction:
            # SQLite rolls back by itself when the disk is full; a job that swallowed that error must not count as done.
            raise sqlite3.OperationalError("the transaction had already ended")
        await self._connection.execute("COMMIT")
        self.transactions += 1
        log.debug("%s: committed %d jobs, first %s", self.path.name, len(batch), batch[0].name)
        return results

    async def _roll_back(self) -> None:
        if self._connection.in_transaction:
            await self._connection.execute("ROLLBACK")

    async def _after_failure(self, batch: Sequence[_Job], error: Exception) -> None:
        if len(batch) == 1:
            self._report(batch, error)
            return
        for job in batch:
            await self._commit([job])

    def _report(self, batch: Sequence[_Job], error: Exception) -> None:
        for job in batch:
            self._fail([job], self._explained(job, error))
        if isinstance(error, sqlite3.Error):
            log.warning("%s (%d jobs not done)", self._explained(batch[0], error), len(batch))

    def _explained(self, job: _Job, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        failure = DatabaseError.from_sqlite(self.path, job.name, error)
        failure.__cause__ = error
        return failure

    @staticmethod
    def _fail(jobs: Sequence[_Job], failure: Exception) -> None:
        for job in jobs:
            if not job.done.done():
                job.done.set_exception(failure)
