"""Time that jumps, and says so when it cannot."""

import asyncio
import os
import random
import secrets
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pimd.lab import run
from pimd.lab.virtual_loop import NothingWillHappen, TimeStandsStill


def play(main: Callable[[], Coroutine[Any, Any, Any]], seed: int = 1) -> Any:
    return run(main, seed=seed)


def test_an_hour_passes_at_once_and_in_order() -> None:
    seen: list[tuple[float, str]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(3600.0, lambda: seen.append((loop.time(), "hour")))
        loop.call_at(0.25, lambda: seen.append((loop.time(), "quarter")))
        await asyncio.sleep(7200)
        seen.append((loop.time(), "end"))

    play(main)
    assert seen == [(0.25, "quarter"), (3600.0, "hour"), (7200.0, "end")]


def test_timers_come_at_their_own_moment_and_not_a_rounding_before() -> None:
    async def main() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        late: list[tuple[float, float]] = []

        def note(when: float) -> None:
            late.append((when, loop.time()))

        for number in range(1, 2000):
            when = number * 0.1 + 1e-7 * number
            loop.call_at(when, note, when)
        await asyncio.sleep(300)
        return late

    assert all(now >= when for when, now in play(main))


def test_a_wait_that_can_never_end_is_told_with_the_places_where_tasks_wait() -> None:
    async def forlorn() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(forlorn(), name="the forlorn one")

    with pytest.raises(
        NothingWillHappen, match=r"nothing will ever happen.*the forlorn one \(test_virtual_loop.py:\d+\)"
    ):
        play(main)


def test_a_task_that_spins_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimd.lab.virtual_loop.TURNS_AT_ONE_MOMENT", 1000)

    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(TimeStandsStill, match=r"1000 turns at t=0\.000 s"):
        play(main)


def test_threads_are_refused_by_the_name_of_what_was_to_run_in_one() -> None:
    async def main() -> None:
        await asyncio.to_thread(os.listdir)

    with pytest.raises(RuntimeError, match="was to run in a thread; under virtual time nothing can"):
        play(main)


def test_tasks_are_cancelled_in_the_order_they_were_made() -> None:
    ended: list[int] = []

    async def wait(number: int) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(number)

    async def main() -> None:
        tasks = {asyncio.create_task(wait(number)) for number in range(20)}  # noqa: TID251 - a set of tasks is the point
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    play(main)
    assert ended == list(range(20))


def test_all_randomness_comes_from_the_seed_and_is_put_back() -> None:
    async def main() -> tuple[object, ...]:
        return os.urandom(8), random.random(), uuid.uuid4(), secrets.token_hex(8)

    before = os.urandom
    assert play(main, 7) == play(main, 7)
    assert play(main, 7) != play(main, 8)
    assert os.urandom is before
    assert secrets.token_bytes(16) != secrets.token_bytes(16)


def test_the_generator_of_others_goes_on_where_it_was() -> None:
    async def main() -> None:
        random.random()

    random.seed(5)
    expected = random.random(), random.random()
    random.seed(5)
    first = random.random()
    play(main)
    assert (first, random.random()) == expected
