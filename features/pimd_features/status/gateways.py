"""Which gateway is the nearest, and when that changes."""

import asyncio
from collections.abc import Callable

from pimd.contract import (
    KEYSTORE,
    MESH,
    Forgotten,
    Lagged,
    MeshEvent,
    PeerDirectoryEvent,
    PluginContext,
    RouteFound,
    RouteLost,
    Subscription,
    nearest_gateways,
)
from pimd.ids import NodeId

PAUSE_S = 1.0
"""Between two looks; whatever changes meanwhile is told of once the second is over."""
LOOK_S = 5.0
"""A way that gets longer or shorter is no event, so gateways that are known are looked at this often."""


class GatewayWatch:
    """Keeps the ids of gateways only, so that what happens to the many other nodes costs nothing."""

    def __init__(self, ctx: PluginContext) -> None:
        self._mesh = ctx.services[MESH]
        self._keystore = ctx.services[KEYSTORE]
        self._clock = ctx.clock
        self._ids: set[NodeId] = set()
        self._touched = asyncio.Event()
        self._read_all()

    def selected(self) -> NodeId | None:
        """The one in use; None when none can be reached."""
        routes = (self._mesh.route(node_id) for node_id in self._ids)
        nearest = nearest_gateways((route for route in routes if route is not None), self._keystore)
        return nearest[0].destination if nearest else None

    async def watch(self, changed: Callable[[NodeId | None, NodeId | None], None]) -> None:
        """Call `changed` with the gateway before and now, at most once a second, until cancelled."""
        before: NodeId | None = None
        while True:
            self._touched.clear()
            now = self.selected()
            if now != before:
                changed(before, now)
                before = now
            await self._clock.sleep(PAUSE_S)
            await self._next_look()

    async def follow_routes(self, events: Subscription[MeshEvent]) -> None:
        """Look again when a gateway gets or loses its route."""
        with events:
            async for event in events:
                if isinstance(event, Lagged) or (
                    isinstance(event, RouteFound | RouteLost) and event.destination in self._ids
                ):
                    self._touched.set()

    async def follow_cards(self, events: Subscription[PeerDirectoryEvent]) -> None:
        """Keep the ids."""
        with events:
            async for event in events:
                if isinstance(event, Lagged):
                    self._read_all()
                else:
                    self._read(event)

    async def _next_look(self) -> None:
        timer = self._clock.call_at(self._clock.now() + LOOK_S, self._touched.set) if self._ids else None
        await self._touched.wait()
        if timer is not None:
            timer.cancel()

    def _read_all(self) -> None:
        self._ids = {known.node_id for known in self._keystore.list() if known.is_gateway}
        self._touched.set()

    def _read(self, event: PeerDirectoryEvent) -> None:
        known = None if isinstance(event, Forgotten) else self._keystore.get(event.node_id)
        if known is not None and known.is_gateway:
            self._ids.add(event.node_id)
            self._touched.set()
        elif event.node_id in self._ids:
            self._ids.discard(event.node_id)
            self._touched.set()
