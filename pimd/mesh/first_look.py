"""Before its first announcement a node looks whether its key is in use elsewhere (docs/protocol.md)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pimd.clock import Clock
from pimd.ids import NodeId
from pimd.limits import Bites, declare
from pimd.mesh.peer_link import PeerLink
from pimd.proto.frames import METRIC_RETRACTED, PeerInfoRequest, Routes, SignedPeerInfo
from pimd.proto.handshake import ABILITY_ANNOUNCED

TABLE_S = 2.0
"""Seconds in which a neighbour's full table must come, and with it the card of whoever has a way with this node's id."""
STALE_S = 30.0
"""Seconds after which a way that is still advertised belongs to a running process: those of dead ones are retracted by then."""
TABLES = declare("routes records kept of a link during the first look", 64, "records", "the look ends for that link")


Announce = Callable[[PeerLink, list[Routes]], None]
"""Sends this node's card and table on a link, and applies the routes that came on it before."""


@dataclass
class _Seen:
    """What one neighbour said so far."""

    routes: list[Routes] = field(default_factory=list)
    whole: bool = False
    has_way: bool = False
    has_card: bool = False


class FirstLook:
    """Holds back what announces this node on its first links until their neighbours know of no other process.

    A way alone is a neighbour's word, and a card alone may be of this node before its state was lost: both are needed,
    and the way must last.
    """

    def __init__(
        self,
        own_id: NodeId,
        clock: Clock,
        is_of_another: Callable[[bytes | int], bool],
        announce: Announce,
        in_use: Callable[[PeerLink], None],
        bites: Bites,
    ) -> None:
        self.is_over = False
        self._own_id = own_id
        self._clock = clock
        self._is_of_another = is_of_another
        self._announce = announce
        self._in_use = in_use
        self._bites = bites
        self._held: dict[PeerLink, _Seen] = {}

    def holds(self, link: PeerLink) -> bool:
        """Take a link that came up; False when this node may announce itself on it."""
        established = bool(link.abilities & ABILITY_ANNOUNCED)
        if self.is_over or (not established and not self._held):
            self.is_over = True
            return False
        self._held[link] = _Seen(whole=not established)
        link.probe()  # the peer's end is up with the first record
        self._clock.call_at(self._clock.now() + TABLE_S, lambda: self._table_is_due(link))
        return True

    def routes(self, link: PeerLink, routes: Routes) -> bool:
        """Keep routes of a link that is held; False when it is not."""
        seen = self._held.get(link)
        if seen is None:
            return False
        for entry in routes.entries:
            if entry.destination == self._own_id:
                seen.has_way = entry.metric < METRIC_RETRACTED and self._is_of_another(entry.seq)
        seen.routes.append(routes)
        if len(seen.routes) >= TABLES.value:
            self._bites.count(TABLES)
            seen.whole, seen.has_way = True, False
        elif routes.last and not seen.whole:
            seen.whole = True
            if seen.has_way and not seen.has_card:
                link.send(PeerInfoRequest((self._own_id,)))
                return True
        self._settle()
        return True

    def cards(self, link: PeerLink, frame: SignedPeerInfo) -> None:
        """Look for a card of this key that another process issued."""
        seen = self._held.get(link)
        if seen is not None and not seen.has_card and any(self._is_of_another(raw) for raw in frame.cards):
            seen.has_card = True
            self._clock.call_at(self._clock.now() + STALE_S, lambda: self._way_lasted(link))

    def link_ended(self, link: PeerLink) -> None:
        """Look no longer at a link that is gone."""
        if self._held.pop(link, None) is not None and self._held:
            self._settle()

    def end(self) -> None:
        """Announce this node on every link that was held."""
        self.is_over = True
        held, self._held = self._held, {}
        for link, seen in held.items():
            self._announce(link, seen.routes)

    def _table_is_due(self, link: PeerLink) -> None:
        seen = self._held.get(link)
        if seen is not None:
            seen.whole = True
            seen.has_way = seen.has_way and seen.has_card
            self._settle()

    def _way_lasted(self, link: PeerLink) -> None:
        seen = self._held.get(link)
        if seen is not None and seen.has_way:
            self._held.clear()
            self._in_use(link)

    def _settle(self) -> None:
        if not self.is_over and all(seen.whole and not seen.has_way for seen in self._held.values()):
            self.end()
