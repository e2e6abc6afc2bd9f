"""Received messages: a batch is stored in one transaction, then acknowledged and told of."""

from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass

from pimd.contract import CONGESTION_MET, DatabaseError, EciesError, PluginContext, declare
from pimd.ids import NodeId
from pimd_features.messaging.batches import Batches
from pimd_features.messaging.models import MessageRecord
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.store import Conversation, MessageStore, Stored
from pimd_features.messaging.strangers import Strangers
from pimd_features.messaging.wire import BODY_LIMIT, AckKind, Acks, Msg

STORING = declare(
    "messages that wait to be stored", 64, "messages", "the next payload is taken when there is room again"
)

Told = Callable[[MessageRecord, Conversation], None]


@dataclass(frozen=True)
class _Arrived:
    """A message as it came."""

    src: NodeId
    msg: Msg
    congestion_met: bool


class Receiver:
    """Takes `messaging.msg` payloads; `told` is called for each message that is new, after it is on disk."""

    def __init__(
        self, ctx: PluginContext, store: MessageStore, sender: Sender, strangers: Strangers, told: Told
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._sender = sender
        self._strangers = strangers
        self._told = told
        self._arrived = Batches(STORING, ctx.bites, self._take)
        self.run = self._arrived.run
        self.drained = self._arrived.drained

    async def take(self, src: NodeId, body: bytes) -> None:
        """Queue a message; one that cannot be read is dropped."""
        try:
            msg = Msg.decode(body)
        except ValueError as error:
            self._ctx.log.debug("a message of %s was dropped: %s", src.abbreviated, error)
            return
        await self._arrived.put(_Arrived(src, msg, CONGESTION_MET.get()))

    async def _take(self, batch: list[_Arrived]) -> None:
        """Store what is new, acknowledge all of it, and what was stored before."""
        try:
            stored = await self._store_new(batch)
        except DatabaseError as error:
            # Not acknowledged, so the senders try again; a full disk is no reason for quarantine.
            self._ctx.log.error("%d received messages were not stored: %s", len(batch), error)
            return
        by_sender: dict[NodeId, list[_Arrived]] = {}
        for one in stored:
            by_sender.setdefault(one.src, []).append(one)
        for src, messages in by_sender.items():
            ids = tuple(one.msg.message_id for one in messages)
            congestion_met = any(one.congestion_met for one in messages)
            await self._sender.acknowledge(src, Acks(AckKind.DELIVERED, ids, congestion_met))

    async def _store_new(self, batch: list[_Arrived]) -> list[_Arrived]:
        known = await self._store.known([(one.src, one.msg.message_id) for one in batch])
        new = [one for one in batch if (one.src, one.msg.message_id) not in known]
        by_strangers = not all(self._strangers.is_contact(one.src) for one in new)
        room = self._strangers.room(await self._store.conversations() if by_strangers else ())
        jobs: list[tuple[_Arrived, Future[Stored | None] | None]] = []
        for one in batch:
            if (one.src, one.msg.message_id) in known:
                jobs.append((one, None))
            elif (text := self._opened(one)) is not None and (
                self._strangers.is_contact(one.src) or room.takes(one.src, len(text.encode()))
            ):
                jobs.append((one, self._store.add_received(self._record(one, text))))
        return [one for one, job in jobs if job is None or await self._is_stored(one, job)]

    async def _is_stored(self, one: _Arrived, job: "Future[Stored | None]") -> bool:
        try:
            stored = await job
        except DatabaseError as error:
            self._ctx.log.error("a message of %s was not stored: %s", one.src.abbreviated, error)
            return False
        if stored is not None:
            self._told(*stored)
        return True

    def _record(self, one: _Arrived, text: str) -> MessageRecord:
        now_ms = self._ctx.clock.unix_ms()
        return MessageRecord(
            id=one.msg.message_id,
            peer_node_id=one.src,
            direction="received",
            body=text,
            position=0,
            timestamp_ms=min(one.msg.timestamp_ms, now_ms),
            status="delivered",
            failure_reason=None,
            delivered_at_ms=now_ms,
            read_at_ms=None,
        )

    def _opened(self, one: _Arrived) -> str | None:
        try:
            plain = self._ctx.identity.open_sealed(one.msg.ciphertext)
            return plain.decode() if 1 <= len(plain) <= BODY_LIMIT else None
        except (EciesError, ValueError) as error:
            # Nothing is logged of the content; a UnicodeDecodeError would hold it.
            self._ctx.log.debug("a message of %s was dropped: %s", one.src.abbreviated, type(error).__name__)
            return None
