"""Tasks, timers and threads that the daemon owns for a plugin."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from pimd.assembly import plugin_host
from pimd.assembly.guard import Guard
from pimd.assembly.threads import THREADS, Threads
from pimd.assembly.timers import Timers, place_of
from pimd.clock import ManualClock
from pimd.contract import DaemonPlugin, Feature, PluginContext
from pimd.limits import Bites
from tests.assembly.conftest import Assemble, Assembled, until
from tests.limits import Lower


class Worker(DaemonPlugin):
    """Keeps its context for the test."""

    name: ClassVar[str] = "worker"

    async def start(self, ctx: PluginContext) -> None:
        self.ctx = ctx


WORKER = Feature("worker", "x", plugin=Worker)


def context(all_: Assembled) -> PluginContext:
    plugin = all_.host("worker").plugin
    assert isinstance(plugin, Worker)
    return plugin.ctx


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# --- tasks


async def test_a_task_can_be_awaited_and_says_whether_it_is_done(assemble: Assemble) -> None:
    ctx = context(await assemble(WORKER))
    go, seen = asyncio.Event(), []

    async def work() -> None:
        await go.wait()
        seen.append(1)

    task = ctx.spawn("work", work())
    assert (task.name, task.done) == ("work", False)
    go.set()
    await task.wait()
    assert (task.done, seen) == (True, [1])
    await task.wait()


async def test_a_task_that_its_feature_cancels_is_no_failure(
    assemble: Assemble, caplog: pytest.LogCaptureFixture
) -> None:
    all_ = await assemble(WORKER)
    ctx, ended = context(all_), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    for steps in (3, 0):
        task = ctx.spawn("work", work())
        await turns(steps)
        task.cancel()
        await task.wait()
        task.cancel()
        assert task.done
    assert ended == [1]
    assert (all_.row("worker").state, all_.row("worker").failures, caplog.text) == ("running", 0, "")


async def test_a_task_that_raises_another_error_when_it_is_cancelled_has_crashed(assemble: Assemble) -> None:
    all_ = await assemble(WORKER)

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("the disk is full") from None

    task = context(all_).spawn("work", work())
    await turns()
    task.cancel()
    await task.wait()
    await until(lambda: all_.row("worker").state == "failed")
    assert "the disk is full" in all_.row("worker").reason


async def test_a_task_that_raises_a_cancellation_nobody_asked_for_has_crashed(assemble: Assemble) -> None:
    all_ = await assemble(WORKER)

    async def work() -> None:
        raise asyncio.CancelledError

    context(all_).spawn("work", work())
    await until(lambda: all_.row("worker").state == "failed")
    assert "its task 'work' crashed: CancelledError" in all_.row("worker").reason


async def test_a_task_is_not_asked_to_wait_for_itself(assemble: Assemble) -> None:
    ctx, raised = context(await assemble(WORKER)), []
    held: list[Any] = []

    async def work() -> None:
        try:
            await held[0].wait()
        except RuntimeError as error:
            raised.append(str(error))

    held.append(ctx.spawn("narcissus", work()))
    await held[0].wait()
    assert raised == ["the task 'narcissus' waits for its own end"]


async def test_who_waits_for_a_task_and_is_cancelled_leaves_it_alone(assemble: Assemble) -> None:
    ctx = context(await assemble(WORKER))
    task = ctx.spawn("work", asyncio.sleep(3600))
    waiter = ctx.spawn("waiter", task.wait())
    await turns()
    waiter.cancel()
    await waiter.wait()
    assert not task.done
    task.cancel()


# --- timers


class Timed:
    """Timers of a feature on a clock moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.quarantined: list[str] = []
        self.guard = Guard("worker", self.clock, quarantine=self.quarantined.append)
        self.timers = Timers(self.guard)
        self.began = self.clock.now()
        self.at: list[float] = []

    def note(self) -> None:
        self.at.append(round(self.clock.now() - self.began, 6))

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await turns()


