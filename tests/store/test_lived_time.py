"""Lived time: what counts within a boot and across boots, whatever the wall clock does, and what is kept on disk."""

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd import clock as clock_module
from pimd.clock import ManualClock, SystemClock
from pimd.database import Database
from pimd.lived_time import BUILD_DATE, STEADY_MS, STEP_MS, LivedState, LivedTime, Reading, advance
from pimd.store import lived_rows
from pimd.store.ageing import LIVED_TIME_KEPT_S, keep_lived_time
from pimd.store.keystore import Keystore
from pimd.store.keystore_rows import MIGRATIONS
from pimd.task_scope import task_scope

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
NOW_MS = 1_800_000_000_000
YEARS_MS = 20 * 365 * DAY_MS


class Machine:
    """A machine whose true time is known, whose wall clock is wrong by `error_ms`, and a process that dies and starts."""

    def __init__(self) -> None:
        self.true_ms = 0
        self.booted_ms = -5000
        self.boots = 1
        self.error_ms = 0
        self.kept: LivedState | None = None
        self.process = LivedTime(self.read)

    def read(self) -> Reading:
        return Reading(
            f"boot {self.boots}", self.true_ms - self.booted_ms, max(0, NOW_MS + self.true_ms + self.error_ms)
        )

    def run(self, ms: int) -> int:
        """Let time pass, and the process look at its clocks each minute, as it does."""
        while ms > 0:
            self.true_ms += min(ms, MINUTE_MS)
            ms -= MINUTE_MS
            self.kept = self.process.state()
        return self.process.now_ms()

    def restart(self, off_ms: int = 0, *, reboot: bool, error_ms: int | None = None) -> None:
        """Kill the process; what it kept last is there for the next one."""
        self.true_ms += off_ms
        if reboot:
            self.boots += 1
            self.booted_ms = self.true_ms - 5000
        if error_ms is not None:
            self.error_ms = error_ms
        self.process = LivedTime(self.read)
        if self.kept is not None:
            self.process.resume(self.kept)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("error_ms", [YEARS_MS, -NOW_MS, -3_600_000])
def test_a_jump_within_a_boot_counts_nothing_and_sleep_counts(machine: Machine, error_ms: int) -> None:
    machine.run(DAY_MS)
    machine.error_ms = error_ms
    assert machine.run(DAY_MS) == 2 * DAY_MS
    machine.true_ms += 8 * DAY_MS  # asleep: BOOTTIME goes on
    assert machine.process.now_ms() == 10 * DAY_MS


def test_while_the_daemon_is_off_the_boot_goes_on(machine: Machine) -> None:
    machine.run(DAY_MS)
    machine.restart(DAY_MS, reboot=False, error_ms=YEARS_MS)
    assert machine.process.now_ms() == 2 * DAY_MS


def test_across_boots_the_wall_clock_counts_once_it_was_steady_for_ten_minutes(machine: Machine) -> None:
    machine.run(DAY_MS)
    machine.restart(3 * DAY_MS, reboot=True)
    assert machine.run(STEADY_MS - MINUTE_MS) == DAY_MS + STEADY_MS - MINUTE_MS
    assert machine.run(MINUTE_MS) == 4 * DAY_MS + STEADY_MS
    assert machine.run(DAY_MS) == 5 * DAY_MS + STEADY_MS


def test_a_clock_that_is_set_after_the_boot_counts_ten_minutes_later(machine: Machine) -> None:
    machine.run(DAY_MS)
    machine.restart(3 * DAY_MS, reboot=True, error_ms=-NOW_MS)
    machine.run(3 * MINUTE_MS)
    machine.error_ms = 0  # NTP answers
    assert machine.run(STEADY_MS - MINUTE_MS) == DAY_MS + 2 * MINUTE_MS + STEADY_MS
    assert machine.run(2 * MINUTE_MS) == 4 * DAY_MS + 4 * MINUTE_MS + STEADY_MS


@pytest.mark.parametrize("error_ms", [YEARS_MS, -NOW_MS])
def test_a_short_boot_with_a_wrong_clock_counts_its_length_and_spoils_nothing(machine: Machine, error_ms: int) -> None:
    machine.run(DAY_MS)
    machine.restart(DAY_MS, reboot=True, error_ms=error_ms)
    assert machine.run(3000) == DAY_MS + 3000
    machine.restart(DAY_MS, reboot=True, error_ms=0)
    assert machine.run(3000) == DAY_MS + 6000
    assert machine.run(STEADY_MS) == machine.true_ms


