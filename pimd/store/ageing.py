"""Keeps the lived time, and removes identities not seen for long (docs/configuration.md, `[messaging] peer_cleanup`)."""

import logging

from pimd.clock import Clock
from pimd.database import DatabaseError
from pimd.store.keystore import Keystore

log = logging.getLogger("pimd.keystore")

LIFETIME_MIN_S = 3600
INTERVAL_MIN_S = 60
"""Shorter configured values count as these."""
FIRST_AFTER_S = 600.0
"""Seconds after a start: identities that were only not seen because this node was off have been seen by then."""
AT_ONCE = 1000
LIVED_TIME_KEPT_S = 60.0
"""A daemon that is killed loses so much of the lived time at most: what it keeps, it then keeps longer."""
PAUSE_S = 1.0
"""Identities removed between two pauses, which limits disk writes and calls of plugins."""


async def age_out_identities(keystore: Keystore, clock: Clock, lifetime_s: int, interval_s: int) -> None:
    """Clean up every `interval_s` until cancelled; database errors are logged, and the next round tries again."""
    lifetime_ms = 1000 * max(lifetime_s, LIFETIME_MIN_S)
    await clock.sleep(FIRST_AFTER_S)
    while True:
        try:
            gone = await _clean_up(keystore, clock, lifetime_ms)
        except DatabaseError as error:
            log.error("identities not seen for long could not be removed: %s", error)
        else:
            if gone:
                log.info("%d identities left the keystore, not seen for %d h", gone, lifetime_ms // 3_600_000)
        await clock.sleep(max(interval_s, INTERVAL_MIN_S))


async def keep_lived_time(keystore: Keystore, clock: Clock) -> None:
    """Write the lived time each minute until cancelled."""
    while True:
        await clock.sleep(LIVED_TIME_KEPT_S)
        await keystore.keep_lived_time()


async def _clean_up(keystore: Keystore, clock: Clock, lifetime_ms: int) -> int:
    unseen_since_ms, total = clock.lived_ms() - lifetime_ms, 0
    while True:
        gone = keystore.age_out(unseen_since_ms, AT_ONCE)
        await keystore.durable()
        total += gone
        if gone < AT_ONCE:
            return total
        await clock.sleep(PAUSE_S)
