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


def test_without_a_watchdog_nothing_stood_still() -> None:
    assert not Running().stood_still_since(0.0)
