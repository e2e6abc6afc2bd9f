"""A node that keeps what features send, instead of sending it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pimd.contract import DATAGRAM_MTU, DatagramReceiver, PayloadTooLarge, PluginPayload, Sent
from pimd.ids import NodeId
from pimd.lab.node import LabNode


@dataclass(frozen=True)
class SentPayload:
    """One payload that a plugin sent."""

    to: NodeId
    kind: str
    body: bytes
    direct: bool = False
    """Whether it went out with `send_direct`."""


@dataclass(frozen=True)
class SentDatagram:
    """One packet that a plugin sent."""

    to: NodeId
    packet: bytes


@dataclass
class Outbox:
    """What was sent, and what senders are told."""

    payloads: list[SentPayload] = field(default_factory=list)
    datagrams: list[SentDatagram] = field(default_factory=list)
    answer: Sent = Sent.SENT
    """What `send_routed` and `Datagrams.send` return; with all but SENT nothing is kept."""
    receivers: dict[bytes, DatagramReceiver] = field(default_factory=dict)
    """By channel."""
    writable: dict[NodeId, Callable[[NodeId], None]] = field(default_factory=dict)
    """Notices that are owed."""


class RecordingNode(LabNode):
    """The real node, but for its three ways out."""

    def __init__(self, *parts: Any, outbox: Outbox, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._outbox = outbox
        outbox.receivers.clear()
        self.datagrams.send = self._send_datagram  # type: ignore[method-assign]
        self.datagrams.register = self._register  # type: ignore[method-assign]
        self.datagrams.unregister = self._unregister  # type: ignore[method-assign]

    def send_direct(self, peer: NodeId, payload: PluginPayload) -> None:
        """Keep it."""
        self._outbox.payloads.append(SentPayload(peer, payload.kind, payload.body, direct=True))

    def send_routed(self, dst: NodeId, payload: PluginPayload) -> Sent:
        """Keep it, whether there is a route or not."""
        if self._outbox.answer is Sent.SENT:
            self._outbox.payloads.append(SentPayload(dst, payload.kind, payload.body))
        return self._outbox.answer

    async def ready(self, dst: NodeId) -> bool:
        """Answer at once: there is room unless there is no route."""
        del dst
        return self._outbox.answer is not Sent.NO_ROUTE

    def _send_datagram(
        self, channel: bytes, dst: NodeId, packet: bytes, notice: Callable[[NodeId], None] | None
    ) -> Sent:
        del channel
        if not packet:
            raise ValueError("a datagram has at least one byte")
        if len(packet) > DATAGRAM_MTU:
            raise PayloadTooLarge(f"a datagram has at most {DATAGRAM_MTU} bytes, this one {len(packet)}")
        if self._outbox.answer is Sent.SENT:
            self._outbox.datagrams.append(SentDatagram(dst, packet))
        elif notice is not None and self._outbox.answer is not Sent.NO_CARD:
            self._outbox.writable[dst] = notice
        return self._outbox.answer

    def _register(self, channel: bytes, receiver: DatagramReceiver) -> None:
        self._outbox.receivers[channel] = receiver

    def _unregister(self, channel: bytes) -> None:
        self._outbox.receivers.pop(channel, None)
