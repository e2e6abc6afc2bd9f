"""Identity cards: this node's own, and those that neighbours send (docs/protocol.md, without the flood)."""

import logging
from collections.abc import Callable
from typing import Protocol

from pimd.clock import Clock
from pimd.ids import NodeId
from pimd.limits import Bites, RecentMap, RecentSet, TokenBucket, declare, declare_rate
from pimd.mesh.counters import Counters
from pimd.proto.cards import SEQ_LIMIT, BadCard, Card, claims_of, issue, parse
from pimd.proto.frames import PEER_INFO_REQUEST_LIMIT, PeerInfoRequest, SignedPeerInfo
from pimd.proto.identity import Identity
from pimd.store.keystore import Keystore
from pimd.store.learned import Learned

log = logging.getLogger("pimd.mesh")

CARDS = declare_rate(
    "new cards of a link that it was not asked for",
    50,
    "cards",
    "dropped, the peer's own after its first and false ones included; the routes that need them are deferred and bring them back",
    burst=500,
)
IDS = declare_rate("ids asked for on a link", 100, "ids", "asked for later", burst=1000)
ASKED = declare(
    "cards remembered that a link was asked for", 4096, "cards", "the oldest is forgotten: its answer counts as unasked"
)
RETURNED = declare(
    "newer cards remembered that a link was sent back", 4096, "cards", "the oldest is forgotten: it may be sent again"
)
HAS = declare(
    "cards remembered that a link has", 8192, "cards", "the longest unchanged is forgotten: it may go back there once"
)
SEQ_REQUESTS = declare_rate("SeqRequests taken from a link", 20, "requests", "dropped", burst=1000)
OWN_SEQ_REQUESTS = declare_rate(
    "SeqRequests sent on a link", 20, "requests", "not sent: the peer would drop them", burst=1000
)
AHEAD = declare("peers remembered whose clock is ahead", 4096, "peers", "the oldest is forgotten, and logged again")
AHEAD_MS = 600_000
"""Milliseconds ahead of our clock from which a card is logged, once for each peer."""

LEAP_MS = 60_000
"""Milliseconds that numbers may rise faster than time passes; more means that the clock was wrong when they began."""


class CardLink(Protocol):
    """The part of a link that the exchange of cards uses; `PeerLink` implements it."""

    @property
    def peer_id(self) -> NodeId:
        """The id of the node that proved itself at the other end."""

    @property
    def source(self) -> str:
        """What counts as one source of identities: an address, an IPv6 /64, or the id of the peer."""

    def send(self, frame: SignedPeerInfo | PeerInfoRequest) -> object:
        """Queue a frame behind the unsent ones; of several cards of one origin the newest is sent."""

    def answer(self, frame: SignedPeerInfo) -> None:
        """Queue an answer to a request of the peer; too many unsent answers close the link."""

    cards: "LinkCards"


class LinkCards:
    """Cards exchanged on one link: what the peer has, what was asked for, and the rates."""

    def __init__(self, now: float, bites: Bites) -> None:
        self.unasked = TokenBucket(CARDS, now, bites)
        self.requests = TokenBucket(IDS, now, bites)
        self.asked: RecentSet[NodeId] = RecentSet(ASKED, bites)
        """So that the answer is not counted against the link."""
        self.returned: RecentMap[NodeId, int] = RecentMap(RETURNED, bites)
        self.has: RecentMap[NodeId, int] = RecentMap(HAS, bites)
        """The newest card of each origin that the peer is known to have, longest unchanged first."""
        self.greeted = False
        """Whether the peer's own first card has come; that one is outside the rate."""
        self.seq_requests = TokenBucket(SEQ_REQUESTS, now, bites)
        self.own_seq_requests = TokenBucket(OWN_SEQ_REQUESTS, now, bites)

    def note_has(self, node_id: NodeId, seq: int) -> None:
        """Note that the peer has this card; forgetting the note costs one card sent twice."""
        if seq > self.has.get(node_id, -1):
            self.has.put(node_id, seq)

    def note_returned(self, node_id: NodeId, seq: int) -> bool:
        """True the first time that a newer card of `node_id` with this seq is sent back on the link."""
        if self.returned.get(node_id) == seq:
            return False
        self.returned.put(node_id, seq)
        return True


