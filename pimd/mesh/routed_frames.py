"""Data frames: sealed here, relayed, or opened for a plugin (docs/protocol.md, "End to end")."""

from collections.abc import Callable

from pimd.contract.control import Sent
from pimd.ids import NodeId
from pimd.mesh.counters import Counters
from pimd.mesh.datagrams import EXCHANGE_KIND, DatagramTraffic
from pimd.mesh.payloads import PayloadDispatch
from pimd.mesh.peer_link import PeerLink
from pimd.mesh.sealing import FrameBeforeStart, FrameForUnknownCard, ReplayedFrame, SealedFrames
from pimd.proto.frames import FLAG_CONGESTED, Frame, MeshData, PluginPayload
from pimd.proto.sealed import IdsDiffer, NotAPayload, SealedFrameError
from pimd.proto.traffic import CLASS_FLAGS, DATAGRAM_FLAGS, MESSAGE_FLAGS, STREAM_FLAGS, TrafficClass
from pimd.store.keystore import Keystore


class RoutedFrames:
    """Every frame is forwarded, delivered, or dropped and counted."""

    def __init__(
        self,
        own_id: NodeId,
        keystore: Keystore,
        counts: Counters,
        next_hop: Callable[[NodeId], PeerLink | None],
        ask_for_card: Callable[[PeerLink, NodeId], None],
        is_preferred_peer: Callable[[NodeId], bool],
        *,
        relays: bool,
    ) -> None:
        self.payloads = PayloadDispatch(counts, is_preferred_peer)
        self._own_id = own_id
        self._keystore = keystore
        self._counts = counts
        self._next_hop = next_hop
        self._ask_for_card = ask_for_card
        self.show_own_card: Callable[[PeerLink], None] = lambda _: None
        """Called with the link that brought a frame for a card of this node that it has not issued."""
        self._relays = relays
        self.own_kinds: dict[str, Callable[[NodeId, bytes], None]] = {}
        """What takes payloads that no plugin can claim, with their proven source."""
        self._datagrams: DatagramTraffic | None = None
        self._sealed: SealedFrames | None = None

    def carry(self, datagrams: DatagramTraffic) -> None:
        """Pass datagrams and their exchange of keys to `datagrams`, which sends through `send`."""
        self._datagrams = datagrams
        self.own_kinds[EXCHANGE_KIND] = datagrams.exchange

    def open_with(self, sealed: SealedFrames) -> None:
        """Set what seals and opens frames; before the first card of this start it is not available."""
        self._sealed = sealed

    def card_issued(self, seq: int, base_seq: int) -> None:
        """Note a newer card of this node, for which others may seal, and from which of its cards on all is counted."""
        if self._sealed is not None:
            self._sealed.card_issued(seq, base_seq)

    def receiver(self, link: PeerLink, others: Callable[[Frame], None]) -> Callable[[Frame], None]:
        """Return the function that takes each frame of a link: data here, the rest to `others`."""

        def take(frame: Frame) -> None:
            if isinstance(frame, MeshData):
                self.receive(link, frame)
            else:
                others(frame)

        return take

    def send(self, dst: NodeId, payload: PluginPayload) -> Sent:
        """Seal and queue for the next hop; `PayloadTooLarge` before anything is queued."""
        link = self._next_hop(dst)
        if link is None:
            return Sent.NO_ROUTE
        known = self._keystore.identity(dst)
        if known is None or known.card is None or self._sealed is None:
            return Sent.NO_CARD
        if not link.has_room(TrafficClass.MESSAGE):
            self._counts.refused(dst, TrafficClass.MESSAGE)
            return Sent.CONGESTED
        frame = self._sealed.seal(dst, known.x25519_pub, known.seq, payload)
        if not link.send(frame, (payload.kind, dst)):
            self._counts.refused(dst, TrafficClass.MESSAGE)
            return Sent.CONGESTED
        self._counts.count("payloads_sealed")
        self._counts.sent(dst, len(frame.payload))
        return Sent.SENT

    def receive(self, link: PeerLink, frame: MeshData) -> None:
        """Take a Data frame of a neighbour."""
        if frame.dst != self._own_id:
            self._forward(link, frame)
            return
        if frame.flags & FLAG_CONGESTED:
            self._counts.count("congestion_met")
        if frame.src == self._own_id:
            self._counts.count("dropped_returned_to_source")
            return
        kind = frame.flags & CLASS_FLAGS
        if kind == DATAGRAM_FLAGS and self._datagrams is not None:
            self._datagrams.receive(frame)
        elif kind == MESSAGE_FLAGS:
            self._receive_sealed(link, frame)
        elif kind == STREAM_FLAGS:
            self._counts.count("dropped_unclaimed_streams")
        else:
            self._counts.count("dropped_unsealed")

    def deliver(self, src: NodeId, payload: PluginPayload, *, congestion_met: bool = False) -> None:
        """Pass a payload to its plugin; `src` is proven."""
        if self._keystore.is_blocked(src):
            self._counts.count("dropped_blocked")
            return
        self.payloads.deliver(src, payload, congestion_met=congestion_met)

    def _forward(self, link: PeerLink, frame: MeshData) -> None:
        onwards = self._next_hop(frame.dst)
        if frame.src == self._own_id:
            self._counts.count("dropped_returned_to_source")
        elif not self._relays:
            self._counts.count("dropped_not_relayed")
        elif frame.ttl == 0:
            self._counts.count("dropped_ttl")
        elif onwards is None:
            self._counts.count("dropped_no_route")
        elif onwards.peer_id == link.peer_id:
            self._counts.count("dropped_back_where_it_came_from")
        else:
            frame.ttl -= 1
            self._counts.sent(frame.dst, len(frame.payload))
            onwards.relay(frame, link.peer_id)

    def _receive_sealed(self, link: PeerLink, frame: MeshData) -> None:
        known = self._keystore.identity(frame.src)
        if known is None or known.card is None or self._sealed is None:
            self._counts.count("dropped_unknown_source")
            self._ask_for_card(link, frame.src)
            return
        try:
            payload = self._sealed.open(frame, known.x25519_pub)
        except ReplayedFrame:
            self._counts.count("dropped_replayed")
        except FrameBeforeStart:
            self._counts.count("dropped_before_start")
        except FrameForUnknownCard:
            self._counts.count("dropped_for_unknown_card")
            self.show_own_card(link)
        except NotAPayload:
            self._counts.count("dropped_not_a_payload")
        except IdsDiffer:
            self._counts.count("dropped_ids_differ")
        except SealedFrameError:
            self._counts.count("dropped_unopenable")
        else:
            self._counts.count("payloads_opened")
            take = self.own_kinds.get(payload.kind)
            if take is not None:
                take(frame.src, payload.body)
            else:
                self.deliver(frame.src, payload, congestion_met=bool(frame.flags & FLAG_CONGESTED))
