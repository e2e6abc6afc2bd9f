"""One link as the node sees it: the driver and its state in the mesh."""

import os
from collections.abc import Callable, Hashable

from pimd.addresses import Endpoint
from pimd.contract import LOCAL_SOURCE, ClassTraffic, LinkInfo, OtherKey, PeerEntry
from pimd.ids import NodeId
from pimd.mesh.cards import LinkCards
from pimd.net.driver import LinkDriver
from pimd.proto.class_queues import ClassCounts
from pimd.proto.frames import Frame, GoodbyeReason, MeshData, Ping
from pimd.proto.same_key import KeyInUse
from pimd.proto.traffic import TrafficClass

LOOPBACK_V6 = "::/64"
"""The source of links from `::1`."""


class PeerLink:
    """A connection from its first byte on; `peer_id` is set once the proof holds."""

    def __init__(self, driver: LinkDriver, now: float, entry: PeerEntry | None) -> None:
        self.driver = driver
        self.entry = entry
        self.cards = LinkCards(now, driver.link.bites)
        self.cost = driver.cost
        """What routing adds to a metric for this link, at least 256."""
        self.full_table_read = False
        self.clock_heard = False
        """Whether the peer told its wall clock on this link."""
        self.is_up = False
        self.was_up = False
        self.up_since = now
        self.refusal: str | None = None
        self.other_key: OtherKey | None = None
        """Why it was refused, when another node was expected at the dialled endpoint."""
        self.goodbye: GoodbyeReason | None = None
        self.refused_for: GoodbyeReason | None = None
        """Why either end did not admit the other."""
        self.own_listen_port: int | None = None
        self.key_answer: KeyInUse | None = None
        """The newest answer of the peer to a question for another process with its key."""
        self.on_outcome: Callable[[str | None], None] | None = None
        self._peer_id: NodeId | None = None
        self._probe: int | None = None

    @property
    def peer_id(self) -> NodeId:
        """The proven peer; LookupError before the proof."""
        if self._peer_id is None:
            raise LookupError("nothing is proven on this link")
        return self._peer_id

    @peer_id.setter
    def peer_id(self, node_id: NodeId) -> None:
        self._peer_id = node_id

    @property
    def source(self) -> str:
        """What counts as one source of identities: the address of the other end, or an IPv6 /64.

        Ids cost nothing, addresses do. It is the id where an address tells nobody apart, on this machine and behind a
        proxy, and for a preferred peer, who shall not share with others at his address.
        """
        source = self.driver.source
        if self.driver.is_preferred():
            return str(self.peer_id)
        is_local = source.startswith(("127.", "uid:")) or source == LOOPBACK_V6
        return f"{LOCAL_SOURCE}{self.peer_id}" if is_local else source

    @property
    def is_proven(self) -> bool:
        """Whether `peer_id` is set."""
        return self._peer_id is not None

    @property
    def abilities(self) -> int:
        """The ability bits of the peer's proof; 0 before it."""
        peer = self.driver.link.peer
        return peer.abilities if peer is not None else 0

    @property
    def instance(self) -> bytes | None:
        """The start of the peer that is at the other end, as its proof says; None when it does not say."""
        peer = self.driver.link.peer
        return peer.instance if peer is not None else None

    @property
    def listens_at(self) -> Endpoint:
        """Where the peer can be dialled, as far as known; else the other end of the connection."""
        endpoint, peer = self.driver.endpoint, self.driver.link.peer
        port = peer.listen_port if peer is not None else None
        return endpoint if self.dialled else endpoint.at_port(port) or endpoint

    @property
    def own_address(self) -> str:
        """Where this node can be dialled over the path of this link, as far as it knows; else its end of the connection."""
        endpoint = self.driver.own_endpoint
        return (endpoint.at_port(self.own_listen_port) or endpoint).text

    @property
    def dialled(self) -> bool:
        """True when this side opened the connection."""
        return self.driver.dialled

    @property
    def last_heard(self) -> float:
        """Monotonic seconds of the last authenticated record."""
        return self.driver.link.last_heard

    def send(self, frame: Frame, source: Hashable = "") -> bool:
        """Queue one frame; False when a data frame finds no room, and nothing was queued."""
        return self.driver.send(frame, source)

    def send_encoded(self, traffic_class: TrafficClass, frame: bytearray, source: Hashable) -> bool:
        """Queue a Data frame that is encoded already, as `send` does."""
        return self.driver.send_encoded(traffic_class, frame, source)

    def relay(self, frame: MeshData, neighbour: NodeId) -> None:
        """Queue a frame of `neighbour` that this node relays; without room the biggest flow loses a frame."""
        self.driver.relay(frame, neighbour)

    def has_room(self, traffic_class: TrafficClass) -> bool:
        """Whether a data frame of this node, of any size, would be queued."""
        return self.driver.link.has_room(traffic_class)

    def answer(self, frame: Frame) -> None:
        """Queue an answer to the peer's request; a peer that does not read its answers loses the link."""
        self.driver.answer(frame)

    def probe(self) -> None:
        """Send a Ping with a random nonce; the table calls it to check that an older link is alive."""
        self._probe = int.from_bytes(os.urandom(8))
        self.driver.send(Ping(self._probe))

    @property
    def answered_probe(self) -> bool:
        """Whether the Pong for the newest `probe` has come: no record that was sent before it counts."""
        return self._probe is not None and self.driver.link.pings.heard == self._probe

    def ask(self) -> int:
        """Send a Ping whose Pong `awaits` waits for; return its nonce."""
        return self.driver.ping()

    def awaits(self, nonce: int) -> bool:
        """Tell whether the Pong with this nonce did not come, and no other is waited for."""
        return self.driver.link.pings.awaits(nonce)

    def give_up(self, why: str) -> None:
        """End a link whose peer is not there, without a Goodbye."""
        self.refusal = why
        self.driver.abort()

    def close(self, reason: GoodbyeReason) -> None:
        """Say Goodbye with this reason; the driver ends the stream within a second."""
        self.driver.close(reason)

    def tell_outcome(self, error: str | None) -> None:
        """End the dial that waits for this link, once: None for up, else the reason."""
        tell, self.on_outcome = self.on_outcome, None
        if tell is not None:
            tell(error)

    def info(self, now: float) -> LinkInfo:
        """Describe the link for RPC."""
        link, endpoint = self.driver.link, self.driver.endpoint
        rate_in, rate_out = link.rates.rates(link.bytes_in, link.bytes_out, now)
        listen_port = link.peer.listen_port if link.peer is not None else None
        return LinkInfo(
            peer=self.peer_id,
            endpoint=endpoint,
            dialled=self.dialled,
            agent=link.peer.agent if link.peer is not None else "",
            up_since=self.up_since,
            last_heard=link.last_heard,
            rtt_s=link.pings.rtt_s,
            cost=self.cost,
            bytes_in=link.bytes_in,
            bytes_out=link.bytes_out,
            rate_in=rate_in,
            rate_out=rate_out,
            traffic={f"{kind.name.lower()}s": _traffic(link.counts[kind]) for kind in TrafficClass},
            listens_at=endpoint if self.dialled else endpoint.at_port(listen_port),
        )


def _traffic(counts: ClassCounts) -> ClassTraffic:
    return ClassTraffic(
        counts.frames_in, counts.bytes_in, counts.frames_out, counts.bytes_out, counts.dropped, counts.refused
    )
