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
ORIGINS_REMEMBERED = 8192


class FloodLink(Protocol):
    """What this part needs of a link."""

    cards: LinkCards

    def send(self, frame: SignedPeerInfo) -> None:
        """Queue a frame; of several cards of one origin the link sends the newest."""


class CardFlood:
    """Sends each new card once to each neighbour that has not shown it itself."""

    def __init__(self, clock: Clock, links: Callable[[], Iterable[FloodLink]]) -> None:
        self._clock = clock
        self._links = links
        self._sent_at: dict[NodeId, float] = {}
        self._waiting: dict[NodeId, Card] = {}

    def spread(self, card: Card, brought_by: FloodLink) -> None:
        """Send it on, at once or when the second after the last of its origin is over."""
        brought_by.cards.note_has(card.node_id, card.seq)
        now = self._clock.now()
        due = self._sent_at.get(card.node_id, float("-inf")) + PAUSE_S
        if now >= due:
            self._send(card)
        elif card.node_id in self._waiting:
            self._waiting[card.node_id] = card
        else:
            self._waiting[card.node_id] = card
            self._clock.call_at(due, lambda: self._send(self._waiting.pop(card.node_id)))

    def _send(self, card: Card) -> None:
        self._sent_at.pop(card.node_id, None)
        self._sent_at[card.node_id] = self._clock.now()
        while len(self._sent_at) > ORIGINS_REMEMBERED:
            del self._sent_at[next(iter(self._sent_at))]
        for link in self._links():
            if link.cards.has.get(card.node_id, -1) < card.seq:
                link.cards.note_has(card.node_id, card.seq)
                link.send(SignedPeerInfo((card.raw,)))
