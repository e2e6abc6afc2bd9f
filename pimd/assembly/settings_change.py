"""Puts changed settings in force while the daemon runs, as far as that is possible."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence

from pimd.assembly.assembly import Assembly
from pimd.assembly.choice import AssemblyError
from pimd.assembly.imports import FeatureChoice
from pimd.contract import Feature, PeerEntry
from pimd.ids import NodeId
from pimd.mesh.node import Node
from pimd.settings import Settings
from pimd.settings.restart import changed_keys, needing_restart
from pimd.store.keystore import Keystore
from pimd.store.overrides import FEATURES, base

log = logging.getLogger("pimd.settings")


class SettingsChange:
    """Acts on the mesh and the features; `set_log_level` takes the word of `[log] level`."""

    def __init__(
        self,
        node: Node,
        keystore: Keystore,
        assembly: Assembly,
        features: Collection[Feature],
        choice_of: Callable[[Settings], FeatureChoice],
        set_log_level: Callable[[str], None] | None,
    ) -> None:
        self._mesh = node.service
        self._keystore = keystore
        self._assembly = assembly
        self._imported = features
        self._choice_of = choice_of
        self._set_log_level = set_log_level

    def check(self, settings: Settings) -> Iterator[tuple[Sequence[str | int], str]]:
        """Yield the keys of what features do not accept in their tables, and why."""
        choice = self._choice_of(settings)
        for feature in self._imported:
            try:
                if feature.name not in choice.disabled:
                    choice.settings_of(feature)
            except AssemblyError as error:
                yield error.key, str(error).removeprefix(f"{'.'.join(map(str, error.key))}: ")

    async def apply(self, before: Settings, files: Settings, after: Settings) -> Sequence[str]:
        """Put in force what differs; returns the keys that count from the next start on.

        `before` are the settings in force, and `files` what the files said until now: of switches these were followed.
        """
        waiting = needing_restart(before, after)
        if "peers" in self._assembly.running():
            await self._peers(before, after)
        period_s = after.messaging.broadcast.outgoing_interval_s
        if period_s != before.messaging.broadcast.outgoing_interval_s:
            self._mesh.set_broadcast_interval(period_s)
        if after.log.level != before.log.level:
            if self._set_log_level is not None:
                self._set_log_level(after.log.level)
            else:
                waiting.append("log.level")
        waiting += await self._features(files, after)
        changed = changed_keys(before, after)
        log.info("the configuration was changed: %s", ", ".join(changed) or "nothing that counts")
        if waiting:
            log.info("these settings count from the next start on: %s", ", ".join(waiting))
        return waiting

    async def _peers(self, before: Settings, after: Settings) -> None:
        old = {peer.endpoint: peer for peer in before.peers if peer.endpoint is not None}
        new = {peer.endpoint: peer for peer in after.peers if peer.endpoint is not None}
        known = {dial.entry.endpoint: dial.node_id for dial in self._mesh.dials()}
        for endpoint in old.keys() - new.keys():
            self._mesh.stop_dialling(endpoint)
            await self._keystore.unpin(endpoint=endpoint)
            peer = known.get(endpoint)
            if peer is not None and not self._mesh.is_configured(peer):
                await self._mesh.hang_up(peer)
        for endpoint, one in new.items():
            if one != old.get(endpoint):
                node_id = NodeId.parse(one.node_id) if one.node_id is not None else None
                self._mesh.keep_dialling(PeerEntry(endpoint, node_id, one.label), configured=True)

    async def _features(self, before: Settings, after: Settings) -> list[str]:
        """Switch features; returns those that stay as they are until the next start."""
        waiting = []
        for name in [row.name for row in self._assembly.rows()]:
            was, now = base(f"{FEATURES}{name}", before), base(f"{FEATURES}{name}", after)
            if was == now:
                continue
            try:
                if now in {"off", "unlisted"}:
                    await self._assembly.disable(name)
                elif now == "on":
                    await self._assembly.enable(name)
                else:  # whether it is on by default is known once it was imported
                    waiting.append(f"features.{name}")
            except AssemblyError as error:
                log.warning("%s", error)
                waiting.append(f"features.{name}")
        return waiting
