"""Spreads new identity cards to neighbours that lack them (docs/protocol.md, "Routing")."""

from collections.abc import Callable, Iterable
from typing import Protocol

from pimd.clock import Clock
from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, declare
from pimd.mesh.cards import LinkCards
from pimd.proto.cards import Card
from pimd.proto.frames import SignedPeerInfo

PAUSE_S = 1.0
"""Seconds between two cards of one origin; the newest one is sent at the end of that time."""
GATHER_S = 0.01
"""Seconds in which cards are gathered into one frame."""
ORIGINS = declare(
    "origins remembered whose cards were sent on",
    8192,
    "origins",
    "the oldest is forgotten: its next card does not wait",
)
FRAME_BYTES = 48_000
GATHERED = declare("new cards gathered", 100, "cards", "all are sent at once")
HELD_BACK = declare("new cards held back for their second to pass", 8192, "cards", "further ones are sent at once")


class FloodLink(Protocol):
    """The part of a link that the flood uses; `PeerLink` implements it."""

    cards: LinkCards

    def send(self, frame: SignedPeerInfo) -> object:
        """Queue a frame; of several cards of one origin the link sends the newest."""


class CardFlood:
    """Sends each new card once to each neighbour that has not shown it to this node."""

    def __init__(self, clock: Clock, links: Callable[[], Iterable[FloodLink]], bites: Bites) -> None:
        self._clock = clock
        self._links = links
        self._bites = bites
        self._sent_at: RecentMap[NodeId, float] = RecentMap(ORIGINS, bites)
        self._gathered: dict[NodeId, Card] = {}
        self._held_back: dict[NodeId, Card] = {}
        self._flush_set = False

    def spread(self, card: Card) -> None:
        """Send a card with the next gathered ones, or a second after the last card of its origin."""
        due = self._sent_at.get(card.node_id, float("-inf")) + PAUSE_S
        if card.node_id in self._held_back:
            self._held_back[card.node_id] = card
        elif self._clock.now() >= due:
            self._gather(card)
        elif len(self._held_back) >= HELD_BACK.value:
            self._bites.count(HELD_BACK)
            self._gather(card)
        else:
            self._held_back[card.node_id] = card
            self._clock.call_at(due, lambda: self._gather(self._held_back.pop(card.node_id)))

    def flush(self) -> None:
        """Send the gathered cards now, before routes that need them."""
        gathered, self._gathered = self._gathered, {}
        if not gathered:
            return
        for link in self._links():
            self._send(link, [card for card in gathered.values() if link.cards.has.get(card.node_id, -1) < card.seq])

    def _gather(self, card: Card) -> None:
        self._sent_at.put(card.node_id, self._clock.now())
        self._gathered[card.node_id] = card
        if len(self._gathered) >= GATHERED.value:
            self._bites.count(GATHERED)
            self.flush()
        if not self._flush_set:
            self._flush_set = True
            self._clock.call_at(self._clock.now() + GATHER_S, self._flush_due)

    def _flush_due(self) -> None:
        self._flush_set = False
        self.flush()

    def _send(self, link: FloodLink, cards: list[Card]) -> None:
        frame: list[bytes] = []
        size = 0
        for card in cards:
            link.cards.note_has(card.node_id, card.seq)
            if size + len(card.raw) > FRAME_BYTES:
                link.send(SignedPeerInfo(tuple(frame)))
                frame, size = [], 0
            frame.append(card.raw)
            size += len(card.raw)
        if frame:
            link.send(SignedPeerInfo(tuple(frame)))
