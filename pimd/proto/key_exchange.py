"""Which pair keys are in use with which peer, and when new ones are due: renewed hourly, then forgotten."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from pimd.ids import NodeId
from pimd.limits import Bites, declare
from pimd.proto.errors import HandshakeError
from pimd.proto.handshake import Cipher
from pimd.proto.identity import Identity
from pimd.proto.pair_keys import Offer, PairKeys, answer_offer, is_offer

RENEW_S = 3300.0
"""Keys older than this are renewed when something is sent."""
SEAL_S = 3600.0
"""Nothing is sealed with keys older than this."""
OPEN_S = 3660.0
"""Keys older than this are forgotten; frames in transit have arrived by then."""
FIRST_REPEAT_S = 1.0
LONGEST_REPEAT_S = 30.0
"""An offer that is not answered is followed by another, each after twice the time."""
OFFER_S = 60.0
"""The ephemeral key of an offer is forgotten so long after the answer was due."""
CONFIRM_S = 10.0
"""How long new keys are shown to a peer that goes on with others; after that new ones are offered."""
CONFIRM_EVERY_S = 1.0
KEYS_OF_ONE_PEER = declare("keys for datagrams of one peer", 3, "keys", "the oldest that is not in use is forgotten")
"""In use, the ones before, and new ones that the peer has not used yet."""
PAIRS = declare(
    "peers whose keys for datagrams are kept",
    1024,
    "peers",
    "the one used longest ago is forgotten, strangers that nothing is sent to first; its next datagrams need new keys",
)


@dataclass
class _Pair:
    """The keys and the open offer of one peer."""

    offer: Offer | None = None
    due_at: float = float("-inf")
    """No other offer before."""
    repeat_s: float = FIRST_REPEAT_S
    confirmed_at: float = float("-inf")
    sealing: PairKeys | None = None
    opening: dict[bytes, PairKeys] = field(default_factory=dict)
    is_ours: bool = False
    """Whether this node sends to the peer; such keys are not displaced by peers that only offer theirs."""


class KeyExchange:
    """All pairs of one node, sans-IO: returned messages are to be sent to the peer as sealed payloads."""

    def __init__(
        self,
        identity: Identity,
        cipher: Cipher,
        random: Callable[[int], bytes],
        bites: Bites,
        is_preferred_peer: Callable[[NodeId], bool],
    ) -> None:
        self._is_preferred_peer = is_preferred_peer
        self._identity = identity
        self._cipher: Cipher = cipher
        self._random = random
        self._bites = bites
        self._pairs: OrderedDict[NodeId, _Pair] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pairs)

    def sealing(self, peer: NodeId, now: float) -> PairKeys | None:
        """Return the keys to seal with; None while there are none, or they are too old."""
        pair = self._pairs.get(peer)
        if pair is None or pair.sealing is None or now - pair.sealing.since >= SEAL_S:
            return None
        return pair.sealing

    def use(self, peer: NodeId) -> None:
        """A plugin sends to the peer: its pair outlives those of peers that only offer keys to this node."""
        pair = self._pairs.get(peer)
        if pair is not None:
            pair.is_ours = True
            self._pairs.move_to_end(peer)

    def is_due(self, peer: NodeId, now: float) -> bool:
        """Whether to offer new keys: there are none or old ones, and the last offer timed out."""
        pair = self._pairs.get(peer)
        if pair is None:
            return True
        if pair.sealing is not None and now - pair.sealing.since < RENEW_S:
            return False
        return now >= pair.due_at

    def is_due_in_spite_of_keys(self, peer: NodeId, now: float) -> bool:
        """Whether new keys are to be offered to a peer that seals with others than this node has."""
        pair = self._pairs.get(peer)
        return pair is None or (now >= pair.due_at and not self._are_new(pair, now))

    def confirmation(self, peer: NodeId, now: float) -> PairKeys | None:
        """Return new keys that the peer does not know to be in use, at most once in `CONFIRM_EVERY_S`."""
        pair = self._pairs.get(peer)
        if pair is None or not self._are_new(pair, now) or now - pair.confirmed_at < CONFIRM_EVERY_S:
            return None
        pair.confirmed_at = now
        return pair.sealing

    def offer(self, peer: NodeId, peer_x25519: bytes, now: float) -> tuple[bytes, float]:
        """Begin an exchange, replacing an unanswered one; also return the time at which to begin another."""
        pair = self._pair(peer)
        pair.offer = Offer(self._identity, peer, peer_x25519, self._cipher, self._random)
        pair.due_at = now + pair.repeat_s
        pair.repeat_s = min(2 * pair.repeat_s, LONGEST_REPEAT_S)
        return pair.offer.message, pair.due_at

    def not_offered(self, peer: NodeId) -> None:
        """The offer could not be sent: the next one need not wait."""
        pair = self._pairs.get(peer)
        if pair is not None:
            pair.offer, pair.due_at, pair.repeat_s = None, float("-inf"), FIRST_REPEAT_S

    def receive(self, peer: NodeId, peer_x25519: bytes, message: bytes, now: float) -> bytes | None:
        """Take a message of an exchange and return the answer; None when this end is done. HandshakeError."""
        if is_offer(message):
            # Nothing is sealed with these keys before the peer uses them, because the answer may be lost.
            answer, keys = answer_offer(self._identity, peer, peer_x25519, message, self._random, now)
            self._keep(self._pair(peer), keys)
            return answer
        pair = self._pairs.get(peer)
        if pair is None or pair.offer is None or not pair.offer.is_answered_by(message):
            raise HandshakeError("an answer to no offer of keys")
        # An offer has one answer: after a wrong one its Noise state cannot go on.
        offer, pair.offer = pair.offer, None
        keys = offer.finish(message, now)
        pair.sealing, pair.confirmed_at = keys, float("-inf")
        pair.due_at, pair.repeat_s = float("-inf"), FIRST_REPEAT_S
        self._keep(pair, keys)
        return None

    def opening(self, peer: NodeId, key_id: bytes, now: float) -> PairKeys | None:
        """Return the keys that a frame of `peer` names, or None."""
        pair = self._pairs.get(peer)
        keys = pair.opening.get(key_id) if pair is not None else None
        return keys if keys is not None and now - keys.since < OPEN_S else None

    def opened(self, peer: NodeId, keys: PairKeys) -> bool:
        """Note that the peer uses these keys; True when they become the ones to seal with."""
        pair = self._pairs.get(peer)
        if pair is None:
            return False
        self._pairs.move_to_end(peer)
        if pair.sealing is keys or (pair.sealing is not None and pair.sealing.since > keys.since):
            return False
        pair.sealing = keys
        pair.offer, pair.due_at, pair.repeat_s = None, float("-inf"), FIRST_REPEAT_S
        return True

    def forget(self, peer: NodeId) -> None:
        """Drop the keys of a peer that left the keystore."""
        self._pairs.pop(peer, None)

    def sweep(self, now: float) -> None:
        """Remove keys that are too old, and peers without keys; called every minute."""
        for peer, pair in list(self._pairs.items()):
            pair.opening = {key_id: keys for key_id, keys in pair.opening.items() if now - keys.since < OPEN_S}
            if pair.sealing is not None and now - pair.sealing.since >= SEAL_S:
                pair.sealing = None
            if now >= pair.due_at + OFFER_S:
                pair.offer = None
            if not pair.opening and pair.offer is None:
                del self._pairs[peer]

    def _are_new(self, pair: _Pair, now: float) -> bool:
        return pair.sealing is not None and now - pair.sealing.since < CONFIRM_S

    def _pair(self, peer: NodeId) -> _Pair:
        pair = self._pairs.get(peer)
        if pair is None:
            if len(self._pairs) >= PAIRS.value:
                self._bites.count(PAIRS)
                del self._pairs[self._least_wanted()]
            pair = self._pairs[peer] = _Pair()
        self._pairs.move_to_end(peer)
        return pair

    def _least_wanted(self) -> NodeId:
        """The one used longest ago, of those that no plugin sends to, and of those no configured peer or contact."""
        passive = [peer for peer, pair in self._pairs.items() if not pair.is_ours]
        return next((peer for peer in passive if not self._is_preferred_peer(peer)), next(iter(passive or self._pairs)))

    def _keep(self, pair: _Pair, keys: PairKeys) -> None:
        pair.opening[keys.key_id] = keys
        while len(pair.opening) > KEYS_OF_ONE_PEER.value:
            self._bites.count(KEYS_OF_ONE_PEER)
            del pair.opening[next(key_id for key_id, held in pair.opening.items() if held is not pair.sealing)]
