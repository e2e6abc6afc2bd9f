"""A damaged file is moved aside whole, with a warning that names the place."""

# ruff: noqa: ASYNC240 - a test may block its own loop for a look at a file

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from pimd.clock import ManualClock
from pimd.database import Database, DatabaseError

SCHEMA = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\nCREATE INDEX by_text ON notes (text);\n",)
ROWS = 500
MOMENT = 1_780_000_000_000
ASIDE = "notes.db.damaged-20260528T202640Z"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "notes.db"
    async with Database.open(path, SCHEMA) as database:
        rows = [(f"note {number} " * 20,) for number in range(ROWS)]
        await database.write("fill", lambda c: c.executemany("INSERT INTO notes (text) VALUES (?)", rows))
    return path


def garbage_head(content: bytearray) -> None:
    content[:100] = bytes(range(100))


def cut_short(content: bytearray) -> None:
    del content[len(content) // 2 :]


def cut_inside_the_head(content: bytearray) -> None:
    del content[50:]


def flipped_bits(content: bytearray) -> None:
    for offset in range(4096, len(content), 97):
        content[offset] ^= 0x55


def garbage_schema(content: bytearray) -> None:
    content[100:4096] = b"\xff" * 3996


def negative_version(content: bytearray) -> None:
    content[60:64] = b"\xff\xff\xff\xfe"


DAMAGES = [garbage_head, cut_short, cut_inside_the_head, flipped_bits, garbage_schema, negative_version]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
async def test_a_damaged_file_is_moved_aside_byte_for_byte_and_a_new_one_begun(
    path: Path, damage: Callable[[bytearray], None], caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    async with Database.open(path, SCHEMA, clock=ManualClock(unix_ms=MOMENT)) as database:
        assert database.damaged == path.with_name(ASIDE)
        assert await database.read("SELECT * FROM notes") == []
        await database.write("insert", lambda c: c.execute("INSERT INTO notes (text) VALUES ('new life')"))
    assert path.with_name(ASIDE).read_bytes() == content
    assert str(path.with_name(ASIDE)) in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_second_damage_in_the_same_second_overwrites_nothing(path: Path) -> None:
    for content in (b"first" * 100, b"second" * 100):
        path.write_bytes(content)
        async with Database.open(path, SCHEMA, clock=ManualClock(unix_ms=MOMENT)):
            pass
    assert path.with_name(ASIDE).read_bytes() == b"first" * 100
    assert path.with_name(f"{ASIDE}-2").read_bytes() == b"second" * 100


async def test_the_write_ahead_log_of_a_damaged_file_goes_along(path: Path) -> None:
    path.write_bytes(b"garbage" * 100)
    path.with_name("notes.db-wal").write_bytes(b"log")
    async with Database.open(path, SCHEMA, clock=ManualClock(unix_ms=MOMENT)):
        assert path.with_name(f"{ASIDE}-wal").read_bytes() == b"log"


async def test_a_write_ahead_log_that_lost_its_file_is_kept_too(path: Path) -> None:
    """SQLite would delete it: it takes the log of an empty file for stale."""
    path.write_bytes(b"")
    path.with_name("notes.db-wal").write_bytes(b"still readable by hand")
    async with Database.open(path, SCHEMA, clock=ManualClock(unix_ms=MOMENT)) as database:
        assert database.damaged == path.with_name(ASIDE)
    assert path.with_name(f"{ASIDE}-wal").read_bytes() == b"still readable by hand"


async def test_a_torn_end_of_the_write_ahead_log_costs_only_the_unfinished_transaction(tmp_path: Path) -> None:
    path, copy = tmp_path / "notes.db", tmp_path / "copy.db"
    async with Database.open(path, SCHEMA) as database:
        await database.write("insert", lambda c: c.execute("INSERT INTO notes (text) VALUES ('kept')"))
        copy.write_bytes(path.read_bytes())
        whole = path.with_name("notes.db-wal").read_bytes()
    copy.with_name("copy.db-wal").write_bytes(whole + whole[-4096:-2000])
    async with Database.open(copy, SCHEMA) as database:
        assert [row["text"] for row in await database.read("SELECT text FROM notes")] == ["kept"]
        assert database.damaged is None


@pytest.mark.parametrize("seed", range(40))
async def test_random_flips_end_in_a_working_database_and_nothing_is_thrown_away(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 6)):
        content[chance.randrange(100, len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    async with Database.open(path, SCHEMA) as database:
        rows = await database.read("SELECT text FROM notes")
        assert (database.damaged is None and len(rows) == ROWS) or (
            database.damaged is not None and database.damaged.read_bytes() == content
        )
        await database.write("insert", lambda c: c.execute("INSERT INTO notes (text) VALUES ('goes on')"))


async def test_a_text_that_is_no_longer_utf_8_does_not_hide_the_other_rows(path: Path) -> None:
    with sqlite3.connect(path) as plain:
        plain.execute("DROP INDEX by_text")
        plain.execute("UPDATE notes SET text = CAST(x'ff41' AS TEXT) WHERE id = 1")
    plain.close()
    async with Database.open(path, SCHEMA) as database:
        rows = await database.read("SELECT text FROM notes ORDER BY id")
        assert (len(rows), rows[0]["text"]) == (ROWS, "\N{REPLACEMENT CHARACTER}A")


async def test_a_directory_in_which_nothing_can_be_renamed_is_a_clear_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Path, _target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    path.write_bytes(b"garbage" * 100)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(DatabaseError, match="move aside: Permission denied; the file is damaged, move it away by hand"):
        async with Database.open(path, SCHEMA):
            pass
    assert path.read_bytes() == b"garbage" * 100
