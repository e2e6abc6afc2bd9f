"""SIGKILL at any moment loses no row that was acknowledged."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pimd.database import Database

SCHEMA = ("CREATE TABLE notes (id INTEGER PRIMARY KEY);\n",)
PROGRAM = """
import asyncio, os, pathlib, sys
from pimd.database import Database

async def insert(database, number):
    await database.write("insert", lambda c: c.execute("INSERT INTO notes VALUES (?)", (number,)))
    os.write(1, b"%d\\n" % number)

async def main(path, first):
    async with Database.open(path, ("CREATE TABLE notes (id INTEGER PRIMARY KEY);",)) as database:
        for start in range(first, first + 1_000_000, 20):
            async with asyncio.TaskGroup() as group:
                for number in range(start, start + 20):
                    group.create_task(insert(database, number))

asyncio.run(main(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
"""


def acknowledged_until_killed(path: Path, first: int, lines: int) -> list[int]:
    """Read that many lines, kill the writer, and return all that it had printed."""
    writer = subprocess.Popen([sys.executable, "-c", PROGRAM, path, str(first)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    with writer, writer.stdout as output:
        seen = [output.readline() for _ in range(lines)]
        os.kill(writer.pid, signal.SIGKILL)
        seen += output.readlines()
    return [int(line) for line in seen if line.endswith(b"\n")]


@pytest.mark.slow
async def test_no_acknowledged_row_is_missing_after_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    chance = random.Random(20260528)
    acknowledged: list[int] = []
    for turn in range(15):
        acknowledged += acknowledged_until_killed(path, turn * 1_000_000, chance.randrange(1, 400))
        async with Database.open(path, SCHEMA) as database:
            stored = {row["id"] for row in await database.read("SELECT id FROM notes")}
            assert database.damaged is None
            assert stored.issuperset(acknowledged)
    assert len(acknowledged) > 500
