"""For features that send payloads only."""

from collections.abc import Callable

from pimd.contract import DatagramReceiver, Sent
from pimd.ids import NodeId


class NoDatagrams:
    """Implements `contract.Datagrams`; whoever uses it fails the test."""

    def send(self, dst: NodeId, packet: bytes) -> Sent:
        raise AssertionError("this feature sends no datagrams")

    def set_receiver(self, receiver: DatagramReceiver) -> None:
        raise AssertionError("this feature receives no datagrams")

    def set_writable(self, notice: Callable[[NodeId], None]) -> None:
        raise AssertionError("this feature sends no datagrams")
