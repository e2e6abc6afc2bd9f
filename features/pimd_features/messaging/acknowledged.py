"""Acknowledgements of peers: those of a batch are stored in one transaction."""

from dataclasses import dataclass

from pimd.contract import DatabaseError, PluginContext, declare
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.batches import Batches
from pimd_features.messaging.models import Status
from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.wire import Ack, AckKind

NOTING = declare(
    "acknowledgements that wait to be stored",
    256,
    "acknowledgements",
    "the next payload is taken when there is room again",
)

_STATUS: dict[AckKind, Status] = {AckKind.DELIVERED: "delivered", AckKind.READ: "read"}


@dataclass(frozen=True)
class _Arrived:
    """An acknowledgement as it came."""

    src: NodeId
    status: Status
    message_id: MessageId
    congestion_met: bool


class Acknowledged:
    """Takes `messaging.ack` payloads: messages rise in status, and leave the outbox."""

    def __init__(self, ctx: PluginContext, sender: Sender, outbox: Outbox) -> None:
        self._ctx = ctx
        self._sender = sender
        self._outbox = outbox
        self._arrived = Batches(NOTING, ctx.bites, self._take)
        self.run = self._arrived.run
        self.drained = self._arrived.drained

    async def take(self, src: NodeId, body: bytes) -> None:
        """Queue an acknowledgement; one that is malformed, or of a kind of a later version, is dropped."""
        try:
            ack = Ack.decode(body)
            status = _STATUS[AckKind(ack.kind)]
        except ValueError:
            return
        await self._arrived.put(_Arrived(src, status, ack.message_id, ack.congestion_met))

    async def _take(self, batch: list[_Arrived]) -> None:
        groups: dict[tuple[NodeId, Status], list[_Arrived]] = {}
        for one in batch:
            groups.setdefault((one.src, one.status), []).append(one)
        for (src, status), acks in groups.items():
            try:
                await self._sender.note(src, [one.message_id for one in acks], status)
            except DatabaseError as error:
                # They stay in the outbox and are sent again, and then acknowledged again.
                self._ctx.log.error("%d acknowledgements of %s were not stored: %s", len(acks), src.abbreviated, error)
                continue
            for one in acks:
                self._outbox.acknowledged(src, one.message_id, congestion_met=one.congestion_met)
        self._sender.wake()
