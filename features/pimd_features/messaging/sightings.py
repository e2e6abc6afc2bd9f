"""Which sightings of identities are told of: every direct one, and of those that come over other nodes as many as wanted."""

from pimd.contract import CONFIG, KEYSTORE, PeerInfoSource, PluginContext, RecentMap, Seen, declare
from pimd.ids import NodeId

ORIGINS = declare(
    "identities remembered as told of",
    20_000,
    "identities",
    "of those that came over others the one told of longest ago is forgotten",
)


class Sightings:
    """Decides by `[messaging.broadcast]` as it is in force at that moment."""

    def __init__(self, ctx: PluginContext) -> None:
        self._clock = ctx.clock
        self._config = ctx.services[CONFIG]
        self._keystore = ctx.services[KEYSTORE]
        self._told_at: RecentMap[NodeId, float] = RecentMap(ORIGINS, ctx.bites)

    def is_told(self, seen: Seen) -> bool:
        """Tell whether the user is to hear of it; True counts as told."""
        if seen.via is PeerInfoSource.DIRECT or self._is_imported(seen.node_id):
            return True
        broadcast, now = self._config.broadcast(), self._clock.now()
        last = self._told_at.get(seen.node_id, float("-inf"))
        if not broadcast.watch_incoming or now - last < broadcast.min_peer_interval_s:
            return False
        self._told_at.put(seen.node_id, now)
        return True

    def forget(self, node_id: NodeId) -> None:
        """Tell of it at once when it comes back: whoever was told that it is gone must hear that it is not."""
        self._told_at.pop(node_id, None)

    def _is_imported(self, node_id: NodeId) -> bool:
        """The user brought the key, so it came over nobody."""
        known = self._keystore.get(node_id)
        return known is not None and known.known == "imported"
