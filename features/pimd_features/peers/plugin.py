"""Keeps `[[peers]]` linked, and publishes changes of peers."""

from typing import ClassVar

from pimd.contract import (
    CONFIG,
    MESH,
    PUBLISH,
    Lagged,
    LinkDown,
    LinkUp,
    MeshEvent,
    NotSupported,
    OtherKey,
    PluginContext,
    Publish,
    RouteFound,
    RouteLost,
    SameKey,
    Subscription,
)
from pimd_features.peers.broadcasts import Broadcasts
from pimd_features.peers.models import STREAM, PeerChanged, PeerOtherKey, PeersEvent, SameKeySeen
from pimd_features.peers.nearby import Newcomers
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
        for entry in ctx.services[CONFIG].peers():
            mesh.keep_dialling(entry, configured=True)
        ctx.spawn("events", self._tell(mesh.subscribe(), ctx.services[PUBLISH]))
        self.newcomers = Newcomers(ctx)
        ctx.spawn("newcomers", self.newcomers.watch())

    async def _tell(self, events: Subscription[MeshEvent], publish: Publish) -> None:
        with events:
            async for event in events:
                change = None if isinstance(event, Lagged) else self._change(event)
                if change is not None:
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


def refuse_other_mechanisms(mechanism: str) -> None:
    """`NotSupported` for everything but tcp."""
    if mechanism != "tcp":
        raise NotSupported(
            f"pimd links over tcp only, not over {mechanism}; give an address as host:port, or unix:/path"
        )
