"""Memory and disk say the same, also after a transaction failed."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from pimd.database import Database, DatabaseError
from pimd.database import file as database_file
from pimd.store.mirror import Mirror, MirrorTable, TableSql

SCHEMA = ("CREATE TABLE words (word TEXT PRIMARY KEY, meaning TEXT NOT NULL);\n",)


class Words:
    """One mirrored table whose meaning `bad` cannot be written."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.mirror = Mirror(database, "words")
        self.while_failing: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        sql: TableSql[str, str] = TableSql(
            name="words",
            select="SELECT * FROM words",
            upsert="INSERT OR REPLACE INTO words VALUES (?, ?)",
            delete="DELETE FROM words WHERE word = ?",
            encode=self._encode,
            decode=lambda row: (row["word"], row["meaning"]),
        )
        self.table: MirrorTable[str, str] = self.mirror.table(sql)

    def _encode(self, word: str, meaning: str) -> tuple[str, str]:
        if meaning == "bad":
            while self.while_failing:
                self._loop.call_soon_threadsafe(self.while_failing.pop())
            raise ValueError("cannot be written")
        return word, meaning

    async def on_disk(self) -> dict[str, str]:
        return {row["word"]: row["meaning"] for row in await self.database.read("SELECT * FROM words")}


@pytest.fixture
async def words(tmp_path: Path) -> AsyncIterator[Words]:
    async with Database.open(tmp_path / "words.db", SCHEMA) as database:
        words = Words(database)
        words.table.put("kept", "before")
        await words.mirror.durable()
        yield words
        assert dict(words.table) == await words.on_disk()


async def test_a_change_is_in_memory_at_once_and_on_disk_when_durable(words: Words) -> None:
    words.table.put("new", "1")
    words.table.remove("kept")
    assert dict(words.table) == {"new": "1"}
    assert await words.on_disk() == {"kept": "before"}
    await words.mirror.durable()
    assert await words.on_disk() == {"new": "1"}


async def test_of_many_changes_of_one_row_the_last_is_written(words: Words) -> None:
    words.table.put("new", "1")
    words.table.remove("new")
    words.table.put("new", "2")
    words.table.remove("absent")
    await words.mirror.durable()
    assert await words.on_disk() == {"kept": "before", "new": "2"}


async def test_setting_what_is_there_already_writes_nothing(words: Words) -> None:
    before = words.database.transactions
    words.table.put("kept", "before")
    await words.mirror.durable()
    assert words.database.transactions == before


async def test_a_failed_transaction_is_undone_in_memory_and_its_callbacks_are_never_called(words: Words) -> None:
    called: list[str] = []
    words.table.put("new", "1")
    words.table.put("new", "2")
    words.table.remove("kept")
    words.mirror.after_commit(lambda: called.append("told"))
    words.table.put("faulty", "bad")
    with pytest.raises(ValueError, match="cannot be written"):
        await words.mirror.durable()
    assert (dict(words.table), called) == ({"kept": "before"}, [])


async def test_callbacks_come_in_order_each_after_its_commit_and_before_the_waiting_caller(words: Words) -> None:
    called: list[tuple[int, int]] = []
    first = words.database.transactions
    for number in range(3):
        words.table.put("count", str(number))
        words.mirror.after_commit(partial(lambda n: called.append((n, words.database.transactions)), number))
        await words.mirror.durable()
        assert len(called) == number + 1
    assert called == [(number, first + number + 1) for number in range(3)]


async def test_a_later_change_of_the_same_row_survives_the_failure_of_an_earlier_one(words: Words) -> None:
    words.while_failing.append(lambda: words.table.put("kept", "later"))
    words.table.put("kept", "bad")
    words.table.put("other", "x")
    with pytest.raises(ValueError, match="cannot be written"):
        await words.mirror.durable()
    assert dict(words.table) == {"kept": "later"}
    await words.mirror.durable()
    assert await words.on_disk() == {"kept": "later"}


async def test_when_the_later_change_fails_too_memory_goes_back_to_what_is_on_disk(words: Words) -> None:
    def change_again() -> None:
        words.table.put("kept", "later")
        words.table.put("faulty", "bad")

    words.while_failing.append(change_again)
    words.table.put("kept", "bad")
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be written"):
            await words.mirror.durable()
    assert dict(words.table) == {"kept": "before"}


async def test_a_transaction_that_could_not_even_begin_is_undone_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "BUSY_TIMEOUT_S", 0.05)
    async with Database.open(tmp_path / "words.db", SCHEMA) as database:
        words = Words(database)
        with contextlib.closing(sqlite3.connect(tmp_path / "words.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            words.table.put("new", "1")
            with pytest.raises(DatabaseError, match="locked"):
                await words.mirror.durable()
        assert dict(words.table) == {}
        words.table.put("new", "2")
        await words.mirror.durable()
        assert await words.on_disk() == {"new": "2"}