def test_a_clock_before_the_build_counts_nothing_however_steady(machine: Machine) -> None:
    before_the_build_ms = round(BUILD_DATE.timestamp() * 1000) - NOW_MS - 10 * DAY_MS
    machine.error_ms = before_the_build_ms
    machine.run(DAY_MS)
    machine.restart(DAY_MS, reboot=True)
    assert machine.run(DAY_MS) == 2 * DAY_MS
    machine.restart(DAY_MS, reboot=True, error_ms=0)
    assert machine.run(DAY_MS) == 3 * DAY_MS


def test_a_clock_that_jumped_before_the_shutdown_is_not_believed(machine: Machine) -> None:
    machine.error_ms = -30 * MINUTE_MS
    machine.run(DAY_MS)
    machine.error_ms = 0
    machine.run(STEADY_MS - MINUTE_MS)
    lived_ms = machine.process.now_ms()
    machine.restart(5 * DAY_MS, reboot=True)
    assert machine.run(DAY_MS) == lived_ms + DAY_MS


def test_a_step_of_a_second_is_none(machine: Machine) -> None:
    machine.run(DAY_MS)
    machine.error_ms = STEP_MS // 2  # a leap second
    machine.run(MINUTE_MS)
    machine.restart(DAY_MS, reboot=True)
    machine.run(STEADY_MS)
    assert abs(machine.process.now_ms() - machine.true_ms) <= STEP_MS


def test_a_restored_snapshot_of_the_machine_takes_nothing_away(machine: Machine) -> None:
    machine.run(DAY_MS)
    machine.booted_ms += DAY_MS // 2  # the same boot id, and an earlier BOOTTIME
    assert machine.process.now_ms() == DAY_MS
    assert machine.run(DAY_MS) == 2 * DAY_MS


def test_a_clock_that_goes_back_across_boots_takes_nothing_away(machine: Machine) -> None:
    machine.run(DAY_MS)
    machine.restart(DAY_MS, reboot=True, error_ms=-30 * DAY_MS)
    assert machine.run(DAY_MS) == 2 * DAY_MS


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["run", "sleep", "jump", "restart", "reboot"]),
        st.integers(0, 40 * DAY_MS) | st.integers(0, 2 * STEADY_MS),
        st.sampled_from([0, -NOW_MS, YEARS_MS, -YEARS_MS, 3_600_000, -3_600_000, 2**31 * 1000 - NOW_MS]),
    ),
    max_size=20,
)


@given(STEPS)
def test_it_never_goes_back_and_all_that_it_has_seen_counts(steps: list[tuple[str, int, int]]) -> None:
    """A clock that is wrong never stays so for ten minutes here: then nothing is counted that did not pass."""
    machine, seen_ms = Machine(), 0
    for what, ms, error_ms in steps:
        before_ms = machine.process.now_ms()
        on_since_ms = machine.true_ms
        if what == "run":
            machine.error_ms = 0
            machine.run(min(ms, DAY_MS))
        elif what == "sleep":
            machine.error_ms = 0
            machine.true_ms += ms
        elif what == "jump":
            machine.error_ms = error_ms
            machine.run(min(ms, STEADY_MS - 2 * MINUTE_MS))
            machine.error_ms = 0
        else:
            machine.kept = machine.process.state()
            machine.restart(ms, reboot=what == "reboot", error_ms=error_ms)
            machine.run(MINUTE_MS)
            machine.error_ms = 0
        if what != "reboot":
            seen_ms += machine.true_ms - on_since_ms
        now_ms = machine.process.now_ms()
        assert now_ms >= before_ms
        assert seen_ms <= now_ms + MINUTE_MS
        assert now_ms <= machine.true_ms + STEP_MS


@given(STEPS)
def test_with_any_clocks_nothing_but_credible_differences_is_added(steps: list[tuple[str, int, int]]) -> None:
    """Whatever the clock says: only a boot that was steady for ten minutes may add more than its own length."""
    state = LivedState(0, first := Reading("boot 0", 0, NOW_MS), first)
    boot, boottime_ms, wall_ms = 0, 0, NOW_MS
    for what, ms, error_ms in steps:
        if what == "reboot":
            boot, boottime_ms = boot + 1, 0
        boottime_ms, wall_ms = boottime_ms + ms, max(0, wall_ms + ms + (error_ms if what != "run" else 0))
        now = Reading(f"boot {boot}", boottime_ms, wall_ms)
        later = advance(state, now)
        same_boot = now.boot == state.at.boot
        passed_ms = now.boottime_ms - state.at.boottime_ms if same_boot else 0
        assert later.lived_ms >= state.lived_ms + passed_ms
        if later.lived_ms > state.lived_ms + passed_ms:
            assert now.boottime_ms - later.steady_since.boottime_ms >= STEADY_MS
            assert state.credible is not None
            assert state.credible.boot != now.boot
            assert later.lived_ms - state.credible.lived_ms == now.wall_ms - state.credible.wall_ms
        state = later


