"""Received messages: a batch is opened and stored in one transaction, then acknowledged and told of."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pimd.contract import (
    CONGESTION_MET,
    DatabaseError,
    PluginContext,
    PluginPayload,
    TokenBucket,
    declare,
    declare_rate,
)
from pimd.ids import NodeId
from pimd_features.messaging.batches import Batches
from pimd_features.messaging.keying import Keying
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.sessions.limits import SESSION_MESSAGES, STRANGERS_HEADERS
from pimd_features.messaging.sessions.message import ACKNOWLEDGED, Kind, Msg2
from pimd_features.messaging.sessions.receiving import Arrived, Outcome, What
from pimd_features.messaging.store import Content, MessageStore, Received
from pimd_features.messaging.strangers import Strangers
from pimd_features.messaging.wire import TAKEN_KIND, AckKind, Acks, Key, taken

STORING = declare(
    "messages that wait to be stored", 64, "messages", "the next payload is taken when there is room again"
)

LETTERS_HEADERS = declare_rate(
    "headers that mailboxes bring", 50, "headers", "put off; the mailbox hands the message over later", burst=200
)

Told = Callable[[NodeId, Content], None]


@dataclass(frozen=True)
class _Arrived:
    """A message as it came."""

    src: NodeId
    msg: Msg2
    congestion_met: bool
    mailbox: NodeId | None = None
    """Which mailbox brought it, and claims who sent it."""

    @property
    def key(self) -> Key:
        return self.src, self.msg.message_id


class Receiver:
    """Takes `messaging.msg2` payloads, and what mailboxes bring of them.

    `told` is called for each message that is new, and for acknowledgements and receipts that came as one, after it is on
    disk; `owes` with those whom a mailbox brought something of, and who are to be acknowledged though they may be away.
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
        owes: Callable[[NodeId], None],
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._keying = keying
        self._sender = sender
        self._strangers = strangers
        self._told = told
        self.asked: Callable[[NodeId], None] = lambda _: None
        """Called with who asks for receipts of what was stored."""
        self.parcel_came: Callable[[NodeId], None] = lambda _: None
        """Called when a parcel of a peer is on disk."""
        self.takes_parcels: Callable[[NodeId], bool] = lambda _: True
        """Says whether there is room for a parcel of a peer."""
        self._owes = owes
        self._headers = TokenBucket(STRANGERS_HEADERS, ctx.clock.now(), ctx.bites)
        self._letters_headers = TokenBucket(LETTERS_HEADERS, ctx.clock.now(), ctx.bites)
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

    async def take_letter(self, mailbox: NodeId, src: NodeId, msg: Msg2) -> None:
        """Queue a message that a mailbox brought, and says it is of `src`."""
        await self._arrived.put(_Arrived(src, msg, congestion_met=False, mailbox=mailbox))

    async def answer(self, mailbox: NodeId, keys: Sequence[Key], *, later: bool) -> None:
        """Tell a mailbox that messages were dealt with, or are to be handed over later; best effort."""
        await self._ctx.control.send_routed(mailbox, PluginPayload(TAKEN_KIND, taken(keys, later=later)))

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
            if outcome.what is What.LOST and not (outcome.number_used and one.mailbox is not None):
                await self._keying.say_lost(one.src, one.msg.session_id)
            elif outcome.what is What.KNOWN or (outcome.plain is not None and outcome.plain.kind in ACKNOWLEDGED):
                if one.mailbox is not None:
                    self._owes(one.src)
                else:
                    by_sender.setdefault(one.src, []).append(one)
        for later in (False, True):
            await self._answer(
                (one for one, (outcome, _) in received if _may_open_later(outcome) is later), later=later
            )
        for src, messages in by_sender.items():
            ids = tuple(one.msg.message_id for one in messages)
            congestion_met = any(one.congestion_met for one in messages)
            await self._sender.acknowledge(src, Acks(AckKind.DELIVERED, ids, congestion_met))
        for src in {
            one.src for one, (outcome, _) in received if outcome.plain is not None and outcome.plain.asks_receipt
        }:
            self.asked(src)

    def _tell(self, src: NodeId, outcome: Outcome, stored: Content | None) -> None:
        if stored is not None:
            self._told(src, stored)
        if outcome.plain is not None and outcome.plain.kind == Kind.GROUP:
            self.parcel_came(src)
        if outcome.what is What.UNWELCOME:
            self._strangers.note(src, welcome=False)

    async def _answer(self, batch: Iterable[_Arrived], *, later: bool) -> None:
        by_mailbox: dict[NodeId, list[Key]] = {}
        for one in batch:
            if one.mailbox is not None:
                by_mailbox.setdefault(one.mailbox, []).append(one.key)
        for mailbox, keys in by_mailbox.items():
            await self.answer(mailbox, keys, later=later)

    async def _open_new(self, batch: list[_Arrived]) -> list[tuple[_Arrived, Received]]:
        """Open and store what is welcome; each in a job of its own, so that none fails with another."""
        moment, jobs = self._keying.moment(), []
        welcome = await self._welcome(batch)
        if len(welcome) < len(batch):
            taken_keys = {one.key for one, _ in welcome}
            await self._answer((one for one in batch if one.key not in taken_keys), later=True)
        for one, texts in welcome:
            expected, room = self._strangers.is_expected(one.src), self.takes_parcels(one.src)
            arrived = Arrived(one.src, expected, one.msg, texts, room)
            by_mailbox = one.mailbox is not None
            jobs.append((one, self._store.add_received(arrived, self._keying.account, moment, by_mailbox=by_mailbox)))
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
        if all(contacts.values()) and all(one.mailbox is None for one in batch):
            return [(one, True) for one in batch]
        doubtful = [one for one in batch if not contacts[one.src] or one.mailbox is not None]
        known, kept = await self._store.known([Arrived(one.src, False, one.msg) for one in doubtful])  # noqa: FBT003
        room = self._strangers.room(await self._store.conversations())
        for src, messages, size in await self._store.parcels_of_strangers():
            room.add(src, messages, size)
        now = self._ctx.clock.now()

        def text_is_welcome(one: _Arrived) -> bool | None:
            """None when the message is not to be opened."""
            begins = bool(one.msg.header) and one.key not in kept
            if one.key in known or (contacts[one.src] and one.mailbox is None):
                return contacts[one.src]
            if one.mailbox is not None and begins and not self._letters_headers.take(now):
                return None
            if contacts[one.src]:
                return True
            if one.src in self._strangers.fellows:
                return room.would_take(one.src, one.msg.padded)
            takes = room.takes(one.src, one.msg.padded)
            return True if takes and (not begins or one.mailbox is not None or self._headers.take(now)) else None

        return [(one, texts) for one in batch if (texts := text_is_welcome(one)) is not None]


def _may_open_later(outcome: Outcome) -> bool:
    """Whether want of room alone kept a message from being stored; a number beyond its session never fits."""
    lacks_room = outcome.what is What.DROPPED and outcome.reached not in ((), (SESSION_MESSAGES,))
    return lacks_room or outcome.what is What.UNWELCOME
