"""Which gateway is the nearest, and the events when that changes."""

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
"""Seconds between two checks; changes within a second are published together at its end."""
LOOK_S = 5.0
"""A changed metric is no event, so the routes to known gateways are checked this often."""


class GatewayWatch:
    """Holds the ids of gateways only, so that events of other nodes cost no search."""

    def __init__(self, ctx: PluginContext) -> None:
        self._mesh = ctx.services[MESH]
        self._keystore = ctx.services[KEYSTORE]
        self._clock = ctx.clock
        self._call_later = ctx.call_later
        self._ids: set[NodeId] = set()
        self._touched = asyncio.Event()
        self._read_all()

    def selected(self) -> NodeId | None:
        """Return the gateway in use; None when none has a route."""
        # Strangers can be gateways by the thousand, and without a route each.
        few, many = sorted((self._ids, self._mesh.destinations()), key=len)
        routes = (self._mesh.route(node_id) for node_id in few if node_id in many)
        nearest = nearest_gateways((route for route in routes if route is not None), self._keystore)
        return nearest[0].destination if nearest else None

    async def watch(self, changed: Callable[[NodeId | None, NodeId | None], None]) -> None:
        """Call `changed` with the previous and the new gateway, at most once a second, until cancelled."""
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
        """Check again when a gateway gets or loses its route; runs as a task until cancelled."""
        with events:
            async for event in events:
                if isinstance(event, Lagged) or (
                    isinstance(event, RouteFound | RouteLost) and event.destination in self._ids
                ):
                    self._touched.set()

    async def follow_cards(self, events: Subscription[PeerDirectoryEvent]) -> None:
        """Keep the set of gateway ids up to date; after a `Lagged` the whole keystore is read again."""
        with events:
            async for event in events:
                if isinstance(event, Lagged):
                    self._read_all()
                else:
                    self._read(event)

    async def _next_look(self) -> None:
        timer = self._call_later(LOOK_S, self._touched.set) if self._ids else None
        await self._touched.wait()
        if timer is not None:
            timer.cancel()

    def _read_all(self) -> None:
        self._ids = set(self._keystore.gateways())
        self._touched.set()

    def _read(self, event: PeerDirectoryEvent) -> None:
        known = None if isinstance(event, Forgotten) else self._keystore.get(event.node_id)
        if known is not None and known.is_gateway:
            self._ids.add(event.node_id)
            self._touched.set()
        elif event.node_id in self._ids:
            self._ids.discard(event.node_id)
            self._touched.set()
