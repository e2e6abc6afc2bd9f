"""Acknowledgements of peers: those of a batch are stored in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass

from pimd.contract import DatabaseError, PluginContext, declare
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.batches import Batches
from pimd_features.messaging.models import Status
from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.store import Raised
from pimd_features.messaging.wire import ACKED_AT_ONCE, AckKind, Acks

NOTING = declare(
    "payloads of acknowledgements that wait to be stored",
    64,
    "payloads",
    "the next payload is taken when there is room again",
)
IDS = declare("messages that one payload acknowledges", ACKED_AT_ONCE, "messages", "the payload is dropped")

_STATUS: dict[AckKind, Status] = {AckKind.DELIVERED: "delivered", AckKind.READ: "read"}


@dataclass(frozen=True)
class _Arrived:
    """A payload as it came."""

    src: NodeId
    status: Status
    acks: Acks


class Acknowledged:
    """Takes `messaging.acks` payloads: messages rise in status, and leave the outbox."""

    def __init__(
        self,
        ctx: PluginContext,
        sender: Sender,
        outbox: Outbox,
        changed: Callable[[NodeId, MessageId, Status], None],
    ) -> None:
        self._changed = changed
        self._ctx = ctx
        self._sender = sender
        self._outbox = outbox
        self._arrived = Batches(NOTING, ctx.bites, self._take)
        self.run = self._arrived.run
        self.drained = self._arrived.drained

    async def take(self, src: NodeId, body: bytes) -> None:
        """Queue acknowledgements; those that are malformed, or of a kind of a later version, are dropped."""
        if len(body) > 1 + IDS.value * MessageId.SIZE:
            self._ctx.bites.count(IDS)
            return
        try:
            acks = Acks.decode(body)
            status = _STATUS[AckKind(acks.kind)]
        except ValueError:
            return
        await self._arrived.put(_Arrived(src, status, acks))

    def raised(self, src: NodeId, raised: Raised) -> None:
        """Tell of acknowledgements that came as a message, maybe long after; they are stored already."""
        for id_ in raised.changed:
            self._changed(src, id_, raised.status)
        for id_ in raised.ids:
            self._outbox.remove(src, id_)
        self._sender.wake()

    async def _take(self, batch: list[_Arrived]) -> None:
        groups: dict[tuple[NodeId, Status], list[Acks]] = {}
        for one in batch:
            groups.setdefault((one.src, one.status), []).append(one.acks)
        for (src, status), payloads in groups.items():
            ids = [id_ for acks in payloads for id_ in acks.message_ids]
            try:
                await self._sender.note(src, ids, status)
            except DatabaseError as error:
                # They stay in the outbox and are sent again, and then acknowledged again.
                self._ctx.log.error("%d acknowledgements of %s were not stored: %s", len(ids), src.abbreviated, error)
                continue
            now = self._ctx.clock.now()
            for acks in payloads:
                for id_ in acks.message_ids:
                    self._outbox.acknowledged(src, id_, now, congestion_met=acks.congestion_met)
        self._sender.wake()
