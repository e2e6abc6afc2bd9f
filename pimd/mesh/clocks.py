"""Tells people when the wall clock of a neighbour is another one; nothing is decided by the difference."""

import logging
from functools import partial

from pimd.clock import Clock
from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, declare
from pimd.mesh.peer_link import PeerLink
from pimd.proto.frames import Heartbeat
from pimd.proto.handshake import ABILITY_CLOCK
from pimd.store.keystore import Keystore

log = logging.getLogger("pimd.mesh")

APART_MS = 60_000
"""A smaller difference is not worth a word."""
SAY_S = 0.2
"""Seconds until it is logged: the card that names the peer comes a moment after the Heartbeat."""
TOLD = declare(
    "peers whose other clock was told of",
    1024,
    "peers",
    "the one told of longest ago is forgotten, and may be told again",
)
_UNITS = (("years", 31_536_000), ("days", 86_400), ("h", 3600), ("min", 60))


class ClockComparison:
    """Compares at the start of a link only: a Heartbeat that waited while this machine slept says nothing."""

    def __init__(self, clock: Clock, keystore: Keystore, bites: Bites) -> None:
        self._clock = clock
        self._keystore = keystore
        self._told: RecentMap[NodeId, tuple[bool, str]] = RecentMap(TOLD, bites)
        """Whether it was ahead, and the biggest unit of the difference."""

    def tell(self, link: PeerLink) -> None:
        """Send this node's time to a peer that reads it; called when the link is up."""
        if link.abilities & ABILITY_CLOCK:
            link.answer(Heartbeat(self._clock.unix_ms()))

    def compare(self, link: PeerLink, heartbeat: Heartbeat) -> None:
        """Log the difference once, and again when it has become another one."""
        if link.clock_heard or not link.abilities & ABILITY_CLOCK:
            return
        link.clock_heard = True
        ahead_ms = heartbeat.timestamp_ms - self._clock.unix_ms()
        if abs(ahead_ms) <= APART_MS:
            self._told.pop(link.peer_id, None)
            return
        amount = in_words(abs(ahead_ms))
        kind = (ahead_ms > 0, amount.split()[1].removesuffix("s"))
        if self._told.use(link.peer_id) != kind:
            self._told.put(link.peer_id, kind)
            say = partial(self._say, link.peer_id, amount, "behind" if ahead_ms > 0 else "ahead")
            self._clock.call_at(self._clock.now() + SAY_S, say)

    def _say(self, node_id: NodeId, amount: str, side: str) -> None:
        log.warning(
            "the clocks of this node and %s are %s apart (this one is %s); messages show their sender's time: "
            "set the clock that is wrong",
            self._name(node_id),
            amount,
            side,
            extra={"peer_id": node_id},
        )

    def _name(self, node_id: NodeId) -> str:
        known = self._keystore.get(node_id)
        name = (known.label or known.name) if known is not None else ""
        return f'"{name}" ({node_id.abbreviated})' if name else node_id.abbreviated


def in_words(ms: int) -> str:
    """Return the two biggest units of a time of a minute and more, such as `3 h 12 min`, rounded to minutes."""
    left = (ms + 30_000) // 60_000 * 60
    parts: list[str] = []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count or parts:
            parts.append(f"{count} {unit if count != 1 else unit.removesuffix('s')}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))
