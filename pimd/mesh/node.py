"""One node of the mesh: connects links, cards, routes, sealed frames and plugins."""

import asyncio
import logging
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from pimd.clock import Clock
from pimd.contract import (
    LinkDown,
    LinkUp,
    MeshEvent,
    OtherKeyError,
    PeerEntry,
    RouteFound,
    RouteLost,
    Sent,
)
from pimd.events import Topic
from pimd.ids import NodeId
from pimd.mesh.admission import Admission, Refusal
from pimd.mesh.broadcast import IdentityBroadcast
from pimd.mesh.cards import CardExchange, OwnCard
from pimd.mesh.clocks import ClockComparison
from pimd.mesh.congestion import Congestion
from pimd.mesh.counters import Counters
from pimd.mesh.datagrams import DatagramTraffic
from pimd.mesh.dialler import Dialler
from pimd.mesh.flood import CardFlood
from pimd.mesh.handshakes import Handshakes
from pimd.mesh.key_use import KeyUse
from pimd.mesh.link_check import LinkCheck
from pimd.mesh.links import LinkTable
from pimd.mesh.parts import NodeConfig, NodeParts
from pimd.mesh.peer_link import PeerLink
from pimd.mesh.policy import Policy
from pimd.mesh.routed_frames import RoutedFrames
from pimd.mesh.routing_driver import RoutingDriver
from pimd.mesh.same_key import WAITS
from pimd.mesh.sealing import SealedFrames
from pimd.mesh.service import MeshService
from pimd.net.driver import LinkDriver
from pimd.net.network import Network
from pimd.net.transport import Listener
from pimd.proto.babel import Babel, Change
from pimd.proto.cards import RELAYS, Card, parse
from pimd.proto.frames import (
    Frame,
    GoodbyeReason,
    Heartbeat,
    PeerInfoRequest,
    PluginPayload,
    Routes,
    SeqRequest,
    SignedPeerInfo,
)
from pimd.proto.handshake import ABILITY_HOPS, LinkPeer
from pimd.proto.identity import Identity
from pimd.proto.key_exchange import KeyExchange
from pimd.proto.same_key import ANSWER, INSTANCE_SIZE, KINDS, QUESTION, KeyInUse
from pimd.proto.traffic import TrafficClass
from pimd.store.keystore import Keystore

log = logging.getLogger("pimd.mesh")

GOODBYE_FLUSH_S = 0.05
"""How long a shutdown waits for the Goodbyes to leave (docs/protocol.md)."""


