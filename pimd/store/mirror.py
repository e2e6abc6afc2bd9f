"""Tables that are read from memory; changes of one moment are written in one transaction."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from pimd.database import Database

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class TableSql(Generic[K, V]):
    """How one table is read and written."""

    name: str
    select: str
    upsert: str
    delete: str
    """Takes the key."""
    encode: Callable[[K, V], tuple[Any, ...]]
    """Parameters of `upsert`."""
    decode: Callable[[sqlite3.Row], tuple[K, V]]
    """Raises ValueError or TypeError for an invalid row, which is then left out."""


@dataclass(eq=False)
class _Batch:
    """The rows that one transaction will write, and their previous values in memory."""

    changes: dict["MirrorTable[Any, Any]", dict[Any, Any]] = field(default_factory=dict)
    before: dict[tuple["MirrorTable[Any, Any]", Any], Any] = field(default_factory=dict)
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    done: asyncio.Future[None] = field(init=False)


class MirrorTable(Mapping[K, V]):
    """One table in memory: a mapping that is changed by `put` and `remove`."""

    def __init__(self, mirror: "Mirror", sql: TableSql[K, V]) -> None:
        self.sql = sql
        self._mirror = mirror
        self.rows: dict[K, V] = {}
        """Read-only, for look-ups at every frame; a miss in a Mapping would cost an exception."""
        self.changed: Callable[[K, V | None, V | None], None] | None = None
        """Called behind each change of a row in memory, with its old and its new value."""

    def __getitem__(self, key: K) -> V:
        return self.rows[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def put(self, key: K, value: V) -> None:
        """Set a row, in memory at once and on disk soon; an equal row is not written again."""
        if self.rows.get(key) != value:
            self._mirror.note_change(self, key, self.rows.get(key), value)
            self._set(key, value)

    def remove(self, key: K) -> None:
        """Delete a row, in memory at once and on disk soon; an absent one is ignored."""
        if key in self.rows:
            self._mirror.note_change(self, key, self.rows[key], None)
            self._set(key, None)

    async def load(self, database: Database) -> None:
        """Read the whole table, without invalid rows."""
        for row in await database.read(self.sql.select):
            try:
                key, value = self.sql.decode(row)
            except (ValueError, TypeError) as error:
                log.warning("%s: a row of table %s is damaged and left out: %s", database.path, self.sql.name, error)
                continue
            self._set(key, value)

    def restore(self, key: K, value: V | None) -> None:
        """Undo a change in memory only."""
        self._set(key, value)

    def write(self, connection: sqlite3.Connection, changes: Mapping[K, V | None]) -> None:
        """Write the changed rows, on the database's thread; None stands for a deleted row."""
        gone = [(key,) for key, value in changes.items() if value is None]
        here = [self.sql.encode(key, value) for key, value in changes.items() if value is not None]
        if gone:
            connection.executemany(self.sql.delete, gone)
        if here:
            connection.executemany(self.sql.upsert, here)

    def _set(self, key: K, value: V | None) -> None:
        old = self.rows.get(key)
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value
        if self.changed is not None:
            self.changed(key, old, value)


class Mirror:
    """Collects the changes of its tables; after a failed transaction memory returns to the state on disk."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._pending: _Batch | None = None
        self._unsettled: list[_Batch] = []
        """In the order of their changes; the last may be `_pending`."""
        self._newest: asyncio.Future[None] | None = None
        self._tables: list[MirrorTable[Any, Any]] = []

    def table(self, sql: TableSql[K, V]) -> MirrorTable[K, V]:
        """Add a table; its rows are read by `load`."""
        table = MirrorTable(self, sql)
        self._tables.append(table)
        return table

    async def load(self) -> None:
        """Read all tables into memory, once, before any change."""
        for table in self._tables:
            await table.load(self._database)

    def note_change(self, table: MirrorTable[K, V], key: K, old: V | None, new: V | None) -> None:
        """Queue one row; `DatabaseError` when the database is closed, and the caller changes nothing."""
        batch = self._batch()
        batch.before.setdefault((table, key), old)
        batch.changes.setdefault(table, {})[key] = new

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call once all changes noted so far are on disk, in order; never when the transaction fails."""
        self._batch().after_commit.append(callback)

    def durable(self) -> Awaitable[None]:
        """Wait until all changes noted so far are on disk; `DatabaseError` when they failed and were undone."""
        if self._newest is None:
            self._newest = asyncio.get_running_loop().create_future()
            self._newest.set_result(None)
        return asyncio.shield(self._newest)

    def _batch(self) -> _Batch:
        if self._pending is None:
            batch = _Batch()
            batch.done = self._newest = self._database.submit(
                self._name, partial(_write, batch), begin=partial(self._begin, batch)
            )
            batch.done.add_done_callback(lambda _: self._settle(batch))
            self._pending = batch
            self._unsettled.append(batch)
        return self._pending

    def _begin(self, batch: _Batch) -> None:
        """Let later changes make a batch of their own: the thread reads this one."""
        if self._pending is batch:
            self._pending = None

    def _settle(self, batch: _Batch) -> None:
        self._unsettled.remove(batch)
        if not batch.done.cancelled() and batch.done.exception() is None:
            for callback in batch.after_commit:
                callback()
            return
        if self._pending is batch:
            self._pending = None
        if self._newest is batch.done:  # earlier callers get the error; later ones have no pending change
            self._newest = None
        for (table, key), old in batch.before.items():
            self._undo(table, key, old)

    def _undo(self, table: MirrorTable[Any, Any], key: Any, old: Any) -> None:
        """Return a row to what is on disk, unless a later batch has changed it again."""
        for later in self._unsettled:
            if (table, key) in later.before:
                later.before[table, key] = old
                return
        table.restore(key, old)


def _write(batch: _Batch, connection: sqlite3.Connection) -> None:
    for table, changes in batch.changes.items():
        table.write(connection, changes)
