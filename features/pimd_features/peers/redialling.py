"""Dials peers that are down at once when somebody sees them nearby, in place of minutes later."""

from pimd.contract import MESH, PluginContext
from pimd.ids import NodeId
from pimd_features.peers.nearby import nearby

REDIAL_S = 5.0
"""A node is dialled ahead of its turn at most this often, because anybody can announce its id."""


class Redials:
    """Remembers, of those who are nearby, when they were last dialled ahead of their turn."""

    def __init__(self, ctx: PluginContext) -> None:
        self._ctx = ctx
        self._at: dict[NodeId, float] = {}

    def look(self) -> None:
        """Redial what is down and was heard since the last time."""
        mesh, now = self._ctx.services[MESH], self._ctx.clock.now()
        down = [dial for dial in mesh.dials() if dial.state == "waiting"]
        peers = {dial.node_id for dial in down}
        unmet = {dial.entry.endpoint for dial in down if dial.node_id is None}
        before, self._at = self._at, {}
        for node in nearby(self._ctx):
            if node.node_id is None:
                continue
            last = self._at.get(node.node_id, before.get(node.node_id, float("-inf")))
            if node.last_seen > last and now - last >= REDIAL_S and (node.node_id in peers or node.endpoint in unmet):
                last = now
                mesh.redial(node.node_id)
            self._at[node.node_id] = last
