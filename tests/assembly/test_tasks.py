"""Who owns a plugin's tasks knows them all, ends them, and names those that do not end."""

import asyncio

import pytest

from pimd.assembly import tasks
from pimd.assembly.tasks import PluginTasks


async def forever() -> None:
    await asyncio.Event().wait()


async def test_what_runs_is_cancelled_and_what_ended_is_not_kept() -> None:
    owner = PluginTasks("echo")
    running, ended = owner.start("waits", forever()), owner.start("ends", asyncio.sleep(0))
    assert (running.get_name(), (await ended).ok) == ("echo: waits", True)
    assert await owner.cancel_all() == []
    assert isinstance(running.result().error, asyncio.CancelledError)
    assert not running.result().ok
    assert owner._tasks == set()
    assert await owner.cancel_all() == []


async def test_whoever_swallows_its_cancellation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "ABANDON_S", 0.01)
    owner, released = PluginTasks("echo"), asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    started = owner.start("is stubborn", stubborn())
    await asyncio.sleep(0)
    assert await owner.cancel_all() == ["echo: is stubborn"]
    outcome = await owner.run("is stubborn, too", stubborn(), 0.01)
    assert (outcome.ok, outcome.timed_out, outcome.error) == (False, True, None)
    released.set()
    assert (await started).ok


async def test_work_has_its_outcome_and_is_cancelled_with_whoever_waits_for_it() -> None:
    owner = PluginTasks("echo")
    assert (await owner.run("ends", asyncio.sleep(0), 10)).ok
    waiting = owner.start("waits for another", owner.run("waits", forever(), 10))
    while len(owner._tasks) < 2:
        await asyncio.sleep(0)
    (inner,) = owner._tasks - {waiting}
    waiting.cancel()
    assert isinstance((await waiting).error, asyncio.CancelledError)
    assert isinstance((await inner).error, asyncio.CancelledError)
