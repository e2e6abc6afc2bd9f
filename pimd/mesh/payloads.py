"""Which plugin gets a payload, and how many may wait for it."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pimd.ids import NodeId
from pimd.limits import MIB, Bites, Budget, declare
from pimd.mesh.counters import Counters
from pimd.proto.frames import PluginPayload

_NEWEST = "the newest is dropped"
_SHARE = f"{_NEWEST}; a quarter is kept for configured peers and contacts, whose payloads are taken first"
PAYLOADS = declare("payloads waiting for a plugin", 1024, "payloads", _SHARE)
BYTES = declare("bytes of payloads waiting for a plugin", 16 * MIB, "bytes", _SHARE)
OF_ONE_SOURCE = declare("payloads of one source waiting for a plugin", 64, "payloads", _NEWEST)
PREFERRED_SHARE = 4
"""Kept for preferred peers, because a stranger can create any number of ids."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A payload and the node that provably sent it."""

    src: NodeId
    kind: str
    body: bytes
    congestion_met: bool = False
    """Whether its frame carried the mark of a relay, or source, whose queue was half full."""


class Ended(Exception):  # noqa: N818 - not an error
    """No payload comes any more."""


class PayloadQueue:
    """Payloads that wait for one plugin.

    Over a limit the newest is refused, so a flood cannot remove earlier ones. Payloads of preferred peers are taken
    first, and strangers leave room for them. Those of one source are taken in order of arrival.
    """

    def __init__(self, bites: Bites) -> None:
        self._bites = bites
        self._preferred: deque[Delivery] = deque()
        self._strangers: deque[Delivery] = deque()
        self._of_source: Counter[NodeId] = Counter()
        self._bytes = Budget(BYTES, bites)
        self._arrived = asyncio.Event()
        self._ended = False

    def __len__(self) -> int:
        return len(self._preferred) + len(self._strangers)

    def put(self, delivery: Delivery, *, preferred_peer: bool = False) -> bool:
        """Queue a payload; False when a limit is reached."""
        if not self._take_room(delivery, preferred_peer=preferred_peer):
            return False
        # A source that just became preferred must not overtake its own earlier payloads.
        before = (
            preferred_peer and self._of_source[delivery.src] > 0 and any(d.src == delivery.src for d in self._strangers)
        )
        (self._preferred if preferred_peer and not before else self._strangers).append(delivery)
        self._of_source[delivery.src] += 1
        self._arrived.set()
        return True

    def put_end(self) -> None:
        """Take no more payloads; `get` raises `Ended` after those that wait."""
        self._ended = True
        self._arrived.set()

    async def get(self) -> Delivery:
        """Wait for the oldest payload of a preferred peer, else of a stranger; `Ended` after the last."""
        while not len(self):
            if self._ended:
                raise Ended
            self._arrived.clear()
            await self._arrived.wait()
        delivery = (self._preferred or self._strangers).popleft()
        self._bytes.give_back(len(delivery.body))
        self._of_source[delivery.src] -= 1
        if not self._of_source[delivery.src]:
            del self._of_source[delivery.src]
        return delivery

    def clear(self) -> int:
        """Drop all payloads and return their number."""
        dropped = len(self)
        self._preferred.clear()
        self._strangers.clear()
        self._of_source.clear()
        self._bytes.give_back(self._bytes.held)
        return dropped

    def _take_room(self, delivery: Delivery, *, preferred_peer: bool) -> bool:
        kept = 0 if preferred_peer else 1
        if self._of_source[delivery.src] >= OF_ONE_SOURCE.value:
            self._bites.count(OF_ONE_SOURCE)
            return False
        if len(self) >= PAYLOADS.value - kept * (PAYLOADS.value // PREFERRED_SHARE):
            self._bites.count(PAYLOADS)
            return False
        return self._bytes.take(len(delivery.body), leaving=kept * (BYTES.value // PREFERRED_SHARE))


class PayloadDispatch:
    """Maps kinds to queues; the assembly sees to it that a kind has one owner."""

    def __init__(self, counters: Counters, is_preferred_peer: Callable[[NodeId], bool]) -> None:
        self._counters = counters
        self._is_preferred_peer = is_preferred_peer
        self._queues: dict[str, tuple[str, PayloadQueue]] = {}
        self._quarantined: dict[str, str] = {}

    def register(self, plugin: str, kinds: Sequence[str]) -> PayloadQueue:
        """Return the queue that `plugin` reads; ValueError for a kind that another one has."""
        for kind in kinds:
            if kind in self._queues:
                raise ValueError(f"payloads of kind {kind} belong to {self._queues[kind][0]}")
        self.unregister(plugin)
        queue = PayloadQueue(self._counters.bites)
        self._queues |= dict.fromkeys(kinds, (plugin, queue))
        return queue

    def unregister(self, plugin: str, *, quarantined: bool = False) -> None:
        """Queue nothing more for `plugin`; its kinds are unclaimed, or those of a quarantined one."""
        kinds = [kind for kind, (owner, _) in self._queues.items() if owner == plugin]
        for kind in kinds:
            del self._queues[kind]
        self._quarantined = {kind: owner for kind, owner in self._quarantined.items() if owner != plugin}
        if quarantined:
            self._quarantined |= dict.fromkeys(kinds, plugin)

    def deliver(self, src: NodeId, payload: PluginPayload, *, congestion_met: bool = False) -> None:
        """Queue for the plugin that claims the kind, or drop and count."""
        owner = self._queues.get(payload.kind)
        if owner is not None:
            taken = owner[1].put(
                Delivery(src, payload.kind, payload.body, congestion_met),
                preferred_peer=self._is_preferred_peer(src),
            )
            self._counters.count("payloads_delivered" if taken else "dropped_plugin_queue_full")
        elif payload.kind in self._quarantined:
            self._counters.count("dropped_quarantined")
        else:
            self._counters.count("dropped_unclaimed_kind")