async def test_a_function_is_called_once_after_the_delay() -> None:
    timed = Timed()
    timed.timers.call_later(2.5, timed.note)
    timed.timers.call_later(-1, timed.note)
    timed.timers.call_later(1, timed.note).cancel()
    await timed.advance(2.4)
    assert timed.at == [0.0]
    await timed.advance(10)
    assert timed.at == [0.0, 2.5]
    assert timed.timers.live == {}


async def test_a_function_is_called_each_period_until_its_timer_is_cancelled() -> None:
    timed = Timed()
    timer = timed.timers.every(10, timed.note)
    timed.timers.every(25, timed.note, at_once=True)
    for _ in range(6):
        await timed.advance(5)
    assert timed.at == [0.0, 10.0, 20.0, 25.0, 30.0]
    timer.cancel()
    await timed.advance(30)
    assert timed.at[5:] == [50.0]
    assert len(timed.timers.live) == 1


async def test_runs_of_an_async_function_do_not_overlap_and_keep_their_beat() -> None:
    timed, ends = Timed(), [25.0, 1.0, 1.0]
    running = 0

    async def work() -> None:
        nonlocal running
        assert running == 0
        running += 1
        timed.note()
        await timed.clock.sleep(ends.pop(0))
        running -= 1

    timed.timers.every(10, work)
    for _ in range(55):
        await timed.advance(1)
    assert timed.at == [10.0, 40.0, 50.0]
    assert timed.guard.failures == 0


async def test_a_function_that_returns_a_coroutine_counts_as_async() -> None:
    timed = Timed()

    async def work() -> None:
        await asyncio.sleep(0)
        timed.note()

    timed.timers.call_later(1, lambda: work())  # noqa: PLW0108 - that is the case
    await timed.advance(1)
    assert timed.at == [1.0]


def fail() -> None:
    raise SystemExit(3)


async def fail_later() -> None:
    await asyncio.sleep(0)
    raise ValueError("x")


@pytest.mark.parametrize("function", [fail, fail_later])
async def test_a_failure_is_counted_each_time_and_logged_once(
    caplog: pytest.LogCaptureFixture, function: Callable[[], object]
) -> None:
    timed = Timed()
    timed.timers.every(20, function)
    for _ in range(7):
        await timed.advance(20)
    assert timed.guard.failures == 7
    assert timed.quarantined == []
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert line.startswith(f"feature worker: its timer {function.__name__} (test_work.py:")


async def test_failures_at_short_intervals_quarantine() -> None:
    timed = Timed()
    timed.timers.every(1, fail)
    for _ in range(5):
        await timed.advance(1)
    assert len(timed.quarantined) == 1


async def test_a_function_that_cancels_its_own_timer_ends_its_run() -> None:
    timed = Timed()
    ended: list[int] = []

    async def once() -> None:
        timer.cancel()
        await asyncio.sleep(0)
        ended.append(1)

    timer = timed.timers.every(1, once)
    for _ in range(5):
        await timed.advance(1)
    assert (ended, timed.guard.failures) == ([1], 0)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf")])
async def test_a_time_that_never_comes_is_refused(seconds: float) -> None:
    timed = Timed()
    with pytest.raises(ValueError, match="finite"):
        timed.timers.call_later(seconds, timed.note)
    with pytest.raises(ValueError, match="finite"):
        timed.timers.every(seconds, timed.note)
    with pytest.raises(ValueError, match="above 0"):
        timed.timers.every(0, timed.note)


async def test_nothing_fires_after_the_feature_was_stopped(assemble: Assemble) -> None:
    all_ = await assemble(WORKER)
    ctx, ran, ended = context(all_), [], []

    async def long() -> None:
        try:
            ran.append("long")
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    ctx.every(0.001, lambda: ran.append("beat"))
    ctx.every(0.001, long, at_once=True)
    ctx.clock.call_at(ctx.clock.now() + 0.05, lambda: ran.append("late"))
    await until(lambda: "long" in ran and "beat" in ran)
    await all_.assembly.disable("worker")
    before = list(ran)
    ctx.call_later(0, lambda: ran.append("later"))
    ctx.every(0.001, lambda: ran.append("ever"))
    await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 0.1)
    assert (ran, ended) == (before, [1])


