"""Rows of `peers.list`, made from links, routes, dialled addresses and the keystore."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pimd.contract import (
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


ROWS_AT_ONCE = 200
"""Rows made before other calls have a turn."""


@dataclass
class Moment:
    """What all rows of one answer share."""

    links: Mapping[NodeId, LinkInfo]
    dials: Mapping[NodeId, DialInfo]
    now: float
    unix_ms: int


class Rows:
    """Implements `contract.PeerSummaries`; every call reads the current state and caches nothing."""

    def __init__(self, ctx: PluginContext) -> None:
        self._clock = ctx.clock
        self._mesh = ctx.services[MESH]
        self._keystore = ctx.services[KEYSTORE]

    def neighbours(self) -> list[PeerSummary]:
        """Links, configured peers that are down, and the nearest nodes with a route; gateways first, at most 256."""
        moment = self._moment(self._mesh.links(), self._configured())
        gateways = self._keystore.gateways()
        routed = [*self._mesh.nearest(NEIGHBOUR_LIMIT, gateways), *self._mesh.nearest(NEIGHBOUR_LIMIT)]
        ids = dict.fromkeys([*moment.links, *moment.dials, *(route.destination for route in routed)])
        shown = sorted(itertools.islice(ids, NEIGHBOUR_LIMIT), key=lambda node_id: node_id not in gateways)
        return [self._row(node_id, moment) for node_id in shown]

    async def page(self, after: NodeId | None, limit: int, *, everybody: bool) -> list[PeerSummary]:
        """Links, configured peers that are down, nodes with a route; with `everybody` then the other identities by id.

        `after` is the last node of the page before. Other calls have turns while the rows are made.
        """
        moment = self._moment(self._mesh.links(), self._configured())
        near = dict.fromkeys([*moment.links, *moment.dials, *self._mesh.destinations()])
        ids = list(itertools.islice(self._following(near, after, everybody=everybody), limit))
        rows: list[PeerSummary] = []
        for node_id in ids:
            rows.append(self._row(node_id, moment))
            if len(rows) % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return rows

    def summary(self, node_id: NodeId) -> PeerSummary:
        """One row, also of a peer that is down."""
        link = self._mesh.link(node_id)
        return self._row(node_id, self._moment([] if link is None else [link], _by_node(self._mesh.dials())))

    def _following(self, near: dict[NodeId, None], after: NodeId | None, *, everybody: bool) -> Iterator[NodeId]:
        if after is None:
            yield from near
        elif after in near:
            yield from itertools.islice(near, list(near).index(after) + 1, None)
        if everybody:
            behind = None if after in near else after
            yield from (node_id for node_id in self._keystore.index.after(behind) if node_id not in near)

    def _configured(self) -> dict[NodeId, DialInfo]:
        # A node that is dialled only because it was discovered shows once it is linked.
        return _by_node([dial for dial in self._mesh.dials() if dial.configured])

    def _moment(self, links: Iterable[LinkInfo], dials: Mapping[NodeId, DialInfo]) -> Moment:
        by_peer = {link.peer: link for link in links}
        return Moment(by_peer, dials, self._clock.now(), self._clock.unix_ms())

    def _row(self, node_id: NodeId, moment: Moment) -> PeerSummary:
        link, dial = moment.links.get(node_id), moment.dials.get(node_id)
        route = self._mesh.route(node_id) if link is None else None
        known = self._keystore.get(node_id)
        last_seen_ms = known.last_seen_ms if known is not None else moment.unix_ms
        idle_s = moment.now - link.last_heard if link is not None else (moment.unix_ms - last_seen_ms) / 1000
        own_label = self._keystore.label(node_id) or ("" if dial is None else dial.entry.label) or None
        announced = self._keystore.index.shown(node_id) if known is not None and known.name else None
        refusal = self._refusal(node_id, dial) if link is None and route is None else None
        hops = 1 if link is not None else route.hops if route is not None else 0
        return PeerSummary(
            node_id=node_id,
            node_id_short=node_id.short,
            label=own_label or announced,
            own_label=own_label,
            name=known.name if known is not None else None,
            forgotten=self._keystore.is_forgotten(node_id),
            mesh_ip="",
            transport="relay" if link is None and route is not None else "tcp",
            state=_state(link, route, refusal),
            reason=refusal or _why_down(link, route, dial),
            endpoint=_endpoint(link, dial),
            route_hops=hops,
            last_seen_s=max(0, int(idle_s)),
            latency_ms=None if link is None or link.rtt_s is None else round(link.rtt_s * 1000),
            is_gateway=known is not None and known.is_gateway,
            static=dial is not None and dial.configured,
            x25519_pubkey=known.x25519_pub.hex() if known is not None else None,
            link=_link(link),
        )

    def _refusal(self, node_id: NodeId, dial: DialInfo | None) -> str | None:
        """Return why either end will not link, as long as no person changes something."""
        if dial is not None and dial.refused:
            return dial.last_error
        return self._mesh.refusal(node_id)


def _by_node(dials: Sequence[DialInfo]) -> dict[NodeId, DialInfo]:
    """One dial a node: of several addresses one with a label, so that the label is not lost."""
    ordered = sorted(dials, key=lambda dial: (dial.configured, bool(dial.entry.label)))
    return {dial.node_id: dial for dial in ordered if dial.node_id is not None}


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
        traffic={name: ClassRow(**vars(one)) for name, one in link.traffic.items()},
    )


def _endpoint(link: LinkInfo | None, dial: DialInfo | None) -> str | None:
    if link is not None:
        return str(link.endpoint)
    return str(dial.entry.endpoint) if dial is not None and dial.configured else None


def _state(link: LinkInfo | None, route: RouteInfo | None, refusal: str | None) -> str:
    if link is not None:
        return "active"
    if route is not None:
        return "relayed"
    return "connecting" if refusal is None else "failed"


def _why_down(link: LinkInfo | None, route: RouteInfo | None, dial: DialInfo | None) -> str | None:
    return dial.last_error if link is None and route is None and dial is not None else None
