"""SIGKILL costs no identity that was announced, and no number of ours is used twice."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from pimd.clock import SystemClock
from pimd.ids import NodeId
from pimd.store.keystore import Keystore

PROGRAM = """
import asyncio, os, pathlib, sys
from pimd.clock import SystemClock
from pimd.contract import Seen
from pimd.proto.cards import issue
from pimd.proto.identity import Identity
from pimd.store.keystore import Keystore

async def announce(events):
    async for event in events:
        os.write(1, b"seen %s\\n" % event.node_id.hex().encode())

async def number(keystore):
    while True:
        os.write(1, b"seq %d\\n" % await keystore.next_own_seq(0))

async def main(path):
    async with Keystore.open(path, SystemClock()) as keystore, asyncio.TaskGroup() as group:
        group.create_task(announce(keystore.subscribe()))
        group.create_task(number(keystore))
        while True:
            keystore.learn(issue(Identity.from_seed(os.urandom(32)), 1, 0, "somebody"), direct=False)
            await asyncio.sleep(0)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def printed_until_killed(path: Path, lines: int) -> list[list[str]]:
    writer = subprocess.Popen([sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer, writer.stdout as output:
        seen = [output.readline() for _ in range(lines)]
        writer.kill()
        seen += output.readlines()
    return [line.split() for line in seen if line.endswith("\n")]


@pytest.mark.slow
async def test_nothing_announced_is_lost_and_no_number_used_twice_over_kills_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "peers.db"
    chance = random.Random(7)
    announced: list[NodeId] = []
    numbers: list[int] = []
    for _ in range(8):
        lines = printed_until_killed(path, chance.randrange(1, 300))
        announced += [NodeId.parse(value) for kind, value in lines if kind == "seen"]
        numbers += [int(value) for kind, value in lines if kind == "seq"]
        async with Keystore.open(path, SystemClock()) as keystore:
            assert keystore.damaged is None
            assert all(keystore.get(node_id) for node_id in announced)
            assert keystore.highest_own_seq >= numbers[-1]
    assert numbers == sorted(set(numbers))
    assert min(len(numbers), len(announced)) >= 8  # both kinds were acknowledged before the kills