async def test_stopping_leaves_no_timer_behind(assemble: Assemble) -> None:
    all_ = await assemble(WORKER)
    ctx = context(all_)
    ctx.every(3600, turns)
    ctx.call_later(3600, turns)
    ctx.clock.call_at(ctx.clock.now() + 3600, lambda: None)
    waiting: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    assert len([timer for timer in waiting if timer.when() - ctx.clock.now() > 3000 and not timer.cancelled()]) == 3
    await all_.assembly.disable("worker")
    ctx.every(3600, turns)
    assert [timer for timer in waiting if timer.when() - ctx.clock.now() > 3000 and not timer.cancelled()] == []


def test_the_place_of_a_function_is_where_it_is_written() -> None:
    class Called:
        """Is no function."""

        def __call__(self) -> None:
            raise AssertionError

    assert place_of(fail) == f"fail (test_work.py:{fail.__code__.co_firstlineno})"
    assert place_of(Timed.note).startswith("Timed.note (test_work.py:")
    assert place_of(Called()).endswith("Called")


# --- threads


async def test_blocking_work_runs_in_a_thread_and_its_result_comes_back(assemble: Assemble) -> None:
    ctx = context(await assemble(WORKER))
    assert await ctx.run_blocking(threading.get_ident) != threading.get_ident()
    assert await ctx.run_blocking(lambda: "done") == "done"


@pytest.mark.parametrize("error", [OSError("full"), SystemExit(3), StopIteration(), KeyboardInterrupt()])
async def test_what_blocking_work_raises_comes_to_the_caller(assemble: Assemble, error: BaseException) -> None:
    ctx = context(await assemble(WORKER))

    def work() -> None:
        raise error

    expected = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(expected):
        await ctx.run_blocking(work)


async def test_an_async_function_is_no_blocking_work(assemble: Assemble) -> None:
    ctx = context(await assemble(WORKER))
    function: Callable[[], object] = turns
    with pytest.raises(TypeError, match="write `def`"):
        await ctx.run_blocking(function)


@pytest.mark.limit("threads of a feature")
async def test_the_threads_of_a_feature_are_bounded(lower: Lower) -> None:
    lower(THREADS, 2)
    bites, go, began = Bites(), threading.Event(), threading.Semaphore(0)
    threads = Threads("worker", bites)

    def work() -> None:
        began.release()
        go.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(threads.run(work))
        for _ in range(2):
            await asyncio.to_thread(began.acquire)
        assert not began.acquire(blocking=False)
        assert bites[THREADS] == 3
        go.set()
    assert threads.close() == 0


async def test_the_result_of_a_thread_is_dropped_when_its_feature_stops(
    assemble: Assemble, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(plugin_host, "TASKS_S", 0.01)
    all_ = await assemble(WORKER)
    ctx, go, began, after = context(all_), threading.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def block() -> None:
        loop.call_soon_threadsafe(began.set)
        go.wait()

    async def work() -> None:
        await ctx.run_blocking(block)
        after.append(1)

    async def wait_in_line() -> None:
        await ctx.run_blocking(lambda: after.append(2))

    for _ in range(THREADS.value):
        ctx.spawn("work", work())
    ctx.spawn("waits", wait_in_line())
    await began.wait()
    await all_.assembly.disable("worker")
    go.set()
    await turns()
    assert after == []
    assert f"blocking work runs in {THREADS.value} of its threads" in caplog.text
    with pytest.raises(Exception, match="was stopped"):
        await ctx.run_blocking(lambda: None)


async def test_in_a_simulation_blocking_work_runs_in_the_turn_of_the_loop() -> None:
    threads = Threads("worker", Bites(), in_loop=True)
    assert await threads.run(threading.get_ident) == threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
