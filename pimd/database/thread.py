"""The thread of one SQLite file: plain functions run there with the connection, one after another."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, Self, TypeVar

import aiosqlite

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]
"""The statements of one job: a plain function that runs on the database's thread and touches nothing but the connection.

It may run twice.
"""


@dataclass(frozen=True)
class Undone:
    """A transaction that changed nothing."""

    error: BaseException
    began: bool
    """Whether it failed in a job or at the commit, so that others of its jobs may succeed alone."""


class DatabaseThread:
    """One open file."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._stopped = False
        self.calls = 0
        """Under way or waiting for the thread."""

    @classmethod
    async def connect(cls, uri: str, busy_timeout_s: float) -> Self:
        """Start the thread and open the file there; raises `sqlite3.Error`, and leaves no thread behind then."""
        return cls(await aiosqlite.connect(uri, uri=True, timeout=busy_timeout_s, isolation_level=None))

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Call `function` on the thread after all earlier calls; ValueError when the file is closed.

        What it raises is raised here.
        """
        connection = self._connection
        # aiosqlite's public methods go to the thread and back for each statement; this goes once for all of a transaction.
        execute: Callable[..., Awaitable[T]] = connection._execute  # noqa: SLF001
        self.calls += 1
        try:
            return await execute(lambda: function(connection._conn))  # noqa: SLF001
        finally:
            self.calls -= 1

    async def transact(self, works: Sequence[Work[Any]]) -> list[Any] | Undone:
        """Do all in one transaction and return their results after the commit."""
        return await self.run(partial(_transaction, works))

    async def stop(self) -> None:
        """Close the file after all earlier calls, and end the thread, which would keep the interpreter from exiting."""
        if self._stopped:
            return  # a thread that has ended never answers
        self._stopped = True
        stopped = self._connection.stop()
        if stopped is not None:
            await stopped


def _transaction(works: Sequence[Work[Any]], connection: sqlite3.Connection) -> list[Any] | Undone:
    began = False
    try:
        connection.execute("BEGIN IMMEDIATE")
        began = True
        results = [_result(work, connection) for work in works]
        _commit(connection)
    # A job is a plugin's code: whatever it raises is its caller's, and must not reach the other jobs.
    except BaseException as error:  # noqa: BLE001
        return _undone(connection, error, began=began)
    return results


def _result(work: Work[T], connection: sqlite3.Connection) -> T:
    result = work(connection)
    refuse_awaitable(result)
    return result


def _commit(connection: sqlite3.Connection) -> None:
    if not connection.in_transaction:
        # SQLite rolls back by itself when the disk is full; a job that swallowed that error must not count as done.
        raise sqlite3.OperationalError("the transaction had already ended")
    connection.execute("COMMIT")


def _undone(connection: sqlite3.Connection, error: BaseException, *, began: bool) -> Undone:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as second:
        return Undone(second, began=False)
    return Undone(error, began)


def refuse_awaitable(result: object) -> None:
    """Raise TypeError for the result of a coroutine function, which would never run."""
    if isawaitable(result):
        getattr(result, "close", lambda: None)()
        raise TypeError(
            "a job of a database is a plain function, and this one is asynchronous; write `def`, without await"
        )
