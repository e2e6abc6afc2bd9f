"""Nodes that announce themselves nearby, from every provider of `DISCOVERY`."""

import contextlib
from collections.abc import Iterator

from pimd.contract import (
    DISCOVERY,
    KEYSTORE,
    MESH,
    PUBLISH,
    DiscoveredNode,
    Endpoint,
    NoParams,
    PluginContext,
    RecentSet,
    ServiceFailed,
    declare,
    rpc,
)
from pimd.ids import NodeId
from pimd_features.peers.models import STREAM, Discovered, PeerFound

POLL_S = 1.0
"""Seconds between two looks at the providers; polling spares each of them an event of its own."""
GRACE_S = 2.0
"""A node is told of when it has been there this long: most are linked by themselves before."""
TOLD = declare(
    "nodes nearby that were told of", 4096, "nodes", "the one seen longest ago is forgotten, and may be announced again"
)


def nearby(ctx: PluginContext) -> Iterator[DiscoveredNode]:
    """Yield what every provider sees now; providers come and go with their features, and one that fails is passed over."""
    for provider in ctx.services.providers(DISCOVERY):
        with contextlib.suppress(ServiceFailed):
            yield from provider.nodes()


@rpc("peers.discovered", reads=True)
async def discovered(ctx: PluginContext, _: NoParams) -> list[Discovered]:
    """List the nodes that announce themselves on the local network; none without the feature `discovery`.

    Their ids are announced, and proven by a link only.
    """
    return [_row(ctx, node) for node in nearby(ctx)]


def _row(ctx: PluginContext, node: DiscoveredNode) -> Discovered:
    known = ctx.services[KEYSTORE].get(node.node_id) if node.node_id is not None else None
    now = ctx.clock.now()
    return Discovered(
        node_id=node.node_id,
        address=node.endpoint.text,
        endpoint=str(node.endpoint),
        mechanism="broadcast",
        first_seen_s=max(0, int(now - node.first_seen)),
        last_seen_s=max(0, int(now - node.last_seen)),
        # The name on a card is signed, and anybody can announce one.
        label_announced=(known.name if known is not None else None) or node.name or None,
        label=ctx.services[KEYSTORE].label(node.node_id) if node.node_id is not None else None,
    )


class Newcomers:
    """Announces each node once, as long as it is remembered; one that is reached or configured is in the mesh already."""

    def __init__(self, ctx: PluginContext) -> None:
        self._ctx = ctx
        self._told: RecentSet[NodeId | Endpoint] = RecentSet(TOLD, ctx.bites)

    def tell(self) -> None:
        """Publish `discovered` for every newcomer that was not announced before."""
        mesh = self._ctx.services[MESH]
        configured = (dial.node_id for dial in mesh.dials() if dial.configured and dial.node_id is not None)
        members = {*(link.peer for link in mesh.links()), *mesh.destinations(), *configured}
        seen_before = self._ctx.clock.now() - GRACE_S
        for node in nearby(self._ctx):
            if node.first_seen > seen_before and node.node_id not in members:
                continue
            key = node.node_id or node.endpoint
            is_new = key not in self._told and node.endpoint not in self._told
            self._told.add(key)  # a node that is still there becomes the newest, and is forgotten last
            if is_new and node.node_id not in members:
                self._ctx.services[PUBLISH](STREAM, PeerFound(kind="discovered", peer=_row(self._ctx, node)))
