"""Which sightings of identities become `peer_seen`: all direct ones, others as often as configured."""

from pimd.contract import CONFIG, KEYSTORE, PeerInfoSource, PluginContext, RecentMap, Seen, declare
from pimd.ids import NodeId

ORIGINS = declare(
    "identities remembered as told of",
    20_000,
    "identities",
    "the one announced longest ago is forgotten; direct and imported ones take no place",
)


class Sightings:
    """Applies `[messaging.broadcast]` as configured at the moment of each call."""

    def __init__(self, ctx: PluginContext) -> None:
        self._clock = ctx.clock
        self._config = ctx.services[CONFIG]
        self._keystore = ctx.services[KEYSTORE]
        self._told_at: RecentMap[NodeId, float] = RecentMap(ORIGINS, ctx.bites)

    def is_told(self, seen: Seen) -> bool:
        """Tell whether to announce a sighting to the user; True starts the interval of that identity."""
        if seen.via is PeerInfoSource.DIRECT or self._is_imported(seen.node_id):
            return True
        broadcast, now = self._config.broadcast(), self._clock.now()
        last = self._told_at.get(seen.node_id, float("-inf"))
        if not broadcast.watch_incoming or now - last < broadcast.min_peer_interval_s:
            return False
        self._told_at.put(seen.node_id, now)
        return True

    def forget(self, node_id: NodeId) -> None:
        """Announce this identity at once when it is seen again, since its removal was announced."""
        self._told_at.pop(node_id, None)

    def _is_imported(self, node_id: NodeId) -> bool:
        """The user brought the key, so no other node announced it."""
        known = self._keystore.get(node_id)
        return known is not None and known.known == "imported"
