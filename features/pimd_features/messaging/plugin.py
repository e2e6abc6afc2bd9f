"""The messaging plugin: puts storage, sending and receiving together behind `messages.*`."""

import random
import uuid
from collections.abc import Callable
from typing import ClassVar

from pimd.contract import (
    KEYSTORE,
    MESH,
    PUBLISH,
    DaemonPlugin,
    Database,
    DatabaseError,
    Erased,
    Forgotten,
    InvalidParams,
    Lagged,
    MeshEvent,
    NoParams,
    PeerDirectoryEvent,
    PeerInfoSource,
    PluginContext,
    RouteFound,
    RouteLost,
    Seen,
    StorageError,
    Subscription,
    after_answer,
    kem_probe,
    rpc,
)
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import models
from pimd_features.messaging.acknowledged import Acknowledged
from pimd_features.messaging.archive import Archive, ArchiveMethods
from pimd_features.messaging.connections import tell_connections
from pimd_features.messaging.errors import MessageBodyTooLarge, MessagePeerUnknown, storage
from pimd_features.messaging.keying import Keying
from pimd_features.messaging.lines import LATEST, Span, lines_of
from pimd_features.messaging.mail import ANNOUNCE_S, Mail
from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.owing import Had, Owed, Proven
from pimd_features.messaging.parcels import ParcelService
from pimd_features.messaging.positions import UpTo
from pimd_features.messaging.posting import Posting
from pimd_features.messaging.receipts import RECEIPTS_KIND, Receipts
from pimd_features.messaging.receiving import Receiver
from pimd_features.messaging.schema import RECEIPTS_FOR_MS, migrations
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.session_methods import SessionMethods
from pimd_features.messaging.sessions.bundle import BUNDLE_KIND
from pimd_features.messaging.sessions.message import BODY_LIMIT, MSG_KIND
from pimd_features.messaging.sessions.reset import RESET_KIND
from pimd_features.messaging.sightings import Sightings
from pimd_features.messaging.store import Content, Conversation, MessageStore, Outgoing, Raised
from pimd_features.messaging.strangers import Strangers
from pimd_features.messaging.wire import ACKS_KIND, KEPT_KIND, MAIL_KIND, PUT_KIND, QUESTION_KIND, TAKEN_KIND, Kept

DATABASE_NAME = "messages.db"
HOUSEKEEPING_S = 3600.0


