"""Keeps `[[peers]]` linked, and publishes changes of peers."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from pimd.contract import (
    CONFIG,
    MESH,
    PUBLISH,
    Endpoint,
    Lagged,
    LinkDown,
    LinkUp,
    MeshEvent,
    NotSupported,
    OtherKey,
    PeerEntry,
    PluginContext,
    Publish,
    RouteFound,
    RouteLost,
    SameKey,
    Subscription,
)
from pimd_features.peers.broadcasts import Broadcasts
from pimd_features.peers.models import STREAM, PeerChanged, PeerOtherKey, PeersEvent, SameKeySeen
from pimd_features.peers.nearby import POLL_S, Newcomers
from pimd_features.peers.redialling import Redials
from pimd_features.peers.rows import Rows


class PeersPlugin(Broadcasts):
    """Dials the configured peers; provides the rows of peers to other features."""

    name: ClassVar[str] = "peers"
    rows: Rows

    async def start(self, ctx: PluginContext) -> None:
        """Begin to dial and to tell."""
        self._ctx = ctx
        self.rows = Rows(ctx)
        mesh = ctx.services[MESH]
        for entry in one_for_each_address(ctx.services[CONFIG].peers(), ctx.log):
            mesh.keep_dialling(entry, configured=True)
        ctx.spawn("events", self._tell(mesh.subscribe(), ctx.services[PUBLISH]))
        self.newcomers = Newcomers(ctx)
        ctx.every(POLL_S, self.newcomers.tell, at_once=True)
        ctx.every(POLL_S, Redials(ctx).look, at_once=True)

    async def _tell(self, events: Subscription[MeshEvent], publish: Publish) -> None:
        with events:
            async for event in events:
                if isinstance(event, Lagged):
                    publish.missed(STREAM, event.missed)
                elif (change := self._change(event)) is not None:
                    publish(STREAM, change)

    def _change(self, event: MeshEvent) -> PeersEvent | None:
        match event:
            case LinkUp(link):
                return PeerChanged(kind="connected", peer=self.rows.summary(link.peer))
            case LinkDown(peer, reason):
                return PeerChanged(kind="disconnected", peer=self.rows.summary(peer), reason=reason)
            case RouteFound(destination) | RouteLost(destination):
                row = self.rows.summary(destination)
                # A neighbour's own route comes and goes with its link, which was published already.
                return None if row.state == "active" else PeerChanged(kind="state_changed", peer=row)
            case SameKey(node_id, _, addresses, is_own):
                return SameKeySeen(node_id=node_id, own=is_own, addresses=list(addresses), reason=str(event))
            case OtherKey(endpoint, label, known, answers):
                return PeerOtherKey(
                    address=endpoint.text, label=label or None, known=known, answers=answers, reason=str(event)
                )


def one_for_each_address(entries: Iterable[PeerEntry], log: logging.Logger) -> list[PeerEntry]:
    """Join entries of one address: the first label and the first `node_id` count, and another one is warned of."""
    found: dict[Endpoint, PeerEntry] = {}
    for entry in entries:
        first = found.setdefault(entry.endpoint, entry)
        joined = replace(first, node_id=first.node_id or entry.node_id, label=first.label or entry.label)
        if entry.node_id not in {None, joined.node_id} or entry.label not in {"", joined.label}:
            log.warning("[[peers]] has %s twice, as different peers: the first entry counts", entry.endpoint.text)
        found[entry.endpoint] = joined
    return list(found.values())


def refuse_other_mechanisms(mechanism: str) -> None:
    """`NotSupported` for everything but tcp."""
    if mechanism != "tcp":
        raise NotSupported(
            f"pimd links over tcp only, not over {mechanism}; give an address as host:port, or unix:/path"
        )
