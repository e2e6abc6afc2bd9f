"""Tasks whose first step runs at once are tasks like others."""

import asyncio
from contextvars import ContextVar

import pytest

from pimd.rpc import eager_task

whose: ContextVar[str] = ContextVar("whose", default="nobody's")


async def test_the_first_step_runs_at_once_in_a_task_and_a_context_of_its_own() -> None:
    seen: list[object] = []

    async def work() -> None:
        whose.set("the call's")
        seen.append(asyncio.current_task())

    async with asyncio.TaskGroup() as group:
        task = eager_task.start(group, work(), "a call")
        assert task.done()
        assert seen == [task]
    assert task.get_name() == "a call"
    assert asyncio.current_task() is not task
    assert whose.get() == "nobody's"


async def test_what_waits_goes_on_in_its_group() -> None:
    go_on, ended = asyncio.Event(), []

    async def work() -> None:
        async with asyncio.timeout(60):
            await go_on.wait()
        ended.append(asyncio.current_task())

    async with asyncio.TaskGroup() as group:
        task = eager_task.start(group, work(), "a call")
        assert not task.done()
        go_on.set()
    assert ended == [task]


async def test_an_error_in_the_first_step_is_the_groups() -> None:
    async def work() -> None:
        raise ValueError("at once")

    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="at once")):
        async with asyncio.TaskGroup() as group:
            eager_task.start(group, work(), "a call")
            await asyncio.Event().wait()


async def test_a_call_that_cancels_itself_leaves_its_starter_alone() -> None:
    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = eager_task.start(group, work(), "a call")
        assert not task.done()
    assert task.cancelled()


def test_only_a_task_starts_one() -> None:
    loop = asyncio.new_event_loop()
    refused: list[str] = []

    async def work() -> None:
        raise AssertionError("it must not begin")

    async def enter() -> asyncio.TaskGroup:
        return await asyncio.TaskGroup().__aenter__()

    def start(group: asyncio.TaskGroup) -> None:
        coroutine = work()
        try:
            eager_task.start(group, coroutine, "a call")
        except RuntimeError as error:
            refused.append(str(error))
        coroutine.close()
        loop.stop()

    group = loop.run_until_complete(enter())
    loop.call_soon(start, group)
    loop.run_forever()
    loop.close()
    assert refused == ["an eager task is started by another"]