class OwnCard:
    """The newest signed card of this node."""

    def __init__(self, identity: Identity, keystore: Keystore, clock: Clock, name: str, flags: int) -> None:
        self._identity = identity
        self._keystore = keystore
        self._clock = clock
        self._name = name
        self._flags = flags
        self._card: Card | None = None
        self.base_seq = 0
        """The card from which this node counts its sealed frames, and up to which those for older ones are too old.

        It rises when the numbers in use before may be unknown here: others may hold marks of counters above those in use,
        and frames for cards in between, which would be taken a second time.
        """
        self._base_at = 0.0

    @property
    def node_id(self) -> NodeId:
        """Known before the first card."""
        return self._identity.node_id

    @property
    def card(self) -> Card:
        """The card in force; set by the first `reissue`."""
        if self._card is None:
            raise LookupError("no card was issued yet")
        return self._card

    async def reissue(self, above: int = 0, *, lost: bool = False) -> Card:
        """Issue a card with an unused number above `above`; the number is on disk before the card is signed.

        `lost` means that `above` is a number that this node does not know to have issued.
        """
        seq = await self._keystore.next_own_seq(max(self._clock.unix_ms(), above + 1))
        if seq == SEQ_LIMIT - 1:
            log.error("the sequence numbers of this identity are used up; make a new one to change its name again")
        now = self._clock.now()
        if lost or seq - self.base_seq > (now - self._base_at) * 1000 + LEAP_MS:
            self.base_seq, self._base_at = seq, now
        self._card = issue(self._identity, seq, self._flags, self._name)
        return self._card


