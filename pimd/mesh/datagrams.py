"""Datagrams of this node's plugins: sealed with the keys of the pair, cut in two where one record is too small."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from pimd.clock import Clock
from pimd.contract.control import Sent
from pimd.contract.datagrams import DATAGRAM_MTU, DatagramReceiver
from pimd.ids import NodeId
from pimd.limits import RecentMap, TokenBucket, declare, declare_rate
from pimd.mesh.congestion import Congestion, Notice
from pimd.mesh.counters import Counters
from pimd.mesh.peer_link import PeerLink
from pimd.proto.errors import PayloadTooLarge, RemoteProtocolError
from pimd.proto.frames import FLAG_FRAGMENT, FLAG_LAST_FRAGMENT, FLAG_SEALED, MeshData, PluginPayload
from pimd.proto.key_exchange import KeyExchange
from pimd.proto.pair_keys import KEY_ID_SIZE, OVERHEAD, NotOpened, PairKeys, Repeated, is_offer
from pimd.proto.traffic import TrafficClass
from pimd.store.keystore import Keystore

log = logging.getLogger("pimd.mesh")

EXCHANGE_KIND = "mesh.keys"
"""Payload kind of the exchange of keys; no plugin can claim it."""
CHANNEL_SIZE = 4
PIECE = 65_478 - OVERHEAD - CHANNEL_SIZE
"""Bytes of a packet that one record carries."""
HALVES = declare(
    "sources of which one half of a datagram is kept",
    64,
    "sources",
    "the half that waits longest is dropped; one half of each source is kept, the newest",
)
HALF_AGE = declare("time that one half of a datagram waits for the other", 1, "s", "dropped")
EXCHANGES = declare_rate(
    "exchanges of keys with strangers",
    20,
    "exchanges",
    "refused; configured peers and contacts have a rate of their own",
    burst=200,
)
SWEEP_S = 60.0

_WHOLE = FLAG_SEALED
_FIRST = FLAG_SEALED | FLAG_FRAGMENT
_LAST = FLAG_SEALED | FLAG_FRAGMENT | FLAG_LAST_FRAGMENT


@dataclass(frozen=True)
class _Half:
    """One of two fragments."""

    counter: int
    """Of the first fragment of the packet."""
    is_last: bool
    channel: bytes
    piece: bytes
    came: float

    def belongs_to(self, other: "_Half") -> bool:
        """Whether the two are one packet."""
        return self.counter == other.counter and self.channel == other.channel and self.is_last != other.is_last


class DatagramTraffic:
    """Sends and receives for all channels; `send_payload` seals and queues a payload."""

    def __init__(
        self,
        exchange: KeyExchange,
        keystore: Keystore,
        clock: Clock,
        counts: Counters,
        congestion: Congestion,
        send_payload: Callable[[NodeId, PluginPayload], Sent],
        is_preferred_peer: Callable[[NodeId], bool],
    ) -> None:
        self._exchange = exchange
        self._keystore = keystore
        self._clock = clock
        self._counts = counts
        self._congestion = congestion
        self._next_hop = congestion.next_hop
        self._send_payload = send_payload
        self._receivers: dict[bytes, DatagramReceiver] = {}
        self._halves: RecentMap[NodeId, _Half] = RecentMap(HALVES, counts.bites)
        self._is_preferred_peer = is_preferred_peer
        self._exchanges = {preferred: TokenBucket(EXCHANGES, clock.now(), counts.bites) for preferred in (True, False)}
        self._sweep_is_set = False

    # --- for plugins

    def register(self, channel: bytes, receiver: DatagramReceiver) -> None:
        """Pass packets of a channel, 4 bytes, to `receiver`."""
        self._receivers[channel] = receiver

    def unregister(self, channel: bytes) -> None:
        """Drop packets of a channel; an absent one is ignored."""
        self._receivers.pop(channel, None)

    def send(self, channel: bytes, dst: NodeId, packet: bytes, notice: Notice | None) -> Sent:
        """Queue a packet; otherwise `notice` is called later, unless the card is missing."""
        if not packet:
            raise ValueError("a datagram has at least one byte")
        if len(packet) > DATAGRAM_MTU:
            raise PayloadTooLarge(f"a datagram has at most {DATAGRAM_MTU} bytes, this one {len(packet)}")
        sent = self._try_to_send(channel, dst, packet)
        if notice is not None and (sent is Sent.CONGESTED or sent is Sent.NO_ROUTE):
            self._congestion.owe(dst, TrafficClass.DATAGRAM, notice)
        return sent

    def _try_to_send(self, channel: bytes, dst: NodeId, packet: bytes) -> Sent:
        link = self._next_hop(dst)
        if link is None:
            return Sent.NO_ROUTE
        now = self._clock.now()
        if self._exchange.is_due(dst, now) and self._offer(dst, now) is Sent.NO_CARD:
            return Sent.NO_CARD
        self._exchange.use(dst)
        keys = self._exchange.sealing(dst, now)
        if keys is None:
            return Sent.CONGESTED
        if not link.has_room(TrafficClass.DATAGRAM) or not self._queue(link, keys, channel, packet):
            self._counts.refused(dst, TrafficClass.DATAGRAM)
            return Sent.CONGESTED
        self._counts.sent(dst, len(packet))
        return Sent.SENT

    def _queue(self, link: PeerLink, keys: PairKeys, channel: bytes, packet: bytes) -> bool:
        """Queue the frames of a packet; the room check guarantees that both halves fit."""
        seal = keys.datagram_sealing.seal
        if len(packet) <= PIECE:
            return link.send_encoded(TrafficClass.DATAGRAM, seal(_WHOLE, channel + packet), channel)
        first = link.send_encoded(TrafficClass.DATAGRAM, seal(_FIRST, channel + packet[:PIECE]), channel)
        last = link.send_encoded(TrafficClass.DATAGRAM, seal(_LAST, channel + packet[PIECE:]), channel)
        return first and last

    # --- from the mesh

    def receive(self, frame: MeshData) -> None:
        """Open a frame for this node and pass its packet to the receiver of its channel."""
        src, now = frame.src, self._clock.now()
        if self._keystore.is_blocked(src):
            self._counts.count("dropped_blocked")
            return
        keys = self._exchange.opening(src, frame.payload[:KEY_ID_SIZE], now)
        if keys is None:
            self._counts.count("dropped_without_keys")
            self._answer_unknown_keys(src, now)
            return
        try:
            counter, plaintext = keys.datagram_opening.open(frame.flags, frame.payload)
        except NotOpened:
            self._counts.count("dropped_unopenable")
            return
        except Repeated:
            self._counts.count("dropped_replayed")
            return
        if self._exchange.opened(src, keys):
            self._congestion.give(src, (TrafficClass.DATAGRAM,))
        if not plaintext:
            return  # an empty plaintext only confirms the keys
        if not frame.flags & FLAG_FRAGMENT:
            self._deliver(src, plaintext[:CHANNEL_SIZE], plaintext[CHANNEL_SIZE:])
        else:
            self._join(src, counter, plaintext, now, is_last=bool(frame.flags & FLAG_LAST_FRAGMENT))

    def exchange(self, src: NodeId, message: bytes) -> None:
        """Take a message of the exchange of keys that arrived sealed from `src`."""
        known = self._keystore.identity(src)
        if known is None or self._keystore.is_blocked(src) or (is_offer(message) and not self._may_exchange(src)):
            self._counts.count("dropped_key_exchanges")
            return
        try:
            answer = self._exchange.receive(src, known.x25519_pub, message, self._clock.now())
        except RemoteProtocolError as error:
            self._counts.count("dropped_key_exchanges")
            log.debug("an exchange of keys with %s failed: %s", src.abbreviated, error)
            return
        self._set_sweep()
        if answer is not None:
            self._send_payload(src, PluginPayload(EXCHANGE_KIND, answer))
        else:
            self._confirm(src, self._clock.now())
            self._congestion.give(src, (TrafficClass.DATAGRAM,))

    def forget(self, peer: NodeId) -> None:
        """Drop keys and fragments of a peer that left the keystore."""
        self._exchange.forget(peer)
        self._halves.pop(peer, None)
        self._congestion.give(peer, (TrafficClass.DATAGRAM,))

    # --- inside

    def _deliver(self, src: NodeId, channel: bytes, packet: bytes) -> None:
        if not 0 < len(packet) <= DATAGRAM_MTU:
            self._counts.count("dropped_malformed_datagrams")
            return
        receiver = self._receivers.get(channel)
        if receiver is None:
            self._counts.count("dropped_unclaimed_datagrams")
            return
        self._counts.count("datagrams_delivered")
        receiver(src, packet)

    def _join(self, src: NodeId, counter: int, plaintext: bytes, now: float, *, is_last: bool) -> None:
        """Keep one half, or hand over the packet whose other half is here; the last counts one more than the first."""
        half = _Half(counter - is_last, is_last, plaintext[:CHANNEL_SIZE], plaintext[CHANNEL_SIZE:], now)
        self._drop_if_old(src, now)
        held = self._halves.pop(src, None)
        if held is not None and held.belongs_to(half):
            first, last = (held, half) if is_last else (half, held)
            self._deliver(src, half.channel, first.piece + last.piece)
            return
        if held is not None:
            self._counts.count("dropped_fragments")
        if self._halves.put(src, half) is not None:
            self._counts.count("dropped_fragments")

    def _drop_if_old(self, src: NodeId, now: float) -> None:
        half = self._halves.get(src)
        if half is not None and now - half.came > HALF_AGE.value:
            del self._halves[src]
            self._counts.count("dropped_fragments")
            self._counts.bites.count(HALF_AGE)

    def _offer(self, dst: NodeId, now: float) -> Sent:
        known = self._keystore.identity(dst)
        if known is None or known.card is None:
            return Sent.NO_CARD
        link = self._next_hop(dst)
        if link is not None and not link.has_room(TrafficClass.MESSAGE):  # before a key is made in vain
            self._congestion.owe(dst, TrafficClass.MESSAGE, self._repeat_offer)
            return Sent.CONGESTED
        offer, due_at = self._exchange.offer(dst, known.x25519_pub, now)
        self._set_sweep()
        sent = self._send_payload(dst, PluginPayload(EXCHANGE_KIND, offer))
        if sent is Sent.SENT:
            self._clock.call_at(due_at, lambda: self._repeat_offer(dst))
        else:
            self._exchange.not_offered(dst)
            self._congestion.owe(dst, TrafficClass.MESSAGE, self._repeat_offer)
        return sent

    def _repeat_offer(self, dst: NodeId) -> None:
        """Offer keys again while senders wait: the offer or its answer may have been lost."""
        now = self._clock.now()
        waiting = self._congestion.is_owed(dst, TrafficClass.DATAGRAM) and self._next_hop(dst) is not None
        if waiting and self._exchange.sealing(dst, now) is None and self._exchange.is_due(dst, now):
            self._offer(dst, now)

    def _answer_unknown_keys(self, src: NodeId, now: float) -> None:
        """The peer does not know that this node lost those keys, or has newer ones; a relay can lie about `src`."""
        if self._next_hop(src) is None:
            return
        self._confirm(src, now)
        if self._exchange.is_due_in_spite_of_keys(src, now) and self._may_exchange(src):
            self._offer(src, now)

    def _may_exchange(self, peer: NodeId) -> bool:
        """Apply the rate; strangers cannot use up that of configured peers and contacts."""
        return self._exchanges[self._is_preferred_peer(peer)].take(self._clock.now())

    def _confirm(self, dst: NodeId, now: float) -> None:
        """Send an empty datagram, so that the peer sees that new keys work and seals with them."""
        link, keys = self._next_hop(dst), self._exchange.confirmation(dst, now)
        if link is not None and keys is not None:
            link.send_encoded(TrafficClass.DATAGRAM, keys.datagram_sealing.seal(_WHOLE, b""), b"")

    def _set_sweep(self) -> None:
        if not self._sweep_is_set:
            self._sweep_is_set = True
            self._clock.call_at(self._clock.now() + SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweep_is_set = False
        now = self._clock.now()
        self._exchange.sweep(now)
        for src in list(self._halves):
            self._drop_if_old(src, now)
        if len(self._exchange):
            self._set_sweep()
