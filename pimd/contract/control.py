"""How a plugin sends."""

from typing import Protocol

from pimd.ids import NodeId
from pimd.proto.frames import PluginPayload


class ControlSender(Protocol):
    """Sends payloads of the kinds that the plugin claimed, and nothing else.

    Both methods raise ValueError for a kind the plugin did not claim, and `PayloadTooLarge` for a body over 60 000 bytes,
    before anything is sent.
    """

    async def send_direct(self, peer: NodeId, frame: PluginPayload) -> None:
        """Send to a connected neighbour, best effort, plain on the authenticated link; failures are only logged."""

    async def send_routed(self, dst: NodeId, frame: PluginPayload) -> bool:
        """Send sealed end to end over any number of hops, also to a neighbour.

        True when the send to a next hop was attempted (not that it arrived); False when no route or no card of `dst` exists.
        """
