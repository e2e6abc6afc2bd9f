"""Implements `contract.Mesh`: the node as features see it, and the calls that change it."""

import asyncio
import contextlib
import heapq
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from pimd.addresses import Endpoint
from pimd.contract import Broadcast, DialInfo, LinkInfo, Membership, MeshEvent, PeerEntry, Problem, RouteInfo
from pimd.events import Subscription
from pimd.ids import NodeId
from pimd.mesh.counters import RouteCounts
from pimd.mesh.parts import NodeParts
from pimd.mesh.peer_link import PeerLink
from pimd.proto import member_announcement
from pimd.proto.frames import GoodbyeReason
from pimd.proto.member_announcement import MemberAnnouncement
from pimd.proto.route_table import Route
from pimd.proto.traffic import TrafficClass

CARD_S = 2.0
"""Seconds within which a neighbour must send the card that it was asked for."""

_NOTHING = RouteCounts()
"""Of a destination that was sent nothing."""


class MeshService:
    """Reads the parts of a node, and passes calls of features to them; it has no state of its own."""

    def __init__(self, parts: NodeParts) -> None:
        self._parts = parts

    @property
    def listen_endpoints(self) -> Sequence[Endpoint]:
        """As bound; before that, as configured."""
        return [listener.endpoint for listener in self._parts.listeners] or [*self._parts.config.listen]

    @property
    def relays(self) -> bool:
        """As `[relay] enabled` was at the start; the card announces the same."""
        return self._parts.config.relays

    @property
    def membership(self) -> Membership:
        """As configured; the fingerprint is made from the passphrase."""
        secret = self._parts.config.secret
        if secret is None:
            return Membership("open", self._parts.config.mesh_id, None)
        return Membership("private", self._parts.config.mesh_id, secret.fingerprint)

    def seal_discovery(self, port: int, addresses: Sequence[bytes]) -> bytes:
        """XChaCha20-Poly1305 with the discovery key and a random nonce."""
        secret = self._parts.config.secret
        if secret is None:
            raise LookupError("an open mesh has no secret to seal announcements with")
        nonce = os.urandom(member_announcement.NONCE_SIZE)
        return member_announcement.seal(secret.discovery_key, nonce, self._parts.own.node_id, port, addresses)

    def open_discovery(self, sealed: bytes) -> MemberAnnouncement | None:
        """Open it with the discovery key; whether it is repeated cannot be seen."""
        secret = self._parts.config.secret
        return member_announcement.open_sealed(secret.discovery_key, sealed) if secret is not None else None

    def links(self) -> Sequence[LinkInfo]:
        """One link for each peer: of two the newest, which carries the traffic."""
        return [link.info(self._parts.clock.now()) for link in self._parts.links.carrying()]

    def link(self, peer: NodeId) -> LinkInfo | None:
        """The one that carries the peer's traffic."""
        link = self._parts.links.best(peer)
        return link.info(self._parts.clock.now()) if link is not None else None

    def routes(self) -> Sequence[RouteInfo]:
        """The selected route to each destination, read from the route table at each call."""
        return [self._route_info(route) for route in self._parts.routing.table.selected.values()]

    def nearest(self, most: int, among: Collection[NodeId] | None = None) -> Sequence[RouteInfo]:
        """Of equal metrics the lowest id comes first."""
        selected = self._parts.routing.table.selected
        few, many = sorted((selected.keys() if among is None else among, selected.keys()), key=len)
        routes = (selected[node_id] for node_id in few if node_id in many)
        nearest = heapq.nsmallest(most, routes, key=lambda route: (route.metric, route.destination))
        return [self._route_info(route) for route in nearest]

    def destinations(self) -> Collection[NodeId]:
        """The keys of the route table, which change with it."""
        return self._parts.routing.table.selected.keys()

    def route(self, destination: NodeId) -> RouteInfo | None:
        """The selected route; None when no feasible one is known."""
        route = self._parts.routing.table.selected.get(destination)
        return self._route_info(route) if route is not None else None

    def dials(self) -> Sequence[DialInfo]:
        """Every endpoint that is kept linked."""
        return self._parts.dialler.infos()

    def is_linked(self, node_id: NodeId) -> bool:
        """Tell whether a link with that peer is up."""
        return self._parts.links.best(node_id) is not None

    def has_route(self, node_id: NodeId) -> bool:
        """Tell whether frames for `node_id` have a next hop; the keystore evicts others first."""
        return node_id in self._parts.routing.table.selected

    def is_configured(self, node_id: NodeId) -> bool:
        """Tell whether the configuration names this node, or it was met at a configured address."""
        return self._parts.dialler.is_configured(node_id)

    def problems(self) -> Sequence[Problem]:
        """Doubled keys, configured addresses where another key answers, and what the configuration asks for in vain."""
        others = [dial for dial in self.dials() if dial.state == "other_key" and dial.last_error is not None]
        told = [Problem("other_key", dial.last_error or "") for dial in others]
        return [*self._parts.same_keys.problems(), *told, *self._parts.config.problems]

    def counters(self) -> Mapping[str, int]:
        """Every counter above 0."""
        total = Counter({**self._parts.counts.snapshot(), **self._parts.keystore.counters})
        total.update(self._parts.handshakes.totals().counters())
        total["dropped_routes"] = self._parts.routing.dropped
        return +total

    def subscribe(self) -> Subscription[MeshEvent]:
        """Receive changes of links and routes."""
        return self._parts.events.subscribe()

    async def dial(self, entry: PeerEntry) -> NodeId:
        """Open one link and return who answered; `DialError` names the address and the cause."""
        return await self._parts.dial(entry, configured=True)

    def keep_dialling(self, entry: PeerEntry, *, configured: bool) -> None:
        """Keep an endpoint linked."""
        self._parts.dialler.keep(entry, configured=configured)

    def stop_dialling(self, endpoint: Endpoint) -> bool:
        """Stop redialling an endpoint; a link that is up stays."""
        return self._parts.dialler.drop(endpoint)

    async def hang_up(self, peer: NodeId) -> bool:
        """Close the links to `peer` and do not redial."""
        links = self._parts.links.of(peer)
        self._parts.dialler.pause(peer)
        for link in links:
            link.close(GoodbyeReason.REMOVED)
        return bool(links)

    def resume(self, peer: NodeId) -> None:
        """Let the dialler redial the peer at once."""
        self._parts.dialler.resume(peer)

    def redial(self, peer: NodeId | None = None) -> None:
        """Dial what is down, at once."""
        self._parts.dialler.redial(peer)

    def left_alone(self, peer: NodeId) -> bool:
        """True while a hang-up by the user of either end stops the redialling of this peer."""
        return self._parts.dialler.is_left_alone(peer)

    def refusal(self, peer: NodeId) -> str | None:
        """Apply the policy for an incoming link; the keys of the peer are not checked."""
        return self._parts.admission.refusal(peer)

    async def issue_card(self) -> Broadcast:
        """Issue a card and send it to every neighbour."""
        return await self._parts.broadcast.issue()

    async def fetch_card(self, peer: NodeId) -> bool:
        """Ask on the peer's own link, else the next hop on the way to it."""
        route = self._parts.routing.table.selected.get(peer)
        link = self._parts.links.best(peer if route is None else route.next_hop)
        if link is None:
            return False
        self._parts.keystore.take_back(peer)
        with self._parts.keystore.subscribe() as events, contextlib.suppress(TimeoutError):
            self._parts.cards.ask(link, [peer])
            async with asyncio.timeout(CARD_S):
                async for _ in events:
                    if self._parts.keystore.identity(peer) is not None:
                        break
        return self._parts.keystore.identity(peer) is not None

    def last_broadcast(self) -> Broadcast | None:
        """The newest issue of a card since the start; None before the first."""
        return self._parts.broadcast.last

    def set_broadcast_interval(self, seconds: int | None) -> None:
        """Issue a card now, and from now on at least this often."""
        self._parts.broadcast.set_interval(seconds)

    def own_card(self) -> bytes:
        """The newest signed card of this node."""
        return self._parts.own.card.raw

    def _route_info(self, route: Route[PeerLink]) -> RouteInfo:
        sent = self._parts.counts.routes.get(route.destination, _NOTHING)
        return RouteInfo(
            route.destination,
            route.next_hop,
            route.metric,
            route.seq,
            route.learned_at,
            route.hops,
            rtt_s=route.link.driver.link.pings.rtt_s,
            frames_out=sent.frames,
            bytes_out=sent.bytes,
            dropped=by_class(sent.dropped),
            refused=by_class(sent.refused),
        )


def by_class(values: Sequence[int]) -> dict[str, int]:
    """Name what is counted by traffic class."""
    return {f"{kind.name.lower()}s": values[kind] for kind in TrafficClass}
