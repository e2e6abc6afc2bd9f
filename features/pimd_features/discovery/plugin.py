"""Finds nodes on the local network, and dials those that the policy allows."""

import logging
from collections.abc import Sequence
from typing import ClassVar

from pimd.contract import CONFIG, KEYSTORE, MESH, DaemonPlugin, DiscoveredNode, PluginContext
from pimd_features.discovery.announcement import Announcements
from pimd_features.discovery.dialling import AutoDial
from pimd_features.discovery.service_browser import ServiceBrowser
from pimd_features.discovery.settings import DiscoverySettings
from pimd_features.discovery.sightings import Sightings

TEND_S = 0.5
"""Seconds between two checks of network, announcement and candidates; each check dials at most one node."""
ASKERS = 4
"""Instances queried at the same time."""


class DiscoveryPlugin(DaemonPlugin[DiscoverySettings]):
    """Implements `contract.Discovery`; without a network it tries again until there is one."""

    name: ClassVar[str] = "discovery"

    def __init__(self) -> None:
        self._has_begun = False

    async def start(self, ctx: PluginContext[DiscoverySettings]) -> None:
        """Start the tasks and return at once; the start of the daemon does not wait for the network."""
        self._ctx = ctx
        # python-zeroconf warns of what strangers send and of its own errors; the latter are logged here, once.
        logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
        mesh, own_id = ctx.services[MESH], ctx.identity.node_id
        self._sightings = Sightings(ctx.clock.now, ctx.bites)
        announcements = Announcements(mesh, own_id, ctx.services[CONFIG].node_name())
        self._browser = ServiceBrowser(ctx, mesh, announcements, self._sightings)
        self._auto_dial = AutoDial(mesh, ctx.services[KEYSTORE], ctx.settings, own_id, ctx.clock.now, ctx.bites)
        self._has_begun = True
        ctx.every(TEND_S, self._tend, at_once=True)
        for number in range(ASKERS):
            ctx.spawn(f"ask {number + 1}", self._browser.ask())

    async def shutdown(self) -> None:
        """Withdraw the announcement, so that other nodes drop this one at once; nothing to do when `start` failed."""
        if not self._has_begun:
            return
        self._auto_dial.let_go_of_all()
        await self._browser.close(goodbye=True)

    def nodes(self) -> Sequence[DiscoveredNode]:
        """Return the nodes that announce themselves now, the one known for longest first."""
        return [
            DiscoveredNode(one.address.endpoint, one.node_id, one.name, one.first_seen, one.last_seen)
            for one in self._sightings.all()
        ]

    async def _tend(self) -> None:
        if not self._ctx.cancel.is_cancelled:
            await self._browser.tend()
        if not self._ctx.cancel.is_cancelled:
            self._auto_dial.review(self._sightings.all())