class MessagingPlugin(ArchiveMethods, SessionMethods, DaemonPlugin[models.MessagingSettings]):
    """End-to-end encrypted messages between people."""

    name: ClassVar[str] = "messaging"
    payload_kinds: ClassVar[tuple[str, ...]] = (
        MSG_KIND,
        ACKS_KIND,
        BUNDLE_KIND,
        RESET_KIND,
        RECEIPTS_KIND,
        MAIL_KIND,
        KEPT_KIND,
    )
    sent_kinds: ClassVar[tuple[str, ...]] = (PUT_KIND, TAKEN_KIND, QUESTION_KIND)

    def __init__(self) -> None:
        self._database: Database | None = None
        self._takers: dict[str, Receiver | Acknowledged] = {}
        self._with_messages: set[NodeId] = set()
        self._let_go: Callable[[], None] = lambda: None
        self._repeating: set[NodeId] = set()

    # --- DaemonPlugin

    async def start(self, ctx: PluginContext[models.MessagingSettings]) -> None:
        """Open the store, and load the messages that were not acknowledged before the last stop."""
        kem_probe()
        self._ctx = ctx
        self._keystore, self._mesh, self._publish = (ctx.services[KEYSTORE], ctx.services[MESH], ctx.services[PUBLISH])
        self._database = await self._opened(ctx)
        self._store = MessageStore(self._database, ctx.bites, gives_receipts=ctx.settings.receipts)
        self._outbox = Outbox(random.random)
        self._with_messages |= {one.peer for one in await self._store.conversations()}
        self._let_go = self._keystore.keep(self._with_messages.__contains__)
        for message in await self._store.waiting():
            self._outbox.add(message)
        self._archive = Archive(ctx, self._database)
        self._strangers = Strangers(ctx)
        self._keying = Keying(
            ctx,
            self._database,
            self._strangers,
            mailboxes=tuple(dict.fromkeys(one for one in ctx.settings.mailboxes if one != ctx.identity.node_id)),
            can_begin=self._send_more,
            restarted=self._session_restarted,
            leave_reset=lambda peer, reset: self._posting.leave_reset(peer, reset),  # noqa: PLW0108 - made later
        )
        await self._keying.load()
        self._sender = Sender(ctx, self._store, self._keying, self._outbox, self._status_changed)
        self._sender.owe_receipts(await self._store.peers_with_receipts())
        self.parcels = ParcelService(ctx, self._database, self._outbox, self._strangers, self._sender.wake)
        await self.parcels.load()
        self._sightings = Sightings(ctx)
        self._receipts = Receipts(ctx, Owed(self._database), Had(self._database, ctx.identity.node_id))
        await self._receipts.load()
        await self._begin_posting(ctx, self._database)
        self._acknowledged = acknowledged = Acknowledged(ctx, self._sender, self._outbox, self._status_changed)
        receiver = Receiver(
            ctx,
            self._store,
            self._keying,
            self._sender,
            self._strangers,
            told=self._tell_received,
            owes=self._posting.owe,
        )
        receiver.asked = self._asked_for_receipts
        receiver.parcel_came, receiver.takes_parcels = self.parcels.came, self.parcels.has_room
        await self._begin_mail(ctx, receiver)
        self._takers = {MSG_KIND: receiver, ACKS_KIND: acknowledged}
        ctx.spawn("receiver", receiver.run())
        ctx.spawn("acknowledgements", acknowledged.run())
        ctx.spawn("sender", self._sender.run())
        ctx.spawn("receipts", self._receipts.run())
        self._follow(ctx)
        ctx.every(HOUSEKEEPING_S, self._keep_house, at_once=True)

    def _follow(self, ctx: PluginContext[models.MessagingSettings]) -> None:
        ctx.spawn("routes", self._follow_routes(self._mesh.subscribe()))
        ctx.spawn("connections", tell_connections(ctx, self._store, self._with_messages))
        ctx.spawn("peers", self._follow_peers(ctx.peers.subscribe()))

    async def _opened(self, ctx: PluginContext[models.MessagingSettings]) -> Database:
        """Open the file, which `shutdown` closes also when the rest of the start fails."""
        steps = migrations(ctx.clock.lived_ms())
        self._database = await Database.start(ctx.data_dir / DATABASE_NAME, steps, ctx.spawn, clock=ctx.clock)
        if self._database.damaged is not None:
            ctx.log.warning("%s holds keys of messages; delete it once you need nothing of it", self._database.damaged)
        return self._database

    async def _begin_posting(self, ctx: PluginContext[models.MessagingSettings], database: Database) -> None:
        self._posting = Posting(ctx, database, self._keying, self._sender, self._outbox)
        self._outbox.added = self._posting.look_soon
        await self._posting.load()

    async def _begin_mail(self, ctx: PluginContext[models.MessagingSettings], receiver: Receiver) -> None:
        self._mail = Mail(ctx, self._keying, receiver)
        await self._mail.load()
        ctx.every(ANNOUNCE_S, self._mail.announce, at_once=True)

    async def shutdown(self) -> None:
        """Commit what is queued and close `messages.db`; nothing to do when `start` never opened it."""
        self._let_go()
        for taker in self._takers.values():
            await taker.drained()
        if self._database is not None:
            await self._database.close()

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """Take a message, an acknowledgement, or what sessions begin and end with; waits while too many are being stored."""
        if kind == BUNDLE_KIND:
            await self._keying.take_bundle(src, body)
        elif kind == RESET_KIND:
            await self._keying.take_reset(src, body)
        elif kind == RECEIPTS_KIND:
            await self._receipts.take(src, body)
        elif kind == MAIL_KIND:
            await self._mail.take(src, body)
        elif kind == KEPT_KIND:
            await self._take_kept(src, body)
        elif (taker := self._takers.get(kind)) is not None:
            await taker.take(src, body)

    async def _take_kept(self, src: NodeId, body: bytes) -> None:
        """Take the answer of a mailbox: about letters, or about this node's own bundle."""
        try:
            kept = Kept.decode(body)
        except ValueError as error:
            self._ctx.log.debug("an answer of the mailbox %s was dropped: %s", src.abbreviated, error)
            return
        if kept.ids:
            self._posting.take_answer(src, kept)
        elif kept.recipient == self._ctx.identity.node_id:
            await self._mail.take_answer(src, kept.answer)

    async def erase(self, peer: NodeId) -> Erased:
        """Delete a conversation because the user asked for it (`PEER_DATA`)."""
        with storage():
            deleted = await self._delete(peer)
        return Erased(deleted.deleted_messages, deleted.deleted_conversation)

    async def reassign(self, old: NodeId, new: NodeId) -> int:
        """Send to `new` what `old` has not acknowledged (`PEER_DATA`); it is encrypted anew when it leaves."""
        with storage():
            moved = await self._store.reassign(old, new)
        self._keying.forget(old)
        self._outbox.reassign(old, new)
        with storage():
            await self.parcels.queue_again()
        self._sender.wake()
        return moved

    # --- methods

    @rpc("messages.send", errors=(MessagePeerUnknown, MessageBodyTooLarge, InvalidParams, StorageError))
    async def send(self, params: models.SendParams) -> models.Sent:
        """Send a text to a peer, now or when it can be reached.

        Answered once the message is on disk; from then on it is sent, over restarts, until the peer has it or it expires.
        The peer becomes a contact.
        """
        size = len(params.body.encode(errors="surrogatepass"))
        if not size:
            raise InvalidParams(f"parameter body: must have 1 to {BODY_LIMIT} bytes of UTF-8, this one is empty")
        if size > BODY_LIMIT:
            raise MessageBodyTooLarge(f"a message has at most {BODY_LIMIT} bytes of UTF-8, this one {size}; split it")
        peer = params.peer_node_id
        if peer == self._ctx.identity.node_id:
            raise InvalidParams("parameter peer_node_id: this is the node itself")
        known = self._keystore.get(peer)
        if known is None and await self._mesh.fetch_card(peer):
            known = self._keystore.get(peer)
        with storage():
            if known is None and not await self._keying.is_correspondent(peer):
                raise MessagePeerUnknown(self._why_unknown(peer))
        clock = self._ctx.clock
        timestamp_ms, expires_lived_ms = clock.unix_ms(), clock.lived_ms() + 1000 * params.expires_s
        message = Outgoing(peer, MessageId(uuid.uuid4().bytes), timestamp_ms, expires_lived_ms, params.receipt)
        with storage():
            leaving = await self._store.add_sent(
                message, params.body, self._sender.encryption(peer), models.mailbox_column(params.mailbox)
            )
            if not self._keystore.is_contact(peer):
                await self._keystore.set_contact(peer, contact=True)
        self._with_messages.add(peer)
        self._sender.accepted(message, leaving)
        self._posting.wake(peer)
        after_answer(self._sender.wake)
        return models.Sent(id=message.id, timestamp_ms=timestamp_ms, status="pending")

    @rpc("messages.history", errors=(InvalidParams, StorageError), reads=True)
    async def history(self, params: models.HistoryParams) -> models.History:
        """Return a page of a conversation, the one that arrived last first.

        For the next page pass the id of the last one; pages are stable while new messages arrive. `before_ts_ms` alone means
        below the newest message of that time: it may repeat messages and skips none. Such a page may hold more than `limit`.
        One of long messages may end after 100 of them, with `has_more` true.
        """
        limit = min(max(params.limit if params.limit is not None else models.PAGE, 1), models.PAGE_LIMIT)
        try:
            with storage():
                page, more = await self._store.history(
                    params.peer_node_id, params.before_ts_ms, params.before_id, limit, self._ctx.clock.unix_ms()
                )
                is_newest = params.before_id is None and params.before_ts_ms is None
                lines = await self._lines(params.peer_node_id, page, more=more, is_newest=is_newest)
        except LookupError as error:
            raise InvalidParams(f"parameter before_id: {error}; begin again without it") from error
        return models.History(messages=page, has_more=more, lines=lines)

    @rpc("messages.list_conversations", errors=(StorageError,), reads=True)
    async def list_conversations(self, _: NoParams) -> models.Conversations:
        """List all conversations, the one whose newest message arrived last first."""
        with storage():
            found = await self._store.conversations()
        return models.Conversations(conversations=[self._summary(one) for one in found])

    @rpc("messages.strangers", errors=(StorageError,), reads=True)
    async def strangers(self, _: NoParams) -> models.Strangers:
        """Tell how many people wrote who are no contacts, and whose messages found no room or are not accepted."""
        with storage():
            found = await self._store.conversations()
        refused = self._strangers.refused()
        stored = {one.peer for one in found if one.received and not self._strangers.is_contact(one.peer)}
        return models.Strangers(
            wrote=len(stored.union(refused)), refused=len(refused), newest_refused=refused[: models.REFUSED_SHOWN]
        )

    @rpc("messages.mark_read", errors=(StorageError,))
    async def mark_read(self, params: models.MarkReadParams) -> models.Unread:
        """Mark what a peer wrote up to a message as read, and tell the peer.

        `up_to_ts_ms` is the time of that message; at or after this node's clock it means all. `up_to_id` wins.
        """
        now_ms, until_lived_ms = self._ctx.clock.unix_ms(), self._ctx.clock.lived_ms() + RECEIPTS_FOR_MS
        up_to = UpTo(params.up_to_ts_ms, params.up_to_id)
        with storage():
            ids = await self._store.mark_read(params.peer_node_id, up_to, now_ms, until_lived_ms)
            left = await self._store.conversation(params.peer_node_id)
        if ids:
            self._sender.owe_receipts([params.peer_node_id])
            self._posting.owe(params.peer_node_id)
            self._ctx.spawn("read receipts", self._repeat_receipts(params.peer_node_id))
        return models.Unread(unread_count=left.unread if left is not None else 0)

    @rpc("messages.delete_conversation", errors=(StorageError,))
    async def delete_conversation(self, params: models.ConversationParams) -> models.DeletedConversation:
        """Delete all messages with a peer here; what was not sent yet is not sent."""
        with storage():
            return await self._delete(params.peer_node_id)

    @rpc("messages.delete_all", errors=(StorageError,))
    async def delete_all(self, _: NoParams) -> models.DeletedAll:
        """Delete all messages with everybody here; what was not sent yet is not sent."""
        with storage():
            messages, conversations = await self._store.delete(None)
        self._with_messages.clear()
        self._keying.forget(None)
        self._outbox.remove_all(None)
        with storage():
            await self.parcels.queue_again()
        cleared = models.HistoryCleared(peer_node_id=None, scope="all", deleted_messages=messages)
        after_answer(lambda: self._publish(models.STREAM, cleared))
        return models.DeletedAll(deleted_messages=messages, deleted_conversations=conversations)

    # --- inside

    async def _lines(
        self, peer: NodeId, page: list[models.MessageRecord], *, more: bool, is_newest: bool
    ) -> list[models.ConversationLine]:
        """Return the lines between the messages of a page, and behind them."""
        if self._database is None or not page:
            return []
        span = Span(page[-1].position if more else 0, LATEST if is_newest else page[0].position + 1)
        return await lines_of(self._database, peer, span)

    async def _delete(self, peer: NodeId) -> models.DeletedConversation:
        messages, conversations = await self._store.delete(peer)
        self._with_messages.discard(peer)
        self._keying.forget(peer)
        self._outbox.remove_all(peer)
        await self.parcels.queue_again()
        if messages or conversations:
            cleared = models.HistoryCleared(peer_node_id=peer, scope="peer", deleted_messages=messages)
            after_answer(lambda: self._publish(models.STREAM, cleared))
        return models.DeletedConversation(deleted_messages=messages, deleted_conversation=conversations > 0)

    def _status_changed(self, peer: NodeId, id_: MessageId, status: models.Status) -> None:
        if self.parcels.changed(peer, id_, status):
            return
        now_ms = self._ctx.clock.unix_ms()
        self._publish(
            models.STREAM, models.MessageStatus(message_id=id_, peer_node_id=peer, new_status=status, at_ms=now_ms)
        )

    def _send_more(self) -> None:
        self._posting.got_bundle()
        self._sender.wake()

    def _session_restarted(self, peer: NodeId, reason: models.Restart) -> None:
        self._ctx.log.info("secure session with %s restarted: %s", peer.abbreviated, reason.replace("_", " "))
        if reason == "reset":
            self._sender.appeared(peer, anew=True)
        now_ms = self._ctx.clock.unix_ms()
        name = self._keystore.index.shown(peer)
        self._publish(models.STREAM, models.SessionRestarted(peer_node_id=peer, name=name, reason=reason, at_ms=now_ms))

    def _tell_received(self, peer: NodeId, stored: Content) -> None:
        if isinstance(stored, Raised):
            self._acknowledged.raised(peer, stored)
            return
        if isinstance(stored, Proven):
            self._receipts.tell(peer, stored.ids)
            return
        record, conversation = stored
        self._with_messages.add(peer)
        received = models.MessageReceived(message=record, conversation=self._summary(conversation))
        self._publish(models.STREAM, received)

    def _asked_for_receipts(self, peer: NodeId) -> None:
        if self._ctx.settings.receipts:
            self._receipts.owed(peer)
            self._posting.owe(peer)

    def _why_unknown(self, peer: NodeId) -> str:
        if self._keystore.is_forgotten(peer):
            return (
                f"you forgot {peer}, and there is no way to it now to ask for its key; "
                "it is learned again once it is reached, or now with: pim pair ITS-ADDRESS"
            )
        return f"nothing is known of {peer}: link with it (peers.add_static), or bring its key (peers.import_identity)"

    def _summary(self, one: Conversation) -> models.ConversationSummary:
        known = self._keystore.get(one.peer)
        return models.ConversationSummary(
            peer_node_id=one.peer,
            peer_node_id_short=one.peer.short,
            name=self._keystore.index.shown(one.peer),
            last_message_preview=one.last_preview,
            last_message_ts_ms=one.last_ts_ms,
            unread_count=one.unread,
            is_connected=one.peer in self._mesh.destinations(),
            x25519_pubkey=known.x25519_pub.hex() if known is not None else None,
        )

    async def _follow_routes(self, events: Subscription[MeshEvent]) -> None:
        with events:
            async for event in events:
                if isinstance(event, Lagged):
                    for route in self._mesh.routes():
                        self._reached(route.destination)
                elif isinstance(event, RouteFound):
                    self._reached(event.destination)
                elif isinstance(event, RouteLost):
                    self._lost(event.destination)

    def _reached(self, peer: NodeId) -> None:
        """Most have nothing waiting here, and must cost next to nothing."""
        self._sender.appeared(peer, anew=True)
        self._receipts.appeared(peer)
        self._posting.reached(peer)
        self._mail.reached(peer)
        if self._sender.owes_receipts(peer) and peer not in self._repeating:
            self._repeating.add(peer)  # a route that comes and goes must not pile up tasks
            self._ctx.spawn("read receipts", self._repeat_receipts(peer))

    def _lost(self, peer: NodeId) -> None:
        """Leave at mailboxes what was sent directly, and may not have come; not only after the pause since the last look."""
        self._posting.wake(peer)
        if self._receipts.owes(peer) or self._sender.owes_receipts(peer):
            self._posting.owe(peer)

    async def _repeat_receipts(self, peer: NodeId) -> None:
        try:
            await self._sender.send_receipts(peer)
        except DatabaseError as error:
            self._ctx.log.error("read receipts for %s were not sent: %s", peer.abbreviated, error)
        finally:
            self._repeating.discard(peer)

    async def _follow_peers(self, events: Subscription[PeerDirectoryEvent]) -> None:
        with events:
            async for event in events:
                match event:
                    case Lagged(missed):
                        self._publish.missed(models.STREAM, missed)
                        for peer in self._outbox.waits_for():
                            self._sender.appeared(peer, anew=False)
                    case Seen(node_id, _, name, via):
                        self._sender.appeared(node_id, anew=False)
                        if self._sightings.is_told(event):
                            self._publish_seen(node_id, name, known=True, via=via)
                    case Forgotten(node_id):
                        self._sightings.forget(node_id)
                        self._publish_seen(node_id, "", known=False, via=PeerInfoSource.DIRECT)

    def _publish_seen(self, node_id: NodeId, name: str, *, known: bool, via: PeerInfoSource) -> None:
        seen = models.PeerSeen(peer_node_id=node_id, name=name, x25519_known=known, via=via.value)
        self._publish(models.STREAM, seen)

    async def _keep_house(self) -> None:
        try:
            await self._store.forget_old(self._ctx.clock.lived_ms())
            await self._receipts.forget_old()
            await self._keying.age()
            self._mail.forget_answers()
            await self._posting.load()
            for peer in await self._keying.contacts_lacking_bundle():
                self._posting.owe(peer)
        except DatabaseError as error:
            self._ctx.log.error("old marks were not removed: %s", error)
