"""When this node's card goes out again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pimd.clock import ManualClock
from pimd.mesh.broadcast import PAUSE_S, IdentityBroadcast
from pimd.mesh.cards import OwnCard
from pimd.proto.identity import Identity
from pimd.store.keystore import Keystore


class Issues:
    """Counts issues of a card while the clock is moved."""

    def __init__(self, keystore: Keystore, clock: ManualClock, interval_s: int | None, random: float) -> None:
        self.clock = clock
        self.keystore = keystore
        self.own = OwnCard(Identity.from_seed(bytes(32)), keystore, clock, "me", 0)
        self.times: list[float] = []
        self.broadcast = IdentityBroadcast(self.own, clock, lambda: random, self._sent, interval_s)

    def _sent(self) -> int:
        self.times.append(self.clock.now())
        return 3

    async def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1.0)
            await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            await self.keystore.durable()


@asynccontextmanager
async def issues(tmp_path: Path, interval_s: int | None = None, random: float = 0.5) -> AsyncIterator[Issues]:
    clock = ManualClock()
    async with Keystore.open(tmp_path / "peers.db", clock) as keystore, asyncio.TaskGroup() as tasks:
        made = Issues(keystore, clock, interval_s, random)
        await made.own.reissue()
        task = tasks.create_task(made.broadcast.run())
        await made.settle()
        yield made
        task.cancel()


@pytest.mark.parametrize(("random", "period_s"), [(0.0, 270), (0.5, 300), (1.0, 330)])
async def test_a_card_goes_out_every_300_seconds_give_or_take_a_tenth(
    tmp_path: Path, random: float, period_s: int
) -> None:
    async with issues(tmp_path, random=random) as made:
        await made.pass_time(2 * period_s + 5)
        first, second = made.times
        assert second - first == period_s + PAUSE_S
        assert made.broadcast.last is not None
        assert (made.broadcast.last.recipients, made.broadcast.last.at_ms) == (3, made.own.card.seq)


async def test_a_longer_interval_changes_nothing_and_a_shorter_one_does(tmp_path: Path) -> None:
    async with issues(tmp_path, 900) as made:
        await made.pass_time(310)
        assert len(made.times) == 1
        made.broadcast.set_interval(30)
        await made.pass_time(65)
        assert len(made.times) == 4  # at once, then every 30 s
        made.broadcast.set_interval(None)
        await made.pass_time(300)
        assert len(made.times) == 5


async def test_whoever_wants_a_newer_card_gets_it_within_a_second(tmp_path: Path) -> None:
    async with issues(tmp_path) as made:
        far = made.clock.unix_ms() + 5_000_000
        made.broadcast.want_above(far)
        await made.settle()
        assert made.own.card.seq > far
        made.broadcast.want_above(far + 10)
        await made.settle()
        assert len(made.times) == 1
        await made.pass_time(1)
        assert made.own.card.seq > far + 10
