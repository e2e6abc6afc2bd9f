"""How a plugin sends payloads, and what it learns of their way."""

import enum
from contextvars import ContextVar
from typing import Protocol

from pimd.ids import NodeId
from pimd.proto.frames import PluginPayload

CONGESTION_MET: ContextVar[bool] = ContextVar("CONGESTION_MET", default=False)
"""Within `handle_payload`: whether a send queue on the way was half full. A hint; no relay can prove it.

Plugins that acknowledge payloads tell their peer, which then sends less at once.
"""


class Sent(enum.Enum):
    """What became of a frame; true exactly for SENT. With all others nothing was queued."""

    SENT = "sent"
    """In the send queue of a next hop; it may be lost with its link or at a relay, so only an answer proves arrival."""
    NO_ROUTE = "no route"
    """No way to the destination is known."""
    NO_CARD = "no card"
    """The destination's identity card, with the key to seal for, is not here; it was asked for if somebody has it."""
    CONGESTED = "congested"
    """There is no room, or there are no keys yet."""

    def __bool__(self) -> bool:
        return self is Sent.SENT


class ControlSender(Protocol):
    """Sends payloads of the kinds that the plugin claimed or named in `sent_kinds`, and nothing else.

    Both sending methods raise ValueError for any other kind, and `PayloadTooLarge` for a body over 60 000
    bytes, before anything is sent.

    Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never in
    a thread.

    Errors: ValueError and `PayloadTooLarge` are faults of the caller, and nothing was sent. What the network does is
    no error, but a `Sent`.
    """

    async def send_direct(self, peer: NodeId, frame: PluginPayload) -> None:
        """Send to a connected neighbour, best effort, plain on the authenticated link; failures are only logged."""

    async def send_routed(self, dst: NodeId, frame: PluginPayload) -> Sent:
        """Seal end to end and queue for the next hop, over any number of hops, also to a neighbour."""

    async def ready(self, dst: NodeId) -> bool:
        """Wait until a payload to `dst` would find room; False when there is no route, or when it is lost meanwhile."""
