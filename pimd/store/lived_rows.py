"""Lived time in `peers.db`, beside what ages by it."""

import logging
import sqlite3

from pimd.clock import LivedClock
from pimd.database import Database, DatabaseError
from pimd.lived_time import Credible, LivedState, Reading

log = logging.getLogger("pimd.keystore")

MIGRATION = """
CREATE TABLE lived (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    lived_ms INTEGER NOT NULL,
    boot TEXT NOT NULL,
    boottime_ms INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    steady_boottime_ms INTEGER NOT NULL,
    steady_wall_ms INTEGER NOT NULL,
    credible_boot TEXT,
    credible_lived_ms INTEGER,
    credible_wall_ms INTEGER
);
CREATE TABLE seen (node_id BLOB PRIMARY KEY, lived_ms INTEGER NOT NULL) WITHOUT ROWID;
UPDATE forgotten SET at_ms = at_ms - (SELECT max(at_ms) FROM forgotten);
ALTER TABLE forgotten RENAME COLUMN at_ms TO at_lived_ms;
UPDATE aged_out SET at_ms = at_ms - (SELECT max(at_ms) FROM aged_out);
ALTER TABLE aged_out RENAME COLUMN at_ms TO at_lived_ms;
"""
"""Marks made by the wall clock keep their order, before all that follow."""


async def resume(database: Database, clock: LivedClock) -> None:
    """Let the clock continue from what the last start kept; identities written without a moment count as seen now."""
    rows = await database.read("SELECT * FROM lived")
    if rows:
        try:
            clock.lived.resume(_decode(rows[0]))
        except (ValueError, TypeError) as error:
            log.warning("%s: the row of the lived time is damaged, it begins anew: %s", database.path, error)
    now_ms = clock.lived_ms()

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO seen SELECT node_id, ? FROM identities", (now_ms,))
        connection.execute("DELETE FROM seen WHERE node_id NOT IN (SELECT node_id FROM identities)")

    await database.write("date identities", work)


async def keep(database: Database, clock: LivedClock) -> None:
    """Write the lived time; a failure is logged, and costs the time until the next writing if the daemon dies."""
    state = clock.lived.state()

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO lived VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _encode(state))

    try:
        await database.write("keep the lived time", work)
    except DatabaseError as error:
        log.error("the lived time was not written: %s", error)


def _encode(state: LivedState) -> tuple[object, ...]:
    at, steady, credible = state.at, state.steady_since, state.credible
    return (
        state.lived_ms,
        at.boot,
        at.boottime_ms,
        at.wall_ms,
        steady.boottime_ms,
        steady.wall_ms,
        *((credible.boot, credible.lived_ms, credible.wall_ms) if credible is not None else (None, None, None)),
    )


def _decode(row: sqlite3.Row) -> LivedState:
    boot = str(row["boot"])
    at = Reading(boot, int(row["boottime_ms"]), int(row["wall_ms"]))
    steady = Reading(boot, int(row["steady_boottime_ms"]), int(row["steady_wall_ms"]))
    credible = None
    if row["credible_boot"] is not None:
        credible = Credible(str(row["credible_boot"]), int(row["credible_lived_ms"]), int(row["credible_wall_ms"]))
    return LivedState(int(row["lived_ms"]), at, steady, credible)
