"""Rows of `peers.list`, made from links, routes, dialled addresses and the keystore."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    ClassRow,
    DialInfo,
    LinkInfo,
    LinkRow,
    PeerSummary,
    PluginContext,
    RouteInfo,
)
from pimd.ids import NodeId

NEIGHBOUR_LIMIT = 256
"""Rows of `status.peers`."""


class Rows:
    """Implements `contract.PeerSummaries`; every call reads the current state and caches nothing."""

    def __init__(self, ctx: PluginContext) -> None:
        self._clock = ctx.clock
        self._mesh = ctx.services[MESH]
        self._keystore = ctx.services[KEYSTORE]
        self._config = ctx.services[CONFIG]

    def neighbours(self) -> list[PeerSummary]:
        """Links, configured peers that are down, and contacts with a route; at most 256."""
        return list(self._rows(self._is_contact).values())[:NEIGHBOUR_LIMIT]

    def reachable(self) -> list[PeerSummary]:
        """Links, configured peers that are down, and every node with a route."""
        return list(self._rows(lambda _: True).values())

    def everybody(self) -> list[PeerSummary]:
        """The rows of `reachable`, and the identities without a route."""
        rows = self._rows(lambda _: True)
        for known in self._keystore.list():
            if known.node_id not in rows:
                rows[known.node_id] = self._row(known.node_id)
        return list(rows.values())

    def summary(self, node_id: NodeId) -> PeerSummary:
        """One row, also of a peer that is down."""
        link, route = self._mesh.link(node_id), self._mesh.route(node_id)
        dial = next((dial for dial in self._mesh.dials() if dial.node_id == node_id), None)
        return self._row(node_id, link=link, route=route, dial=dial)

    def _rows(self, with_route: Callable[[NodeId], bool]) -> dict[NodeId, PeerSummary]:
        links = {link.peer: link for link in self._mesh.links()}
        # A node that is dialled only because it was discovered shows once it is linked.
        dials = {dial.node_id: dial for dial in self._mesh.dials() if dial.node_id is not None and dial.configured}
        rows = {peer: self._row(peer, link=link, dial=dials.get(peer)) for peer, link in links.items()}
        for peer, dial in dials.items():
            rows.setdefault(peer, self._row(peer, dial=dial))
        for route in self._far_routes(links):
            if with_route(route.destination):
                dial_too = dials.get(route.destination)
                rows[route.destination] = self._row(route.destination, route=route, dial=dial_too)
        return rows

    def _far_routes(self, links: dict[NodeId, LinkInfo]) -> Iterator[RouteInfo]:
        return (route for route in self._mesh.routes() if route.destination not in links)

    def _is_contact(self, node_id: NodeId) -> bool:
        known = self._keystore.get(node_id)
        return known is not None and known.contact

    def _row(
        self,
        node_id: NodeId,
        *,
        link: LinkInfo | None = None,
        route: RouteInfo | None = None,
        dial: DialInfo | None = None,
    ) -> PeerSummary:
        known = self._keystore.get(node_id)
        last_seen_ms = known.last_seen_ms if known is not None else self._clock.unix_ms()
        idle_s = (
            self._clock.now() - link.last_heard if link is not None else (self._clock.unix_ms() - last_seen_ms) / 1000
        )
        configured = "" if dial is None else dial.entry.label
        label = known.label if known is not None else self._keystore.labels().get(node_id)
        hops = 1 if link is not None else route.hops if route is not None else 0
        return PeerSummary(
            node_id=node_id,
            node_id_short=node_id.short,
            label=label or configured or None,
            mesh_ip=self._config.mesh_cidr(),
            transport="relay" if link is None and route is not None else "tcp",
            state=_state(link, route, dial),
            endpoint=_endpoint(link, dial),
            route_hops=hops,
            last_seen_s=max(0, int(idle_s)),
            latency_ms=None if link is None or link.rtt_s is None else round(link.rtt_s * 1000),
            is_gateway=known is not None and known.is_gateway,
            static=dial is not None and dial.configured,
            x25519_pubkey=known.x25519_pub.hex() if known is not None else None,
            link=_link(link),
        )


def _link(link: LinkInfo | None) -> LinkRow | None:
    if link is None:
        return None
    return LinkRow(
        cost=link.cost,
        rtt_ms=None if link.rtt_s is None else round(link.rtt_s * 1000, 3),
        bytes_in=link.bytes_in,
        bytes_out=link.bytes_out,
        rate_in=round(link.rate_in, 1),
        rate_out=round(link.rate_out, 1),
        traffic={name: ClassRow(**asdict(one)) for name, one in link.traffic.items()},
    )


def _endpoint(link: LinkInfo | None, dial: DialInfo | None) -> str | None:
    if link is not None:
        return str(link.endpoint)
    return str(dial.entry.endpoint) if dial is not None and dial.configured else None


def _state(link: LinkInfo | None, route: RouteInfo | None, dial: DialInfo | None) -> str:
    if link is not None:
        return "active"
    if route is not None:
        return "relayed"
    return "connecting" if dial is not None and dial.state == "connecting" else "failed"
