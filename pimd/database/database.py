"""One SQLite file: reads, and named jobs that share transactions."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from pimd.clock import Clock, SystemClock, TimerHandle
from pimd.database.errors import DatabaseError
from pimd.database.file import open_file, truncate_log
from pimd.database.migrations import Migration
from pimd.database.thread import DatabaseThread, Undone, Work, refuse_awaitable
from pimd.task_scope import task_scope

log = logging.getLogger(__name__)

T = TypeVar("T")

TRUNCATED_AFTER_S = 50.0
"""So long at most what a job deleted stays in the write-ahead log."""

Spawn = Callable[[str, Coroutine[Any, Any, None]], object]
"""Starts a named task that its owner will cancel; the one of a `PluginContext` fits."""


@dataclass(frozen=True)
class _Job:
    """One piece of work waiting for its transaction."""

    name: str
    work: Work[Any]
    done: asyncio.Future[Any]
    begin: Callable[[], None]
    forgets: bool


class Database:
    """A file with one connection; what `write` returned for survives SIGKILL and a power cut (WAL, `synchronous=FULL`).

    Jobs that are queued in one turn of the event loop, or while a commit is under way, share the next transaction. When
    one of them fails, all are rolled back and done again one by one, so that only the faulty one fails.

    Called by its owner, in any task of the event loop; a plugin opens it in `start` and closes it in `shutdown`.

    Errors: `DatabaseError` names the file and the job, and nothing of the job was done; what a job raises is its
    caller's.
    """

    def __init__(self, path: Path, thread: DatabaseThread, damaged: Path | None, clock: Clock) -> None:
        self.path = path
        self.damaged = damaged
        """Where a damaged file was moved when this one was opened; None as a rule."""
        self.transactions = 0
        """Commits so far."""
        self._thread = thread
        self._clock = clock
        self._truncation: TimerHandle | None = None
        self._truncation_is_due = False
        self._waiting: list[_Job] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._released = False
        self._begun = asyncio.Event()
        self._closed = asyncio.Event()

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
        clock = clock or SystemClock()
        thread, damaged = await open_file(path, migrations, clock)
        database = cls(path, thread, damaged, clock)
        spawn(f"database {path.name}", database._run())
        try:
            # A task that is cancelled before its first step never reaches its `finally`.
            await database._begun.wait()
        finally:
            if not database._begun.is_set():
                await database._release()
        return database

    async def write(self, name: str, work: Work[T], *, forgets: bool = False) -> T:
        """Run `work` inside a transaction and return its result once that is committed.

        Raises what `work` raised, with nothing changed, and `DatabaseError` naming the job for what SQLite refused. A
        caller cancelled before the transaction began has changed nothing; afterwards the job is committed all the same.
        """
        return await self.submit(name, work, forgets=forgets)

    def submit(
        self, name: str, work: Work[T], *, begin: Callable[[], None] = lambda: None, forgets: bool = False
    ) -> asyncio.Future[T]:
        """Queue without waiting; cancel the future, before its transaction begins, to take the job back.

        `begin` is called in the event loop right before the transaction, so that `work` gets nothing that still changes.
        `forgets` says that the job deletes or replaces secrets: within 60 s they are in no file any more.
        """
        self._refuse_if_closed(name)
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(name, work, done, begin, forgets))
        self._wake.set()
        return done

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the committed rows of a SELECT, by index or column name; `DatabaseError` if SQLite refuses."""
        return await self.query(lambda connection: connection.execute(sql, parameters).fetchall())

    async def query(self, work: Work[T]) -> T:
        """Run several SELECTs of one moment, and return the result; `DatabaseError` if SQLite refuses.

        Never between the statements of a transaction; what `work` raises is raised here.
        """
        self._refuse_if_closed("read")
        try:
            result = await self._thread.run(work)
        except sqlite3.Error as error:
            raise DatabaseError.from_sqlite(self.path, "read", error) from error
        except ValueError as error:  # aiosqlite's word for a connection that was closed meanwhile
            if self._released:
                raise DatabaseError(self.path, "read", "the database is closed") from error
            raise
        refuse_awaitable(result)
        return result

    async def close(self) -> None:
        """Commit what is queued, refuse the rest, release the file. Closing twice is no error.

        Cancelled, it stops waiting; the closing goes on.
        """
        self._closing = True
        self._wake.set()
        await self._closed.wait()

    def _refuse_if_closed(self, action: str) -> None:
        if self._closing:
            raise DatabaseError(self.path, action, "the database is closed")

    async def _run(self) -> None:
        self._begun.set()
        try:
            while not (self._closing and not self._waiting):
                await self._wake.wait()
                self._wake.clear()
                await self._commit_waiting()
                await self._truncate_if_due()
        finally:
            await self._release()

    def _let_truncate(self) -> None:
        self._truncation_is_due = True
        self._wake.set()

    async def _truncate_if_due(self) -> None:
        if not self._truncation_is_due:
            return
        self._truncation_is_due, self._truncation = False, None
        try:
            is_empty = await self._thread.run(truncate_log)
        except sqlite3.Error as error:
            log.warning(
                "%s: the write-ahead log was not emptied, which may hold what was deleted: %s", self.path, error
            )
            is_empty = False
        if not is_empty:
            self._forget_soon()

    def _forget_soon(self) -> None:
        if self._truncation is None:
            self._truncation = self._clock.call_at(self._clock.now() + TRUNCATED_AFTER_S, self._let_truncate)

    async def _release(self) -> None:
        self._closing = True
        if self._truncation is not None:
            self._truncation.cancel()  # closing empties the log
        self._fail(self._waiting, DatabaseError(self.path, "write", "the database was closed before it was done"))
        if not self._released:
            self._released = True
            try:
                await self._thread.stop()
            finally:
                self._closed.set()

    async def _commit_waiting(self) -> None:
        batch = [job for job in self._waiting if not job.done.done()]
        self._waiting = []
        for job in batch:
            job.begin()
        try:
            if batch:
                await self._commit(batch)
        finally:
            self._fail(batch, DatabaseError(self.path, "write", "the database was closed, and may have done it or not"))

    async def _commit(self, batch: Sequence[_Job]) -> None:
        """Do the jobs in one transaction, or, when that fails, each in its own."""
        try:
            done = await self._thread.transact([job.work for job in batch])
        except sqlite3.Error as error:
            done = Undone(error, began=False)
        if not isinstance(done, Undone):
            self.transactions += 1
            if any(job.forgets for job in batch):
                self._forget_soon()
            log.debug("%s: committed %d jobs, first %s", self.path.name, len(batch), batch[0].name)
            for job, result in zip(batch, done, strict=True):
                if not job.done.done():
                    job.done.set_result(result)
        elif done.began and len(batch) > 1:
            for job in batch:
                await self._commit([job])
        else:
            self._report(batch, done.error)

    def _report(self, batch: Sequence[_Job], error: BaseException) -> None:
        for job in batch:
            self._fail([job], self._explained(job, error))
        if isinstance(error, sqlite3.Error):
            log.warning("%s (%d jobs not done)", self._explained(batch[0], error), len(batch))

    def _explained(self, job: _Job, error: BaseException) -> BaseException:
        if isinstance(error, StopIteration):  # which no future takes
            return RuntimeError(f"{job.name}: the job raised StopIteration")
        if not isinstance(error, sqlite3.Error):
            return error
        failure = DatabaseError.from_sqlite(self.path, job.name, error)
        failure.__cause__ = error
        return failure

    @staticmethod
    def _fail(jobs: Sequence[_Job], failure: BaseException) -> None:
        for job in jobs:
            if not job.done.done():
                job.done.set_exception(failure)
