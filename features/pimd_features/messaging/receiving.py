"""Received messages: a batch is opened and stored in one transaction, then acknowledged and told of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pimd.contract import CONGESTION_MET, DatabaseError, PluginContext, TokenBucket, declare
from pimd.ids import NodeId
from pimd_features.messaging.batches import Batches
from pimd_features.messaging.keying import Keying
from pimd_features.messaging.models import MessageRecord
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.sessions.limits import STRANGERS_HEADERS
from pimd_features.messaging.sessions.message import Kind, Msg2
from pimd_features.messaging.sessions.receiving import Arrived, Outcome, What
from pimd_features.messaging.store import Conversation, Key, MessageStore, Received, Stored
from pimd_features.messaging.strangers import Strangers
from pimd_features.messaging.wire import AckKind, Acks

STORING = declare(
    "messages that wait to be stored", 64, "messages", "the next payload is taken when there is room again"
)

Told = Callable[[MessageRecord, Conversation], None]
Acked = Callable[[NodeId, bytes], Awaitable[None]]
_ACKS = frozenset({Kind.DELIVERED, Kind.READ})
_ACKNOWLEDGED = frozenset({Kind.TEXT, Kind.GROUP})


@dataclass(frozen=True)
class _Arrived:
    """A message as it came."""

    src: NodeId
    msg: Msg2
    congestion_met: bool

    @property
    def key(self) -> Key:
        return self.src, self.msg.message_id


class Receiver:
    """Takes `messaging.msg2` payloads; `told` is called for each message that is new, after it is on disk.

    `acked` gets acknowledgements that came as a message, as source and body of `messaging.acks`.
    """

    def __init__(
        self,
        ctx: PluginContext,
        store: MessageStore,
        keying: Keying,
        sender: Sender,
        strangers: Strangers,
        *,
        told: Told,
        acked: Acked,
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._keying = keying
        self._sender = sender
        self._strangers = strangers
        self._told = told
        self._acked = acked
        self.asked: Callable[[NodeId], None] = lambda _: None
        """Called with who asks for receipts of what was stored."""
        self.parcel_came: Callable[[NodeId], None] = lambda _: None
        """Called when a parcel of a peer is on disk."""
        self.takes_parcels: Callable[[NodeId], bool] = lambda _: True
        """Says whether there is room for a parcel of a peer."""
        self._headers = TokenBucket(STRANGERS_HEADERS, ctx.clock.now(), ctx.bites)
        self._arrived = Batches(STORING, ctx.bites, self._take)
        self.run = self._arrived.run
        self.drained = self._arrived.drained

    async def take(self, src: NodeId, body: bytes) -> None:
        """Queue a message; one that cannot be read is dropped."""
        try:
            msg = Msg2.decode(body)
        except ValueError as error:
            self._ctx.log.debug("a message of %s was dropped: %s", src.abbreviated, error)
            return
        await self._arrived.put(_Arrived(src, msg, CONGESTION_MET.get()))

    async def _take(self, batch: list[_Arrived]) -> None:
        """Store what is new, acknowledge all of it, and what was stored before."""
        try:
            received = await self._open_new(batch)
        except DatabaseError as error:
            # Not acknowledged, so the senders try again; a full disk is no reason for quarantine.
            self._ctx.log.error("%d received messages were not stored: %s", len(batch), error)
            return
        by_sender: dict[NodeId, list[_Arrived]] = {}
        for one, (outcome, stored) in received:
            self._keying.tell(one.src, outcome.reached, changed=outcome.account_changed)
            self._tell(one.src, outcome, stored)
            if outcome.what is What.LOST:
                await self._keying.say_lost(one.src, one.msg.session_id)
            elif outcome.plain is not None and outcome.plain.kind in _ACKS:
                await self._acked(one.src, bytes((outcome.plain.kind,)) + outcome.plain.body)
            elif outcome.what is What.KNOWN or (outcome.plain is not None and outcome.plain.kind in _ACKNOWLEDGED):
                by_sender.setdefault(one.src, []).append(one)
        for src, messages in by_sender.items():
            ids = tuple(one.msg.message_id for one in messages)
            congestion_met = any(one.congestion_met for one in messages)
            await self._sender.acknowledge(src, Acks(AckKind.DELIVERED, ids, congestion_met))
        for src in {
            one.src for one, (outcome, _) in received if outcome.plain is not None and outcome.plain.asks_receipt
        }:
            self.asked(src)

    def _tell(self, src: NodeId, outcome: Outcome, stored: Stored | None) -> None:
        if stored is not None:
            self._told(*stored)
        if outcome.plain is not None and outcome.plain.kind == Kind.GROUP:
            self.parcel_came(src)
        if outcome.what is What.UNWELCOME:
            self._strangers.note(src, welcome=False)

    async def _open_new(self, batch: list[_Arrived]) -> list[tuple[_Arrived, Received]]:
        """Open and store what is welcome; each in a job of its own, so that none fails with another."""
        moment, jobs = self._keying.moment(), []
        for one, texts in await self._welcome(batch):
            expected, room = self._strangers.is_expected(one.src), self.takes_parcels(one.src)
            arrived = Arrived(one.src, expected, one.msg, texts, room)
            jobs.append((one, self._store.add_received(arrived, self._keying.account, moment)))
        received: list[tuple[_Arrived, Received]] = []
        for one, job in jobs:
            try:
                received.append((one, await job))
            except DatabaseError as error:
                self._ctx.log.error("a message of %s was not stored: %s", one.src.abbreviated, error)
        return received

    async def _welcome(self, batch: list[_Arrived]) -> list[tuple[_Arrived, bool]]:
        """Return what is to be opened, and whether a text is welcome.

        A stranger's message that finds no room is refused unopened, by its padded size: opening would use up its key.
        """
        contacts = {src: self._strangers.is_contact(src) for src in {one.src for one in batch}}
        if all(contacts.values()):
            return [(one, True) for one in batch]
        by_strangers = [one for one in batch if not contacts[one.src]]
        known, kept = await self._store.known([Arrived(one.src, False, one.msg) for one in by_strangers])  # noqa: FBT003
        room = self._strangers.room(await self._store.conversations())
        for src, messages, size in await self._store.parcels_of_strangers():
            room.add(src, messages, size)
        now, welcome = self._ctx.clock.now(), list[tuple[_Arrived, bool]]()
        for one in batch:
            if contacts[one.src] or one.key in known:
                welcome.append((one, contacts[one.src]))
            elif one.src in self._strangers.fellows:
                welcome.append((one, room.would_take(one.src, one.msg.padded)))
            elif room.takes(one.src, one.msg.padded) and (
                one.key in kept or not one.msg.header or self._headers.take(now)
            ):
                welcome.append((one, True))
        return welcome
