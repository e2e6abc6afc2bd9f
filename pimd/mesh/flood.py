"""Spreads new identity cards to neighbours that lack them (docs/protocol.md, "Routing")."""

from collections.abc import Callable, Iterable
from typing import Protocol

from pimd.clock import Clock
from pimd.ids import NodeId
from pimd.mesh.cards import LinkCards
from pimd.proto.cards import Card
from pimd.proto.frames import SignedPeerInfo

PAUSE_S = 1.0
"""Of one origin a card goes out at most this often; the newest wins, none is lost."""
GATHER_S = 0.01
"""How long cards are gathered, to go several to a frame."""
ORIGINS_REMEMBERED = 8192
FRAME_BYTES = 48_000
WAITING_LIMIT = 8192
"""Cards gathered, and as many held back; beyond it they go at once, so that none is lost."""


class FloodLink(Protocol):
    """What this part needs of a link."""

    cards: LinkCards

    def send(self, frame: SignedPeerInfo) -> object:
        """Queue a frame; of several cards of one origin the link sends the newest."""


class CardFlood:
    """Sends each new card once to each neighbour that has not shown it itself."""

    def __init__(self, clock: Clock, links: Callable[[], Iterable[FloodLink]]) -> None:
        self._clock = clock
        self._links = links
        self._sent_at: dict[NodeId, float] = {}
        self._gathered: dict[NodeId, Card] = {}
        self._held_back: dict[NodeId, Card] = {}
        self._flush_set = False

    def spread(self, card: Card) -> None:
        """Send it on, with the next ones gathered or when the second after the last of its origin is over."""
        due = self._sent_at.get(card.node_id, float("-inf")) + PAUSE_S
        if card.node_id in self._held_back:
            self._held_back[card.node_id] = card
        elif self._clock.now() >= due or len(self._held_back) >= WAITING_LIMIT:
            self._gather(card)
        else:
            self._held_back[card.node_id] = card
            self._clock.call_at(due, lambda: self._gather(self._held_back.pop(card.node_id)))

    def flush(self) -> None:
        """Send what was gathered, now: routes that need these cards are about to go."""
        gathered, self._gathered = self._gathered, {}
        if not gathered:
            return
        for link in self._links():
            self._send(link, [card for card in gathered.values() if link.cards.has.get(card.node_id, -1) < card.seq])

    def _gather(self, card: Card) -> None:
        self._sent_at.pop(card.node_id, None)
        self._sent_at[card.node_id] = self._clock.now()
        while len(self._sent_at) > ORIGINS_REMEMBERED:
            del self._sent_at[next(iter(self._sent_at))]
        self._gathered[card.node_id] = card
        if len(self._gathered) >= WAITING_LIMIT:
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
