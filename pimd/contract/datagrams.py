"""Packets that may be lost: plain IP, voice, and other protocols that repeat themselves."""

from collections.abc import Callable
from typing import Protocol

from pimd.contract.control import Sent
from pimd.ids import NodeId

DATAGRAM_MTU = 65_545
"""Bytes of the largest packet."""

DatagramReceiver = Callable[[NodeId, bytes], None]
"""Called within the turn of the event loop that read the packet, with a proven source; it must not block."""


class Datagrams(Protocol):
    """Sealed, unordered packets between the plugins of one feature on two nodes; everything here is synchronous.

    Each feature has a channel of its own. Packets that wait longer than 100 ms at this node or a relay are dropped.
    """

    def send(self, dst: NodeId, packet: bytes) -> Sent:
        """Queue a packet of 1 to 65 545 bytes; `PayloadTooLarge` or ValueError otherwise.

        The first packet to a peer finds no keys: CONGESTED, and the writable notice follows once there are some. A peer that
        never answers the exchange of keys, such as an older node, stays CONGESTED.
        """

    def set_receiver(self, receiver: DatagramReceiver) -> None:
        """Take packets from now on; what it raises is logged and counted, like a failure of `handle_payload`."""

    def set_writable(self, notice: Callable[[NodeId], None]) -> None:
        """Call `notice` once after each CONGESTED or NO_ROUTE, when a packet to that peer may be queued again."""