# --- on disk


async def test_it_goes_on_over_restarts_and_boots(path: Path) -> None:
    clock = ManualClock()
    for _ in range(3):
        async with Keystore.open(path, clock):
            clock.advance(3600)
    assert clock.lived_ms() == 3 * 3_600_000
    later = ManualClock(unix_ms=clock.unix_ms() + DAY_MS)
    later.reboot()
    async with Keystore.open(path, later):
        assert later.lived_ms() == 3 * 3_600_000
        later.advance(STEADY_MS / 1000)
        assert later.lived_ms() == 3 * 3_600_000 + DAY_MS + STEADY_MS


async def test_a_killed_daemon_loses_a_minute_at_most(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock) as keystore, task_scope() as tasks:
        task = tasks.create_task(keep_lived_time(keystore, clock))
        for _ in range(3):
            for _ in range(3):
                await asyncio.sleep(0)  # until it sleeps
            clock.advance(LIVED_TIME_KEPT_S)
            while await lived_on_disk(keystore) < clock.lived_ms():
                await asyncio.sleep(0)
        clock.advance(LIVED_TIME_KEPT_S - 1)
        assert await lived_on_disk(keystore) == 3000 * LIVED_TIME_KEPT_S
        task.cancel()


async def lived_on_disk(keystore: Keystore) -> int:
    rows = await keystore._database.read("SELECT lived_ms FROM lived")
    return int(rows[0]["lived_ms"]) if rows else -1


async def test_a_damaged_row_is_told_and_it_begins_anew(
    path: Path, caplog: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    async with Keystore.open(path, clock):
        clock.advance(10)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE lived SET boottime_ms = 'nonsense'")
    connection.close()
    async with Keystore.open(path, fresh := ManualClock()):
        assert fresh.lived_ms() == 0
    assert "lived time is damaged" in caplog.text


async def test_a_disk_that_refuses_is_told_and_ends_nothing(
    path: Path, caplog: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    async with Database.open(path, MIGRATIONS, clock=clock) as database:
        await database.read("PRAGMA query_only = ON")
        await lived_rows.keep(database, clock)
        assert "lived time was not written" in caplog.text
        await database.read("PRAGMA query_only = OFF")


async def test_identities_of_before_and_of_other_programs_count_as_seen_at_the_first_start(
    path: Path, clock: ManualClock
) -> None:
    async with Database.open(path, MIGRATIONS[:2], clock=clock):
        pass
    row = (bytes(range(16)), bytes(32), "old", "signed", None, 1, 0, 5, 5)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO identities VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()
    for passed_s, leaving in ((10.0, 0), (10.0, 1)):
        async with Keystore.open(path, clock) as keystore:
            clock.advance(passed_s)
            assert keystore.age_out(clock.lived_ms() - 15_000, 10) == leaving


async def test_marks_made_by_the_wall_clock_keep_their_order_before_newer_ones(path: Path, clock: ManualClock) -> None:
    async with Database.open(path, MIGRATIONS[:2], clock=clock):
        pass
    with sqlite3.connect(path) as connection:
        for number, at_ms in ((1, 0), (2, NOW_MS), (3, NOW_MS + 5)):
            connection.execute("INSERT INTO forgotten VALUES (?, 5, ?)", (bytes([number]) * 16, at_ms))
    connection.close()
    async with Keystore.open(path, clock) as keystore:
        assert [node_id[0] for node_id in keystore._forgotten] == [1, 2, 3]
        assert all(at_lived_ms <= 0 for _, at_lived_ms in keystore._forgotten.values())


# --- the machine's own clocks


def test_the_system_clock_reads_boottime_and_boot_id() -> None:
    clock = SystemClock()
    reading = clock.lived.state().at
    assert reading.boot == clock_module.BOOT_ID.read_text().strip()
    assert reading.boottime_ms >= 0
    first = clock.lived_ms()
    assert clock.lived_ms() >= first


def test_without_a_boot_id_each_process_counts_as_a_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(clock_module, "BOOT_ID", tmp_path / "none")
    one, other = SystemClock(), SystemClock()
    assert one.lived.state().at.boot != other.lived.state().at.boot
    kept = replace(one.lived.state(), lived_ms=DAY_MS)
    other.lived.resume(kept)
    assert DAY_MS <= other.lived_ms() < DAY_MS + MINUTE_MS
