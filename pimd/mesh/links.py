"""The links that are up: at most one lasting link a peer, and places kept for preferred peers (docs/protocol.md)."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from pimd.clock import Clock
from pimd.ids import NodeId
from pimd.limits import Bites, declare
from pimd.proto.frames import GoodbyeReason

LINKS = declare("links", 256, "links", "refused (Goodbye 3); nobody is evicted")
PREFERRED_PLACES = declare(
    "links kept for configured peers and contacts",
    64,
    "links",
    "strangers are refused (Goodbye 3) when the others are taken",
)
PROBE_S = 2.0
"""Seconds in which a preferred older link must be heard; the other link lasts at most this long."""
UNDECIDED_S = 5.0
"""After this the end that only answers closes the link that is not preferred."""


class TableLink(Protocol):
    """The part of a link that the table uses; `PeerLink` implements it."""

    @property
    def peer_id(self) -> NodeId:
        """The id of the node that proved itself at the other end."""

    @property
    def dialled(self) -> bool:
        """True when this side opened the connection."""

    @property
    def full_table_read(self) -> bool:
        """Whether the peer's first full table has arrived on it."""

    @property
    def last_heard(self) -> float:
        """Monotonic seconds of the last authenticated record."""

    def probe(self) -> None:
        """Send a Ping, whose Pong shows that the peer is alive."""

    def close(self, reason: GoodbyeReason) -> None:
        """Send Goodbye; the link leaves the table when it has ended."""


L = TypeVar("L", bound=TableLink)


class LinkTable(Generic[L]):
    """Links by peer, oldest first; of two links of one peer one is closed."""

    def __init__(self, own_id: NodeId, clock: Clock, bites: Bites) -> None:
        self._own_id = own_id
        self._clock = clock
        self._bites = bites
        self._links: dict[NodeId, list[L]] = {}
        self._on_full_table: dict[L, Callable[[], None]] = {}

    def __len__(self) -> int:
        return sum(len(links) for links in self._links.values())

    def all(self) -> list[L]:
        """Every link that is up, including two of one peer while it is decided which stays."""
        return [link for links in self._links.values() for link in links]

    def of(self, peer: NodeId) -> list[L]:
        """Return the peer's links, oldest first."""
        return list(self._links.get(peer, ()))

    def carrying(self) -> list[L]:
        """Return one link a peer: the newest, which carries the traffic."""
        return [links[-1] for links in self._links.values()]

    def best(self, peer: NodeId) -> L | None:
        """Return the link that carries the peer's traffic."""
        links = self._links.get(peer)
        return links[-1] if links else None

    def has_place_for(self, *, preferred_peer: bool) -> bool:
        """Tell whether one more link fits; no link is evicted, and some places are kept for preferred peers."""
        if len(self) >= LINKS.value:
            self._bites.count(LINKS)
            return False
        if preferred_peer or len(self) < LINKS.value - PREFERRED_PLACES.value:
            return True
        self._bites.count(PREFERRED_PLACES)
        return False

    def dialled_already(self, peer: NodeId) -> bool:
        """Tell whether a link that this side opened to `peer` is up."""
        return any(link.dialled for link in self.of(peer))

    def add(self, link: L) -> bool:
        """Enter a link that came up; False when it is the third of its peer and was closed."""
        others = self._links.setdefault(link.peer_id, [])
        if len(others) >= 2:  # noqa: PLR2004 - the newest of three goes
            link.close(GoodbyeReason.DUPLICATE)
            return False
        others.append(link)
        if len(others) > 1:
            self._settle(older=others[0], newer=link)
        return True

    def remove(self, link: L) -> bool:
        """Remove a link that ended; True when it was in the table."""
        self._on_full_table.pop(link, None)
        links = self._links.get(link.peer_id, [])
        if link not in links:
            return False
        links.remove(link)
        if not links:
            del self._links[link.peer_id]
        return True

    def full_table_arrived(self, link: L) -> None:
        """Note that the peer's first full table was read on `link`."""
        settle = self._on_full_table.pop(link, None)
        if settle is not None:
            settle()

    def _settle(self, older: L, newer: L) -> None:
        if older.dialled == newer.dialled:
            older.close(GoodbyeReason.DUPLICATE)
            return
        preferred, loser = (older, newer) if self._is_preferred(older) else (newer, older)
        if preferred is newer:
            self._close_once_replaced(loser, preferred)
        elif self._own_id < newer.peer_id:
            self._probe(older, newer)
        self._at(UNDECIDED_S, lambda: self._close_if_both_up(loser, preferred))

    def _is_preferred(self, link: L) -> bool:
        """The link dialled by the lower NodeId is."""
        return link.dialled == (self._own_id < link.peer_id)

    def _close_once_replaced(self, loser: L, keeper: L) -> None:
        close = self._closer(loser, keeper)
        if keeper.full_table_read:
            close()
            return
        self._on_full_table[keeper] = close
        self._at(PROBE_S, close)

    def _probe(self, older: L, newer: L) -> None:
        heard_before = older.last_heard

        def decide() -> None:
            if older.last_heard > heard_before:
                self._close_once_replaced(newer, older)
            else:
                self._close_if_both_up(older, newer)

        older.probe()
        self._at(PROBE_S, decide)

    def _closer(self, loser: L, keeper: L) -> Callable[[], None]:
        return lambda: self._close_if_both_up(loser, keeper)

    def _close_if_both_up(self, loser: L, keeper: L) -> None:
        links = self.of(loser.peer_id)
        if loser in links and keeper in links:
            loser.close(GoodbyeReason.DUPLICATE)

    def _at(self, seconds: float, callback: Callable[[], None]) -> None:
        self._clock.call_at(self._clock.now() + seconds, callback)
