"""Identity broadcast: when this node issues a new card (docs/protocol.md, "The identity card")."""

import asyncio
import logging
from collections.abc import Callable

from pimd.clock import Clock
from pimd.contract import Broadcast
from pimd.database import DatabaseError
from pimd.mesh.cards import OwnCard
from pimd.proto.cards import SEQ_LIMIT

log = logging.getLogger("pimd.mesh")

REISSUE_S = 300.0
REISSUE_JITTER = 0.1
TROUBLE_PAUSE_S = 30.0
PAUSE_S = 1.0
"""Seconds between two cards; a request within that second is served at its end."""
LOST_PAUSE_S = 60.0
"""Seconds between a card with a higher number of unknown origin and this node's answer; the first is answered at once.

Two machines with one key answer each other for ever: each waits anew, so both together issue one card in that time.
"""


class IdentityBroadcast:
    """Issues a card at least every 300 s, +-10 %, and whenever a node needs a higher number."""

    def __init__(
        self, own: OwnCard, clock: Clock, random: Callable[[], float], send: Callable[[], int], interval_s: float | None
    ) -> None:
        self.last: Broadcast | None = None
        self._own = own
        self._clock = clock
        self._random = random
        self._send = send
        self._interval_s = interval_s
        self._wanted = asyncio.Event()
        self._floor = 0
        self._lost_above = -1
        """The highest number met that this node did not issue, until it has issued a higher one."""
        self._has_outbid = False
        self._outbid_at = float("-inf")

    def set_interval(self, seconds: float | None) -> None:
        """Issue at least this often, in seconds; None, or more than 300, means every 300 s."""
        self._interval_s = seconds
        self._wanted.set()

    def want_above(self, seq: int) -> None:
        """Issue a card with a number above `seq` soon; nothing happens when one exists or the numbers are used up."""
        if self._own.card.seq < self._lost_above and not self._may_outbid():
            return  # nobody would take it before that card
        if self._own.card.seq <= seq < SEQ_LIMIT - 1:
            self._floor = max(self._floor, seq)
            self._wanted.set()

    def want_above_lost(self, seq: int) -> None:
        """Issue a card above `seq`, the number of a card of this node that it did not issue; at most one a minute."""
        if self._own.card.seq <= seq < SEQ_LIMIT - 1:
            waits = self._lost_above >= 0
            self._lost_above = max(self._lost_above, seq)
            if not waits:
                if self._has_outbid:
                    self._outbid_at = self._clock.now() + LOST_PAUSE_S
                self._has_outbid = True
                self._clock.call_at(max(self._clock.now(), self._outbid_at), self._wanted.set)

    def _may_outbid(self) -> bool:
        return self._clock.now() >= self._outbid_at

    async def issue(self) -> Broadcast:
        """Issue one now and send it to every neighbour; `DatabaseError` when its number cannot be stored first."""
        lost_above = self._lost_above if self._may_outbid() else -1
        card = await self._own.reissue(max(self._floor, lost_above), lost=lost_above >= 0)
        if card.seq > self._lost_above >= 0:
            self._lost_above = -1
        if card.seq > self._floor:
            self._wanted.clear()  # requests that came meanwhile are served by this card
        self.last = Broadcast(self._clock.unix_ms(), self._send())
        return self.last

    async def run(self) -> None:
        """Issue cards on time until cancelled; the node runs it as a task."""
        while True:
            period = min(REISSUE_S, self._interval_s or REISSUE_S)
            delay = period * (1 - REISSUE_JITTER + 2 * REISSUE_JITTER * self._random())
            timer = self._clock.call_at(self._clock.now() + delay, self._wanted.set)
            await self._wanted.wait()
            timer.cancel()
            try:
                await self.issue()
            except DatabaseError as error:
                log.error("no new identity card: %s", error)
                await self._clock.sleep(TROUBLE_PAUSE_S)
            await self._clock.sleep(PAUSE_S)
