"""Packets that may be lost: plain IP, voice, and other protocols that repeat themselves."""

from collections.abc import Callable
from typing import Protocol

from pimd.contract.control import Sent
from pimd.ids import NodeId

DATAGRAM_MTU = 65_545
"""Bytes of the largest packet."""

DatagramReceiver = Callable[[NodeId, bytes], None]
"""Called by the daemon within the turn of the event loop that read the packet, with a proven source; it must not block.

Errors: what it raises is logged and counted, and the next packet comes.
"""


class Datagrams(Protocol):
    """Sealed, unordered packets between the plugins of one feature on two nodes; everything here is synchronous.

    Each feature has a channel of its own. Packets that wait longer than 100 ms at this node or a relay are dropped.

    Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never in
    a thread. Receiver and notice are called by the daemon within the turn that read a packet, between `start` and the
    stop.

    Errors: `PayloadTooLarge` and ValueError are faults of the caller, and nothing was sent. What receiver and notice
    raise is logged and counted.
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
