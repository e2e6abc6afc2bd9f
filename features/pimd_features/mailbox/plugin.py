"""A member that keeps sealed messages for others until they take them; it can read none of them."""

from collections.abc import Callable
from typing import ClassVar

from pimd.contract import (
    KEYSTORE,
    KIB,
    LOCAL_SOURCE,
    MESH,
    DaemonPlugin,
    Database,
    DatabaseError,
    Lagged,
    Limit,
    MeshEvent,
    NoParams,
    PluginContext,
    PluginPayload,
    RouteFound,
    RouteLost,
    StorageError,
    Subscription,
    TokenBucket,
    declare,
    declare_rate,
    rpc,
)
from pimd.ids import NodeId
from pimd_features.mailbox import room, wire
from pimd_features.mailbox.handing import Handing
from pimd_features.mailbox.models import SHOWN, KeptFor, MailboxSettings, MailboxStatus
from pimd_features.mailbox.room import Item
from pimd_features.mailbox.schema import MIGRATIONS
from pimd_features.mailbox.store import MailboxStore, Share
from pimd_features.mailbox.wire import Answer, Put, Taken

DATABASE_NAME = "mailbox.db"
HOUSEKEEPING_S = 3600.0
AGAIN_S = 600.0
"""Those who are reached and have not taken all are handed it again so often."""
BUNDLES = declare("bundles kept for others", 1000, "bundles", "the one left longest ago is deleted")
BUNDLE_BYTES = declare("bytes of a kept bundle", 2 * KIB, "bytes", "the bundle is dropped")
STRANGERS_PUTS = declare_rate(
    "messages that all who are no contacts leave", 20, "messages", "dropped; the sender tries again", burst=200
)
QUESTIONS = declare_rate(
    "questions for kept bundles of all who are no contacts", 10, "questions", "dropped, not answered", burst=50
)