class CardExchange:
    """Takes cards from links, answers requests for cards, and requests missing ones."""

    def __init__(
        self,
        own: OwnCard,
        keystore: Keystore,
        clock: Clock,
        counters: Counters,
        own_seq_seen: Callable[[int], None],
        parse_card: Callable[[bytes], Card] = parse,
    ) -> None:
        self._own = own
        self._keystore = keystore
        self._clock = clock
        self._counters = counters
        self._own_seq_seen = own_seq_seen
        self._parse = parse_card
        self._lost_state_seq = -1
        self.on_foreign: Callable[[NodeId], None] = lambda _: None
        """Called with the neighbour that brought a card of this node above its newest, which it did not issue."""
        self._ahead_logged: RecentSet[NodeId] = RecentSet(AHEAD, counters.bites)

    def greet(self, link: CardLink) -> None:
        """Send this node's card; it is the first frame on every link."""
        link.send(SignedPeerInfo((self._own.card.raw,)))

    def show_own(self, link: CardLink) -> None:
        """Send this node's card once more, once for each number: beyond the link a number is in use that is not its."""
        if link.cards.note_returned(self._own.card.node_id, self._own.card.seq):
            self.greet(link)

    def receive(self, link: CardLink, frame: SignedPeerInfo) -> list[Card]:
        """Learn the valid cards and return the new ones."""
        return [card for raw in frame.cards if (card := self._receive_one(link, raw)) is not None]

    def answer(self, link: CardLink, request: PeerInfoRequest) -> None:
        """Send each requested card that is held, once; unknown ids are ignored."""
        found = [raw for node_id in dict.fromkeys(request.ids) if (raw := self._held(node_id)) is not None]
        if found:
            link.answer(SignedPeerInfo(tuple(found)))

    def ask(self, link: CardLink, node_ids: list[NodeId]) -> None:
        """Ask the link for cards, within its rate."""
        now = self._clock.now()
        allowed = [node_id for node_id in node_ids if link.cards.requests.take(now)]
        self._counters.count("dropped_ids_over_rate", len(node_ids) - len(allowed))
        for node_id in allowed:
            link.cards.asked.add(node_id)
        for start in range(0, len(allowed), PEER_INFO_REQUEST_LIMIT):
            link.send(PeerInfoRequest(tuple(allowed[start : start + PEER_INFO_REQUEST_LIMIT])))

    def _held(self, node_id: NodeId) -> bytes | None:
        if node_id == self._own.card.node_id:
            return self._own.card.raw
        known = self._keystore.identity(node_id)
        return known.card if known is not None else None

    def _receive_one(self, link: CardLink, raw: bytes) -> Card | None:
        """Verify new cards within the link's rate only: verifying costs more than sending a false card."""
        try:
            node_id, x25519_pub, seq = claims_of(raw)
            if self._is_old_news(link, raw, node_id, x25519_pub, seq):
                return None
            if not self._within_rate(link, node_id):
                self._counters.count("dropped_cards_over_rate")
                return None
            card = self._parse(raw)
        except BadCard:
            self._counters.count("cards_bad")
            return None
        if card.node_id == self._own.card.node_id:
            self._own_came_back(link, card)
            return None
        link.cards.note_has(card.node_id, card.seq)
        return self._learn(link, card)

    def _is_old_news(self, link: CardLink, raw: bytes, node_id: NodeId, x25519_pub: bytes, seq: int) -> bool:
        """Handle the copies that a flood brings over every link, before any signature is checked."""
        if node_id == self._own.card.node_id:
            return self._is_old_card_of_own(link, x25519_pub, seq)
        held = self._keystore.identity(node_id)
        if held is None or held.card is None or seq > held.seq or x25519_pub != held.x25519_pub:
            return False
        link.cards.asked.discard(node_id)
        if raw == held.card:
            link.cards.note_has(held.node_id, held.seq)
            self._keystore.met(node_id, direct=node_id == link.peer_id, brought_by=link.source)
        elif seq < held.seq and link.cards.note_returned(node_id, held.seq):
            link.send(SignedPeerInfo((held.card,)))
        return True

    def _is_old_card_of_own(self, link: CardLink, x25519_pub: bytes, seq: int) -> bool:
        own = self._own.card
        if seq > own.seq or x25519_pub != own.x25519_pub:
            return False
        if seq < own.seq and link.cards.note_returned(own.node_id, own.seq):
            link.send(SignedPeerInfo((own.raw,)))
        return True

    def _within_rate(self, link: CardLink, node_id: NodeId) -> bool:
        if node_id in link.cards.asked:
            del link.cards.asked[node_id]
            return True
        if node_id == link.peer_id and not link.cards.greeted:
            link.cards.greeted = True
            return True
        return link.cards.unasked.take(self._clock.now())

    def _learn(self, link: CardLink, card: Card) -> Card | None:
        learned = self._keystore.learn(card, direct=card.node_id == link.peer_id, brought_by=link.source)
        if learned is Learned.NEW:
            self._counters.count("cards_learned")
            if card.node_id != link.peer_id:  # neighbours compare their clocks
                self._log_if_ahead(card)
            return card
        if learned is Learned.OTHER_KEYS:
            self._counters.count("cards_of_other_keys")
        return None

    def _own_came_back(self, link: CardLink, card: Card) -> None:
        """Reissue: the number is above the newest issued here, so this node lost its state."""
        if card.seq > self._lost_state_seq:
            self._lost_state_seq = card.seq
            log.warning(
                "received a card of this node with a higher number: its state was lost, or another machine has its key; "
                "issuing a new card, at most one a minute"
            )
            self.on_foreign(link.peer_id)
        self._own_seq_seen(card.seq)

    def _log_if_ahead(self, card: Card) -> None:
        if card.seq > self._clock.unix_ms() + AHEAD_MS and card.node_id not in self._ahead_logged:
            self._ahead_logged.add(card.node_id)
            log.warning("the clock of %s is more than 10 minutes ahead of ours", card.node_id.abbreviated)
