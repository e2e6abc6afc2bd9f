"""Finds nodes on the local network, and dials them as far as the policy lets it."""

import logging
from collections.abc import Sequence
from typing import ClassVar

from pimd.contract import CONFIG, KEYSTORE, MESH, DaemonPlugin, DiscoveredNode, PluginContext
from pimd_features.discovery.announcement import Announcements
from pimd_features.discovery.dialling import AutoDial
from pimd_features.discovery.service_browser import ServiceBrowser
from pimd_features.discovery.sightings import Sightings

TEND_S = 0.5
"""How often the network, the announcement and the candidates are looked at; also the pace of dialling."""
ASKERS = 4
"""Instances asked at a time."""


class DiscoveryPlugin(DaemonPlugin):
    """Implements `contract.Discovery`; keeps trying where there is no network."""

    name: ClassVar[str] = "discovery"

    async def start(self, ctx: PluginContext) -> None:
        """Return at once; the rest goes on beside the daemon's start."""
        self._ctx = ctx
        # It warns of what strangers send, and of what it raises besides; the latter is logged here, once.
        logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
        mesh, own_id = ctx.services[MESH], ctx.identity.node_id
        self._sightings = Sightings(ctx.clock.now, ctx.bites)
        announcements = Announcements(own_id, mesh.discovery_tag, ctx.clock.unix_ms)
        self._browser = ServiceBrowser(ctx, mesh, announcements, self._sightings)
        wanted = ctx.services[CONFIG].discovery()
        self._auto_dial = AutoDial(mesh, ctx.services[KEYSTORE], wanted, own_id, ctx.clock.now, ctx.bites)
        ctx.spawn("look out", self._tend())
        for number in range(ASKERS):
            ctx.spawn(f"ask {number + 1}", self._browser.ask())

    async def shutdown(self) -> None:
        """Say goodbye, so that others forget this node at once."""
        self._auto_dial.let_go_of_all()
        await self._browser.close(goodbye=True)

    def nodes(self) -> Sequence[DiscoveredNode]:
        """Return those that are there now, the longest known first."""
        return [
            DiscoveredNode(one.address.endpoint, one.node_id, None, one.first_seen, one.last_seen)
            for one in self._sightings.all()
        ]

    async def _tend(self) -> None:
        while not self._ctx.cancel.is_cancelled:
            await self._browser.tend()
            if not self._ctx.cancel.is_cancelled:
                self._auto_dial.review(self._sightings.all())
            await self._ctx.clock.sleep(TEND_S)
