"""Tells when the peer of a conversation can be reached, and when no longer."""

from collections.abc import Collection

from pimd.contract import (
    MESH,
    PUBLISH,
    DatabaseError,
    Lagged,
    PluginContext,
    RouteFound,
    RouteLost,
)
from pimd.ids import NodeId
from pimd_features.messaging import models
from pimd_features.messaging.store import MessageStore


async def tell_connections(
    ctx: PluginContext[models.MessagingSettings],
    store: MessageStore,
    with_messages: Collection[NodeId],
) -> None:
    """Publish `connection_changed` for peers with messages, until cancelled; after a `Lagged` the state of each."""
    mesh = ctx.services[MESH]
    destinations = mesh.destinations()

    async def tell(peer: NodeId) -> None:
        now_ms = ctx.clock.unix_ms()
        try:
            page, _ = await store.history(peer, None, None, 1, now_ms)
        except DatabaseError as error:
            ctx.log.error("it is not told that %s comes or goes: %s", peer.abbreviated, error)
            return
        for newest in page:
            changed = models.ConnectionChanged(
                peer_node_id=peer,
                is_connected=peer in destinations,
                message_id=newest.id,
                new_status=newest.status,
                at_ms=now_ms,
            )
            ctx.services[PUBLISH](models.STREAM, changed)

    with mesh.subscribe() as events:
        async for event in events:
            if isinstance(event, Lagged):
                for peer in tuple(with_messages):
                    await tell(peer)
            elif isinstance(event, RouteFound | RouteLost) and event.destination in with_messages:
                await tell(event.destination)