class Node:
    """Connects the parts: frames of links go to cards, routes and plugins, and their frames to links."""

    parse_card: Callable[[bytes], Card] = staticmethod(parse)
    make_link: Callable[[LinkDriver, float, PeerEntry | None], PeerLink] = PeerLink
    """Replaced by simulations, to verify each card once for a thousand nodes, or to send forged frames."""

    def __init__(
        self,
        config: NodeConfig,
        identity: Identity,
        keystore: Keystore,
        policy: Policy,
        network: Network,
        clock: Clock,
    ) -> None:
        self.counts = Counters(keystore.bites)
        self._config = config
        self._identity = identity
        self._keystore = keystore
        self._clock = clock
        self._events: Topic[MeshEvent] = Topic(self.counts.bites)
        self._links: LinkTable[PeerLink] = LinkTable(identity.node_id, clock, self.counts.bites)
        self._routing = self._routing_core()
        self._dialler = Dialler(
            self._dial,
            self._linked_since,
            clock,
            random.random,
            self.counts.bites,
            keystore.pinned,
            self._events.publish,
        )
        self._dialler.tell_labels = keystore.index.labels_configured
        self._admission = Admission(policy, keystore, self._links, self._dialler)
        own_question = KeyInUse.ask(identity, os.urandom(INSTANCE_SIZE))
        self.key_use = KeyUse(identity, own_question, keystore, clock, self._links, self._dialler, self._announce_on)
        self.key_use.publish_with(self._events.publish)
        self._own = OwnCard(identity, keystore, clock, config.name, RELAYS if config.relays else 0)
        self._flood = CardFlood(clock, self._links.carrying, self.counts.bites)
        self._broadcast = IdentityBroadcast(
            self._own, clock, random.random, self._send_own_card, config.broadcast_interval_s
        )
        self._cards = CardExchange(
            self._own, keystore, clock, self.counts, self._broadcast.want_above_lost, self.parse_card
        )
        self._cards.on_foreign = self.key_use.foreign_card
        self._routing_driver = self._drive(self._routing)
        self._congestion = Congestion(self._next_hop, self.counts.bites)
        self._frames = self._routed_frames()
        self.datagrams = self._datagram_traffic()
        self._frames.carry(self.datagrams)
        self._carry_key_questions()
        self.payloads = self._frames.payloads
        self._link_check = LinkCheck(clock, self.counts)
        self._clocks = ClockComparison(clock, keystore, self.counts.bites)
        link_config = replace(config.link, instance=own_question.instance, question=own_question.signature)
        self._handshakes = Handshakes(self, identity, link_config, network, clock, self.make_link)
        self.key_use.look.compares = self._handshakes.compares
        self._listeners: list[Listener] = []
        self.service = self._service()
        keystore.on_forgotten.append(self._forgotten)
        self._stopping = False

    # --- life

    async def start(self, group: asyncio.TaskGroup) -> None:
        """Issue a card, bind, and begin to dial; OSError or `SocketInUse` when an endpoint cannot be bound."""
        self.key_use.note_start()
        card = await self._own.reissue()
        self._frames.open_with(
            SealedFrames(
                self._identity,
                card.seq,
                os.urandom,
                self._broadcast.want_above,
                self.counts.bites,
            )
        )
        self._routing.own_card(card.seq, self._clock.now())
        for endpoint in self._config.listen:
            self._listeners.append(await self._handshakes.listen(endpoint))
        group.create_task(self._broadcast.run(), name="card reissue")
        self.key_use.begin(group)

    async def stop(self) -> None:
        """Send Goodbye on every link, wait 50 ms for them to leave, close."""
        self._stopping = True
        self._routing_driver.stop()
        for listener in self._listeners:
            listener.close()
        self._dialler.stop()
        links = self._links.all()
        for link in links:
            link.close(GoodbyeReason.SHUTDOWN)
        self._handshakes.abort_all()
        if links:
            await asyncio.sleep(GOODBYE_FLUSH_S)
        for link in links:
            link.driver.abort()

    # --- sending for plugins

    def send_direct(self, peer: NodeId, payload: PluginPayload) -> None:
        """Best effort to a neighbour; `PayloadTooLarge` before anything is sent."""
        link = self._links.best(peer)
        if link is None:
            log.debug("no link to %s for a direct %s", peer.abbreviated, payload.kind)
            return
        if not link.send(payload, (payload.kind, peer)):
            log.debug("no room on the link to %s for a direct %s", peer.abbreviated, payload.kind)

    def send_routed(self, dst: NodeId, payload: PluginPayload) -> Sent:
        """Seal and queue for the next hop."""
        return self._frames.send(dst, payload)

    async def ready(self, dst: NodeId) -> bool:
        """Wait until a payload has room; False when there is no route."""
        return await self._congestion.ready(dst, TrafficClass.MESSAGE)

    # --- what the machine reports

    def look_after_links(self, why: str) -> None:
        """Ask every neighbour whether it is there, and dial at once whatever is to be linked."""
        if self._stopping:
            return
        links = self._links.all()
        log.info("%s: asking all neighbours (%d) whether they are there, and dialling again", why, len(links))
        self._link_check.ask(links)
        self._dialler.dial_at_once()

    # --- what the handshakes report

    def admission(self, link: PeerLink, peer: LinkPeer) -> Refusal | None:
        """Ask whether a proven peer may link; None admits."""
        if self.key_use.same_keys.waits:
            return GoodbyeReason.NOT_ADMITTED, WAITS
        return self._admission.decide(link, peer)

    def is_linked(self, node_id: NodeId) -> bool:
        """Tell whether a link with that peer is up."""
        return self._links.best(node_id) is not None

    def link_up(self, link: PeerLink) -> None:
        """Enter an admitted link: send the card first, then the full table, then everything else."""
        if self.key_use.same_keys.waits:  # which began while its handshake ran
            link.refusal = WAITS
            link.close(GoodbyeReason.NOT_ADMITTED)
            return
        full = self._admission.no_place(link, link.peer_id)
        if full is not None:  # other links came up since it was admitted
            reason, link.refusal = full
            link.close(reason)
            return
        first = self._links.best(link.peer_id) is None
        if not self._links.add(link):
            return
        link.driver.is_preferred = partial(self._admission.is_preferred_peer, link.peer_id)
        self._congestion.links_changed()
        link.driver.link.watch_drops(self.counts.dropped)
        self.counts.count("links_opened")
        if not self.key_use.look.holds(link):
            self._announce_on(link)
        self._clocks.tell(link)
        self._dialler.linked(link.peer_id)
        self._dialler.links_changed()
        if first:
            log.info("linked with %s at %s", link.peer_id.abbreviated, link.driver.address)
            self._events.publish(LinkUp(link.info(self._clock.now())))

    def link_closed(self, link: PeerLink, detail: str) -> None:
        """Withdraw the routes and notices that depended on a link that was up."""
        if not self._links.remove(link):
            return
        self.key_use.contests.link_ended(link)
        self.key_use.look.link_ended(link)
        self._congestion.links_changed()
        self.counts.count("links_closed")
        if self._stopping:
            return  # no neighbour is left to advertise other routes to
        self._routing.link_down(link, self._clock.now())
        self._routing_driver.pump()
        if link.goodbye is GoodbyeReason.REMOVED:
            self._dialler.left_by(link.peer_id)
        self._dialler.links_changed()
        if self._links.best(link.peer_id) is None:
            log.info("link with %s ended: %s", link.peer_id.abbreviated, detail)
            self._events.publish(LinkDown(link.peer_id, detail))

    def receiver(self, link: PeerLink) -> Callable[[Frame], None]:
        """Return the function that takes each frame of an admitted peer."""
        return self._frames.receiver(link, partial(self.receive, link))

    def writable(self, link: PeerLink, classes: Sequence[TrafficClass]) -> None:
        """Let senders that wait for room on this link continue."""
        self._congestion.link_writable(link, classes)

    def receive(self, link: PeerLink, frame: Frame) -> None:
        """Take a frame of an admitted peer other than a Data frame."""
        match frame:
            case SignedPeerInfo():
                self._receive_cards(link, frame)
            case PeerInfoRequest():
                self._cards.answer(link, frame)
            case Routes():
                if not self.key_use.look.routes(link, frame):
                    self._receive_routes(link, frame)
            case PluginPayload(kind, body) if kind in KINDS:
                self.key_use.questions.on_link(link, kind, body)
            case PluginPayload():
                self._frames.deliver(link.peer_id, frame)
            case SeqRequest():
                self._receive_seq_request(link, frame)
            case Heartbeat():
                self._clocks.compare(link, frame)
            case _:
                pass  # the link handled the other kinds

    # --- inside

    def _routing_core(self) -> Babel[PeerLink]:
        return Babel(
            self._identity.node_id,
            self._keystore.learned_seq,
            random.random,
            self._clock.now(),
            relays=self._config.relays,
            bites=self.counts.bites,
        )

    def _routed_frames(self) -> RoutedFrames:
        frames = RoutedFrames(
            self._identity.node_id,
            self._keystore,
            self.counts,
            self._next_hop,
            lambda link, node_id: self._cards.ask(self._links.best(link.peer_id) or link, [node_id]),
            self._admission.is_preferred_peer,
            relays=self._config.relays,
        )
        frames.show_own_card = lambda link: self._cards.show_own(self._links.best(link.peer_id) or link)
        return frames

    def _carry_key_questions(self) -> None:
        questions = self.key_use.questions
        questions.send_routed = self._frames.send
        for kind in (QUESTION, ANSWER):
            self._frames.own_kinds[kind] = partial(questions.routed, kind)

    def _datagram_traffic(self) -> DatagramTraffic:
        return DatagramTraffic(
            KeyExchange(
                self._identity,
                self._config.link.cipher,
                os.urandom,
                self.counts.bites,
                self._admission.is_preferred_peer,
            ),
            self._keystore,
            self._clock,
            self.counts,
            self._congestion,
            self._frames.send,
            self._admission.is_preferred_peer,
        )

    def _drive(self, routing: Babel[PeerLink]) -> RoutingDriver:
        return RoutingDriver(
            routing,
            self._clock,
            self.counts,
            ask_for_cards=self._cards.ask,
            before_routes=self._flood.flush,
            changed=self._routes_changed,
            own_card_wanted=self._broadcast.want_above,
        )

    def _service(self) -> MeshService:
        return MeshService(
            NodeParts(
                config=self._config,
                keystore=self._keystore,
                counts=self.counts,
                events=self._events,
                links=self._links,
                routing=self._routing,
                own=self._own,
                cards=self._cards,
                broadcast=self._broadcast,
                handshakes=self._handshakes,
                clock=self._clock,
                dialler=self._dialler,
                dial=self._dial,
                admission=self._admission,
                listeners=self._listeners,
                same_keys=self.key_use.same_keys,
            )
        )

    async def _dial(self, entry: PeerEntry, *, configured: bool) -> NodeId:
        if entry.node_id is not None and entry.node_id == self._admission.known_at(entry.endpoint):
            entry = replace(entry, node_id=None)  # another answer is told of in the words of `OtherKey`
        peer = await self._handshakes.dial(entry, self._config.connect_timeout_s)
        other = self._admission.other_key(entry, peer)
        if other is not None:  # two dials at once met two nodes, and the other one was bound
            raise OtherKeyError(other)
        if configured:
            self._dialler.resume(peer)
            await self._admission.remember(entry, peer)
        return peer

    def _announce_on(self, link: PeerLink, routes: Sequence[Routes] = ()) -> None:
        """Send card and full table, the first frames on a link, and apply the routes that came before."""
        self._cards.greet(link)
        hops = bool(link.abilities & ABILITY_HOPS)
        self._routing.link_up(link, link.peer_id, self._clock.now(), link.cost, hops=hops)
        for record in routes:
            self._receive_routes(link, record)
        self._routing_driver.pump()

    async def _forgotten(self, peer: NodeId) -> None:
        self.datagrams.forget(peer)

    def _linked_since(self, node_id: NodeId) -> float | None:
        links = self._links.of(node_id)
        return links[0].up_since if links else None

    def _next_hop(self, destination: NodeId) -> PeerLink | None:
        """Return the link to a destination's next hop; of two links of one peer the newest."""
        route = self._routing.table.selected.get(destination)
        return self._links.best(route.next_hop) if route is not None else None

    def _receive_cards(self, link: PeerLink, frame: SignedPeerInfo) -> None:
        now = self._clock.now()
        for card in self._cards.receive(link, frame):
            if self._config.relays:
                self._flood.spread(card)
            self._routing.card_learned(card.node_id, card.seq, now)
        self._routing_driver.pump()

    def _receive_seq_request(self, link: PeerLink, request: SeqRequest) -> None:
        if not link.cards.seq_requests.take(self._clock.now()):
            self.counts.count("dropped_seq_requests_over_rate")
            return
        self._routing.seq_request(link, request, self._clock.now())
        self._routing_driver.pump()

    def _receive_routes(self, link: PeerLink, routes: Routes) -> None:
        whole = self._routing.receive(link, routes, self._clock.now())
        if whole and not link.full_table_read:
            link.full_table_read = True
            self._links.full_table_arrived(link)
        self._routing_driver.pump()

    def _routes_changed(self, changes: Sequence[Change[PeerLink]]) -> None:
        """Tell of destinations that found or lost their route; simulations watch every change here."""
        for change in changes:
            self._congestion.give(change.destination)
            if change.after is None:
                self.counts.forget_route(change.destination)
            if change.before is None:
                self._events.publish(RouteFound(change.destination))
            elif change.after is None:
                self._events.publish(RouteLost(change.destination))

    def _send_own_card(self) -> int:
        links = self._links.carrying() if self.key_use.look.is_over else []
        for link in links:
            self._cards.greet(link)
        # Without a link no frame is on its way that a higher base would lose.
        self._frames.card_issued(self._own.card.seq, self._own.base_seq if links else self._own.card.seq)
        self._routing.own_card(self._own.card.seq, self._clock.now())
        self._routing_driver.pump()
        return len(links)