class MailboxPlugin(DaemonPlugin[MailboxSettings]):
    """Keeps, hands over, forgets."""

    name: ClassVar[str] = "mailbox"
    payload_kinds: ClassVar[tuple[str, ...]] = (wire.PUT_KIND, wire.TAKEN_KIND, wire.BUNDLE_KIND)
    sent_kinds: ClassVar[tuple[str, ...]] = (wire.MAIL_KIND, wire.KEPT_KIND, wire.GIVEN_BUNDLE_KIND)

    def __init__(self) -> None:
        self._database: Database | None = None
        self._let_go: Callable[[], None] = lambda: None
        self._refused = 0

    async def start(self, ctx: PluginContext[MailboxSettings]) -> None:
        """Open the store, and hand over what is kept for those who are reached."""
        self._ctx = ctx
        self._keystore, self._mesh = ctx.services[KEYSTORE], ctx.services[MESH]
        self._database = await Database.start(ctx.data_dir / DATABASE_NAME, MIGRATIONS, ctx.spawn, clock=ctx.clock)
        self._store = MailboxStore(self._database)
        await self._store.load()
        self._let_go = self._keystore.keep(self._store.room.holds_for)
        self._handing = Handing(ctx, self._store, lambda node: node in self._mesh.destinations())
        self._puts = TokenBucket(STRANGERS_PUTS, ctx.clock.now(), ctx.bites)
        self._questions = TokenBucket(QUESTIONS, ctx.clock.now(), ctx.bites)
        ctx.spawn("routes", self._follow_routes(self._mesh.subscribe()))
        ctx.every(AGAIN_S, self._hand_all, at_once=True)
        ctx.every(HOUSEKEEPING_S, self._keep_house, at_once=True)

    async def shutdown(self) -> None:
        """Close `mailbox.db`; nothing to do when `start` never opened it."""
        self._let_go()
        if self._database is not None:
            await self._database.close()

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """Take what a sender leaves, what a recipient says, or a bundle or question for one; what is malformed is dropped."""
        try:
            if kind == wire.PUT_KIND:
                await self._take_put(src, Put.decode(body))
            elif kind == wire.TAKEN_KIND:
                await self._take_taken(src, body)
            elif kind == wire.BUNDLE_KIND:
                await self._take_bundle(src, body)
        except ValueError as error:
            self._ctx.log.debug("a payload of %s was dropped: %s", src.abbreviated, error)
        except DatabaseError as error:
            # Not answered, so the other end tries again; a full disk is no reason for quarantine.
            self._ctx.log.error("what %s sent was not stored: %s", src.abbreviated, error)

    async def on_peer_forgotten(self, peer: NodeId) -> None:
        """Delete what is kept for the peer; what it left for others is theirs."""
        await self._store.drop_all(peer)

    # --- methods

    @rpc("mailbox.status", errors=(StorageError,), reads=True)
    async def status(self, _: NoParams) -> MailboxStatus:
        """Tell how much is kept here, for whom, and how full the mailbox is."""
        shares = await self._store.shares()
        return MailboxStatus(
            serves="contacts" if self._ctx.settings.serve == "contacts" else "listed",
            messages=self._store.room.messages,
            bytes=self._store.room.bytes,
            messages_limit=room.MESSAGES.value,
            bytes_limit=room.BYTES.value,
            bundles=await self._store.bundles(),
            refused=self._refused,
            recipients=[self._shown(share) for share in shares[:SHOWN]],
        )

    # --- inside

    def _shown(self, share: Share) -> KeptFor:
        return KeptFor(
            node_id=share.recipient,
            name=self._keystore.index.shown(share.recipient),
            messages=share.messages,
            bytes=share.bytes,
            oldest_s=max(0, self._ctx.clock.lived_ms() - share.oldest_lived_ms) // 1000,
            is_reached=share.recipient in self._mesh.destinations(),
        )

    def _is_contact(self, node: NodeId) -> bool:
        return self._keystore.is_contact(node) or self._keystore.index.label(node) is not None

    def _serves(self, node: NodeId) -> bool:
        """Whether the owner lets this node have messages kept here."""
        if node == self._ctx.identity.node_id or self._keystore.is_blocked(node):
            return False
        serve = self._ctx.settings.serve
        return self._is_contact(node) if serve == "contacts" else node in serve

    async def _take_put(self, src: NodeId, put: Put) -> None:
        is_known = self._is_contact(src) or self._serves(src)
        if not is_known and not self._puts.take(self._ctx.clock.now()):
            return
        answer = await self._keep(src, put, "" if is_known else self._source(src))
        await self._say(src, wire.answer(answer, put.recipient, [put.id]))
        if answer is Answer.KEPT:
            self._handing.begin(put.recipient)

    async def _keep(self, src: NodeId, put: Put, brought_by: str) -> Answer:
        if not self._serves(put.recipient):
            self._refused += 1
            return Answer.NOT_SERVED
        item = Item(put.recipient, src, brought_by, len(put.body))
        old = await self._store.find(put.recipient, (src, put.id))
        limit = wire.MESSAGE_BYTES if item.size > wire.MESSAGE_BYTES.value else self._store.room.refuses(item, old)
        if limit is not None:
            self._refuse(src, limit)
            return Answer.NO_ROOM
        await self._store.keep(put, src, brought_by, self._ctx.clock.lived_ms())
        return Answer.KEPT

    def _refuse(self, src: NodeId, limit: Limit) -> None:
        self._refused += 1
        self._ctx.bites.count(limit)
        self._ctx.log.debug("a message of %s found no room: %s", src.abbreviated, limit)

    def _source(self, stranger: NodeId) -> str:
        """Return what the share of a stranger is counted by; neighbours on this machine, where ids cost nothing, share one."""
        source = self._keystore.brought_by(stranger) or str(stranger)
        return LOCAL_SOURCE if source.startswith(LOCAL_SOURCE) else source

    async def _take_taken(self, src: NodeId, body: bytes) -> None:
        taken = Taken.decode(body)
        if len(taken.keys) > wire.TAKEN_AT_ONCE.value:
            self._ctx.bites.count(wire.TAKEN_AT_ONCE)
            return
        await self._handing.take(src, taken)

    async def _take_bundle(self, src: NodeId, body: bytes) -> None:
        """Answer a question for the bundle of a node, or keep the sender's own and hand over what waits for it."""
        if len(body) == NodeId.SIZE:
            await self._give_bundle(src, NodeId(body))
        elif len(body) > BUNDLE_BYTES.value:
            self._ctx.bites.count(BUNDLE_BYTES)
        elif not self._serves(src):
            await self._say(src, wire.answer(Answer.NOT_SERVED, src))
            self._handing.appeared(src)  # what was kept while it was served
        else:
            beyond = await self._store.keep_bundle(src, body, self._ctx.clock.lived_ms(), BUNDLES.value)
            self._ctx.bites.count(BUNDLES, beyond)
            await self._say(src, wire.answer(Answer.KEPT, src))
            self._handing.appeared(src)

    async def _give_bundle(self, src: NodeId, node: NodeId) -> None:
        if not self._is_contact(src) and not self._serves(src) and not self._questions.take(self._ctx.clock.now()):
            return
        raw = await self._store.bundle(node) if self._serves(node) else None
        if raw is not None:
            await self._ctx.control.send_routed(src, PluginPayload(wire.GIVEN_BUNDLE_KIND, raw))

    async def _say(self, dst: NodeId, body: bytes) -> None:
        await self._ctx.control.send_routed(dst, PluginPayload(wire.KEPT_KIND, body))

    async def _follow_routes(self, events: Subscription[MeshEvent]) -> None:
        with events:
            async for event in events:
                if isinstance(event, Lagged):
                    self._hand_all()
                elif isinstance(event, RouteFound):
                    self._handing.appeared(event.destination)
                elif isinstance(event, RouteLost):
                    self._handing.gone(event.destination)

    def _hand_all(self) -> None:
        for recipient in self._store.room.recipients():
            self._handing.begin(recipient)

    async def _keep_house(self) -> None:
        try:
            gone = await self._store.age(self._ctx.clock.lived_ms())
        except DatabaseError as error:
            self._ctx.log.error("old messages were not deleted: %s", error)
            return
        if gone:
            self._ctx.log.info("%d messages were kept for 28 days, not taken, and are deleted now", gone)
