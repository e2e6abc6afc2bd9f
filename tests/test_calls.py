"""Limits of calls, and time in which the process did not run."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from pimd import calls
from pimd.calls import Calls, Running

FROZEN_IN_A_STEP = """
import asyncio, os, signal, time
from pimd.assembly.watchdog import Watchdog
from pimd.calls import Calls

async def main():
    blocked = []
    feature = Calls("feature frozen", lambda what, took: blocked.append(took))
    def freeze():
        print("now", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    with Watchdog(lambda _: None):
        await asyncio.sleep(0.5)
        feature.call("a step", freeze)
        await asyncio.sleep(0.5)  # the watchdog looks every 0.2 s
        frozen = len(blocked)
        while len(blocked) == frozen:  # on a busy machine the watchdog may stand still, too, and then blames nobody
            feature.call("a block", time.sleep, 1.0)
    print(frozen, len(blocked), flush=True)

asyncio.run(main())
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BLOCKED_S", 0.05)


@pytest.mark.usefixtures("impatient")
async def test_a_call_has_its_time_though_others_block_the_loop_beyond_its_limit() -> None:
    mine, done = Calls("feature patient"), asyncio.Event()

    async def wait() -> str:
        await done.wait()
        return "done"

    def block() -> None:
        time.sleep(0.2)  # another feature, at its worst
        asyncio.get_running_loop().call_later(0.01, done.set)

    asyncio.get_running_loop().call_soon(block)
    outcome = await mine.run("wait", wait, timeout_s=0.1)
    assert (outcome.value, outcome.timed_out) == ("done", False)


@pytest.mark.usefixtures("impatient")
async def test_a_call_is_spared_once_only() -> None:
    async def never() -> None:
        asyncio.get_running_loop().call_later(0.0, time.sleep, 0.2)
        asyncio.get_running_loop().call_later(0.2, time.sleep, 0.2)
        await asyncio.Event().wait()

    outcome = await Calls("feature slow").run("never", never, timeout_s=0.1)
    assert outcome.timed_out


async def test_a_group_whose_child_fails_cancels_nobody_but_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LEAVE_S", 0.05)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def recover() -> str:
        for number in range(3):
            with contextlib.suppress(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    group.create_task(fail())
            await asyncio.sleep(0 if number else 2 * calls.LEAVE_S)
        return "done"

    async def raises() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    mine = Calls("feature grouped")
    assert (await mine.run("recover", recover, timeout_s=30)).value == "done"
    assert isinstance((await mine.run("raises", raises, timeout_s=30)).error, ExceptionGroup)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_call_that_is_cancelled_while_a_group_of_its_own_ends_is_cancelled() -> None:
    began = asyncio.Event()

    async def slow() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        began.set()
        await asyncio.sleep(0.2)

    async def fail() -> None:
        raise ValueError("no")

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(slow())
            group.create_task(fail())

    async with asyncio.TaskGroup() as group:
        caller = group.create_task(Calls("feature grouped").run("work", work, timeout_s=30))
        await began.wait()
        caller.cancel()
    assert caller.cancelled()


def test_a_process_that_was_stopped_in_a_step_blames_nobody() -> None:
    process = subprocess.Popen([sys.executable, "-c", FROZEN_IN_A_STEP], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    time.sleep(1.0)  # that long it does not run
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=30)
    assert said == "0 1\n"  # the block that was one


class Time:
    """A clock that the blocks of a test move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.blamed: list[str] = []

    def __call__(self) -> float:
        return self.now

    def block(self, seconds: float) -> None:
        self.now += seconds

    def calls(self, owner: str) -> Calls:
        return Calls(owner, lambda what, took: self.blamed.append(f"{owner} {what} {took:g}"), self)


@pytest.mark.parametrize(
    ("own", "inner", "times", "blamed"),
    [
        (0.0, 2.0, 1, ["inner service 2"]),
        (1.0, 2.0, 1, ["inner service 2", "outer method 1"]),
        (0.0, 0.5, 4, ["outer method 2"]),  # each of the many calls is short
    ],
)
async def test_who_is_called_is_blamed_for_a_block_and_not_who_calls(
    own: float, inner: float, times: int, blamed: list[str]
) -> None:
    time_ = Time()
    one, other = time_.calls("outer"), time_.calls("inner")

    def call_it() -> None:
        for _ in range(times):
            other.call("service", time_.block, inner)
        time_.block(own)

    async def run_it() -> None:
        call_it()

    async def service() -> None:
        time_.block(inner)

    async def await_it() -> None:
        for _ in range(times):
            await other.run("service", service, timeout_s=60)
        time_.block(own)

    one.call("method", call_it)
    first, time_.blamed = time_.blamed, []
    await one.run("method", run_it, timeout_s=60)
    second, time_.blamed = time_.blamed, []
    await one.run("method", await_it, timeout_s=60)
    assert first == second == time_.blamed == blamed


def test_without_a_watchdog_nothing_stood_still() -> None:
    assert not Running().stood_still_since(0.0)
