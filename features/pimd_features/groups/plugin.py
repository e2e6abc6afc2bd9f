"""The groups plugin: puts membership, keys and messages together behind `groups.*`."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import ClassVar, TypeVar

from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    PARCELS,
    PUBLISH,
    DaemonPlugin,
    Database,
    DatabaseError,
    InvalidParams,
    NoParams,
    ParcelNews,
    PeerNotFound,
    PluginContext,
    ServiceFailed,
    StorageError,
    Subscription,
    TokenBucket,
    after_answer,
    rpc,
)
from pimd.ids import MessageId, NodeId
from pimd_features.groups import invitations, messages, models, retaining, taking
from pimd_features.groups.errors import GroupMessageTooLarge, GroupRefused, GroupUnknown
from pimd_features.groups.exporting import Exporter, Place
from pimd_features.groups.limits import ANSWERS
from pimd_features.groups.message import TEXT_LIMIT
from pimd_features.groups.reading import Known, meant
from pimd_features.groups.records import HASH_SIZE, apply, begin, say_yes
from pimd_features.groups.schema import migrations
from pimd_features.groups.store import GroupStore
from pimd_features.groups.turn import Turn

DATABASE_NAME = "groups.db"
STREAM = "groups.event"
TAKEN_AT_ONCE = 64
HOUSEKEEPING_S = 60.0
TROUBLE_PAUSE_S = 5.0

T = TypeVar("T")
ERRORS = (GroupUnknown, GroupRefused, InvalidParams, StorageError)


@contextmanager
def _storage() -> Iterator[None]:
    """Answer a failure of the database as `StorageError` (-32062)."""
    try:
        yield
    except (DatabaseError, ServiceFailed) as error:
        raise StorageError(f"the store of groups could not do it, nothing was changed: {error}") from error


class GroupsPlugin(DaemonPlugin):
    """Groups of up to 64 members, without a server."""

    name: ClassVar[str] = "groups"

    def __init__(self) -> None:
        self._open = AsyncExitStack()
        self._fellows: set[NodeId] = set()
        self._to_drop: list[int] = []
        """Positions of parcels that messaging need not hold any more."""

    async def start(self, ctx: PluginContext) -> None:
        """Open the store; what messaging took meanwhile is dealt with at once."""
        self._ctx = ctx
        self._keystore, self._mesh, self._publish = ctx.services[KEYSTORE], ctx.services[MESH], ctx.services[PUBLISH]
        self._parcels, self._config = ctx.services[PARCELS], ctx.services[CONFIG]
        steps = migrations(ctx.clock.lived_ms())
        database = await Database.start(ctx.data_dir / DATABASE_NAME, steps, ctx.spawn, clock=ctx.clock)
        self._open.push_async_callback(database.close)
        if database.damaged is not None:
            ctx.log.warning("%s holds keys of groups; delete it once you need nothing of it", database.damaged)
        self._store = GroupStore(ctx, database)
        self._answers = TokenBucket(ANSWERS, ctx.clock.now(), ctx.bites)
        self._work = asyncio.Event()
        self._work.set()
        self._changing, self._handing_over = asyncio.Lock(), asyncio.Lock()
        await self._store.begin()
        self._arrived = self._states = 0  # what was taken before is taken again, and changes nothing
        await self._withdraw()
        await self._fail_lost()
        await self._note_fellows()
        self._open.callback(self._keystore.keep(self._fellows.__contains__))
        ctx.spawn("news of parcels", self._follow(self._parcels.news()))
        ctx.spawn("groups", self._run())
        ctx.every(HOUSEKEEPING_S, self._keep_house, at_once=True)

    async def shutdown(self) -> None:
        """Close what `start` opened, however far it came."""
        await self._open.aclose()

    # --- methods

    @rpc("groups.create", errors=(GroupRefused, StorageError))
    async def create(self, params: models.GroupCreateParams) -> models.GroupRef:
        """Make a group of this node alone; others come by `groups.invite`."""
        identity = self._ctx.identity
        record = begin(params.name, os.urandom(HASH_SIZE), identity.ed25519_pub, identity.sign)
        await self._do("create a group", lambda turn: invitations.create(turn, record))
        return models.GroupRef(group_id=record.group.hex(), name=record.name, state="joined")

    @rpc("groups.invite", errors=(*ERRORS, PeerNotFound))
    async def invite(self, params: models.GroupInviteParams) -> models.GroupRef:
        """Ask a node to join; it becomes a member once it said yes, and a contact at once."""
        group, node = await self._group(params.group), params.node_id
        known = self._keystore.get(node)
        if known is None and node != self._ctx.identity.node_id and await self._mesh.fetch_card(node):
            known = self._keystore.get(node)
        if known is None and node != self._ctx.identity.node_id:
            raise PeerNotFound(f"nothing is known of {node}: link with it, or bring its key (peers.import_identity)")
        await self._do("invite", lambda turn: invitations.invite(turn, group.id, node, may_change=params.may_change))
        await self._befriend(node)
        return _ref(group)

    @rpc("groups.join", errors=ERRORS)
    async def join(self, params: models.GroupParams) -> models.GroupRef:
        """Say yes to an invitation; this node is a member once the one who invited it, who becomes a contact, made it one."""
        group, identity = await self._group(params.group), self._ctx.identity
        found, _ = await self._turn("look at an invitation", lambda turn: invitations.newest_invitation(turn, group.id))
        if found is None:
            raise GroupRefused(f"there is no invitation to {group.name!r} that waits for an answer")
        yes = say_yes(group.id, found[1].number, identity.ed25519_pub, identity.sign)
        inviter = await self._do("join", lambda turn: invitations.join(turn, group.id, yes))
        await self._befriend(inviter)
        return models.GroupRef(group_id=group.id.hex(), name=group.name, state="joining")

    @rpc("groups.leave", errors=ERRORS)
    async def leave(self, params: models.GroupParams) -> models.GroupRef:
        """Leave a group, or decline an invitation; what was written stays here."""
        group = await self._group(params.group)
        await self._do("leave", lambda turn: invitations.leave(turn, group.id))
        await self._change_and_note()
        return models.GroupRef(group_id=group.id.hex(), name=group.name, state="left")

    @rpc("groups.remove", errors=ERRORS)
    async def remove(self, params: models.GroupMemberParams) -> models.GroupRef:
        """Take a member out, or an invitation back: the next message of each member is under keys that it does not get."""
        group = await self._group(params.group)
        await self._do("remove", lambda turn: invitations.remove(turn, group.id, params.node_id))
        await self._change_and_note()
        return _ref(group)

    @rpc("groups.list", errors=(StorageError,), reads=True)
    async def list_groups(self, _: NoParams) -> models.Groups:
        """List all groups and invitations, with their members, by name."""
        with _storage():
            return models.Groups(groups=await self._store.rows(self._name))

    @rpc("groups.send", errors=(*ERRORS, GroupMessageTooLarge))
    async def send(self, params: models.GroupSendParams) -> models.GroupSent:
        """Send a text to all members, now or when they can be reached; answered once it is on disk."""
        try:
            size = len(params.body.encode())
        except UnicodeEncodeError:
            raise InvalidParams("parameter body: holds half of a surrogate pair, which is no text") from None
        if not size:
            raise InvalidParams(f"parameter body: must have 1 to {TEXT_LIMIT} bytes of UTF-8, this one is empty")
        if size > TEXT_LIMIT:
            raise GroupMessageTooLarge(
                f"a group message has at most {TEXT_LIMIT} bytes of UTF-8, this one {size}; split it"
            )
        group = await self._group(params.group)
        sent = await self._do("store a message to send", lambda turn: messages.send(turn, group.id, params.body))
        if sent is None:
            raise GroupRefused(f"this node is no member of {group.name!r}: {group.state}")
        return sent

    @rpc("groups.history", errors=ERRORS, reads=True)
    async def history(self, params: models.GroupHistoryParams) -> models.GroupHistory:
        """Return a page of messages, the one that arrived last first; for the next page pass the position of the last one."""
        group = await self._group(params.group)
        with _storage():
            return await self._store.history(group.id, params, self._name)

    @rpc("groups.retention", errors=ERRORS)
    async def retention(self, params: models.GroupRetentionParams) -> models.GroupRetention:
        """Set or tell how many days a group keeps messages at this node.

        Older ones are deleted here, but own ones that a member does not have yet. Days are lived time, as for
        `messages.retention`.
        """
        if params.forever and params.days is not None:
            raise InvalidParams("parameters days and forever: give one of them")
        group, deleted = await self._group(params.group), 0
        if params.forever or params.days is not None:
            await self._do("set how long messages are kept", lambda turn: retaining.keep(turn, group.id, params.days))
            for turn in await self._shorten():
                deleted += retaining.deleted_of(turn, group.id)
                after_answer(partial(self._tell, turn))
        with _storage():
            days = await self._store.query(lambda connection: retaining.days_of(connection, group.id))
        return models.GroupRetention(days=days, in_words=retaining.in_words(days), deleted_messages=deleted)

    @rpc("groups.delete_history", errors=ERRORS)
    async def delete_history(self, params: models.GroupParams) -> models.GroupDeleted:
        """Delete all messages of a group here; what a member does not have yet is not sent to it.

        The other members keep theirs. A group that this node left, or was removed from, is not listed any more.
        """
        group = await self._group(params.group)
        return await self._do("delete messages", lambda turn: retaining.delete_history(turn, group.id))

    @rpc("groups.export", errors=ERRORS, reads=True)
    async def export(self, params: models.GroupExportParams) -> models.GroupExport:
        """Return the messages of a group as lines of JSON, a page at a time; `pim export --group` writes them into a file.

        Each line has the SHA-256 of the rest of it, and the last one that of all. What comes meanwhile is not among them.
        """
        group, own = await self._group(params.group), self._ctx.identity.node_id
        try:
            place = Place.parse(params.cursor) if params.cursor is not None else None
        except ValueError:
            raise InvalidParams("parameter cursor: no page before had this one; begin again without it") from None
        begin = {"name": group.name, "node_id": str(own), "exported_at_ms": self._ctx.clock.unix_ms()}
        exporter = Exporter(own, group.id, self._name)
        with _storage():
            return await self._store.query(lambda connection: exporter.page(connection, place, begin))

    # --- inside

    async def _shorten(self) -> list[Turn]:
        """Delete what is older than its group keeps, some messages in a job; return the jobs."""
        turns, more = list[Turn](), True
        with _storage():
            while more:
                more, turn = await self._store.turn("delete old messages", retaining.shorten)
                turns.append(turn)
        return turns

    async def _group(self, word: str) -> Known:
        with _storage():
            found = meant(await self._store.known(), word)
        if len(found) == 1:
            return found[0]
        if not found:
            raise GroupUnknown(f"no group here is called {word!r}; `pim group list` shows all")
        those = ", ".join(f"{one.id.hex()} ({one.name!r}, {one.state})" for one in found)
        raise GroupUnknown(f"{word!r} may mean {those}; give the id")

    def _name(self, node: NodeId) -> str:
        if node == self._ctx.identity.node_id:
            return self._config.node_name() or node.short
        return self._keystore.index.shown(node)

    async def _befriend(self, node: NodeId) -> None:
        """Make it a contact, since this node wrote to it."""
        known = self._keystore.get(node)
        with _storage():
            await self._note_fellows()
            if known is not None and not known.contact:
                await self._keystore.set_contact(node, contact=True)

    async def _do(self, name: str, work: Callable[[Turn], T]) -> T:
        """Run a job of a method; its events come after the answer."""
        done, turn = await self._turn(name, work)
        after_answer(partial(self._tell, turn))
        return done

    async def _turn(self, name: str, work: Callable[[Turn], T]) -> tuple[T, Turn]:
        """Run a job, and have done what follows from it."""
        with _storage():
            try:
                done, turn = await self._store.turn(name, work)
            except GroupRefused as error:
                if error.limit is not None:
                    self._ctx.bites.count(error.limit)
                raise
            await self._withdraw()
        self._to_drop += turn.answered
        self._work.set()
        return done, turn

    async def _withdraw(self) -> None:
        """Take back what a job withdrew; the lock keeps it from being handed over right after that."""
        if withdrawn := await self._store.withdrawn():
            async with self._handing_over:
                await self._parcels.withdraw(withdrawn)
            await self._store.are_withdrawn(withdrawn)

    def _tell(self, turn: Turn) -> None:
        """Publish the events of a job, and count the limits that it reached."""
        for limit in turn.reached:
            self._ctx.bites.count(limit)
        for event in turn.events:
            if isinstance(event, models.GroupMessageReceived):
                name = self._name(event.message.sender)
                message = event.message.model_copy(update={"sender_name": name})
                event = event.model_copy(update={"message": message})  # noqa: PLW2901 - the same with a name
            self._publish(STREAM, event)

    async def _change_and_note(self) -> None:
        with _storage():
            await self._make_records()
            await self._note_fellows()

    async def _note_fellows(self) -> None:
        fellows = await self._store.fellows()
        self._fellows.clear()
        self._fellows |= fellows
        await self._parcels.set_fellows(fellows)

    async def _follow(self, news: Subscription[ParcelNews]) -> None:
        with news:
            async for _ in news:
                self._work.set()

    async def _run(self) -> None:
        """Take what came and hand over what leaves, until cancelled; after trouble with a disk it is tried again."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._take_arrived()
                await self._drop_arrived()
                await self._take_states()
                await self._make_records()
                await self._hand_over()
            except (DatabaseError, ServiceFailed) as error:
                self._ctx.log.error("groups wait: %s", error)
                await self._ctx.clock.sleep(TROUBLE_PAUSE_S)
                self._work.set()

    async def _take_arrived(self) -> None:
        while arrived := await self._parcels.arrived(self._arrived, TAKEN_AT_ONCE):
            for parcel in arrived:
                is_question = parcel.body[:1] in {bytes([kind]) for kind in taking.QUESTIONS}
                is_held = False
                if not is_question or self._answers.take(self._ctx.clock.now()):
                    is_held, turn = await self._store.turn("take a parcel", partial(taking.take, parcel))
                    self._to_drop += turn.answered
                    self._tell(turn)
                self._arrived = parcel.position
                if not is_held:
                    self._to_drop.append(parcel.position)
            await self._withdraw()
            await self._note_fellows()

    async def _drop_arrived(self) -> None:
        dropped = tuple(self._to_drop)
        await self._parcels.drop_arrived(dropped)
        del self._to_drop[: len(dropped)]

    async def _take_states(self) -> None:
        while states := await self._parcels.states(self._states, TAKEN_AT_ONCE):
            for state in states:
                _, turn = await self._store.turn("note a state", partial(taking.note_state, state))
                self._tell(turn)
            self._states = states[-1].position
            await self._parcels.drop_states(self._states)

    async def _fail_lost(self) -> None:
        """Show as failed what messaging does not have any more, since its store was lost or is an older one."""
        known, last = set[tuple[NodeId, MessageId]](), 0
        while states := await self._parcels.states(last, TAKEN_AT_ONCE):
            known.update((one.peer, one.id) for one in states)
            last = states[-1].position
        _, turn = await self._store.turn("fail what was lost", partial(taking.fail_lost, known))
        self._tell(turn)

    async def _hand_over(self) -> None:
        async with self._handing_over:
            while (leaving := await self._store.leaving())[0]:
                await self._parcels.send(leaving[0])
                await self._store.left(leaving[1])
                if any(self._keystore.get(one.peer) is None for one in leaving[0]):
                    self._ctx.spawn("cards", self._fetch_cards())

    async def _make_records(self) -> None:
        """Sign the changes that this node is to make; when another record comes in between, on top of that."""
        identity = self._ctx.identity
        async with self._changing:
            for group in await self._store.groups_to_change():
                while (found := await self._store.next_record(group)) is not None:
                    head, wanted = found
                    draft = apply(head, wanted)
                    if draft is None:
                        break
                    _, turn = await self._store.publish(draft.sign(identity.ed25519_pub, identity.sign), wanted)
                    await self._withdraw()
                    self._tell(turn)
                    self._work.set()

    async def _keep_house(self) -> None:
        try:
            _, turn = await self._store.turn("keep house", taking.keep_house)
            self._tell(turn)
            self._to_drop += turn.answered
            self._work.set()
            await self._fetch_cards()
            for turn in await self._shorten():
                self._tell(turn)
        except (DatabaseError, StorageError) as error:
            self._ctx.log.error("old keys and messages of groups were not removed: %s", error)

    async def _fetch_cards(self) -> None:
        """Ask for cards of members that were forgotten, if something waits for them: no other card is taken of those."""
        try:
            for node in [one for one in self._fellows if self._keystore.get(one) is None]:
                if await self._store.has_waiting(node):
                    await self._mesh.fetch_card(node)
        except DatabaseError as error:
            self._ctx.log.error("cards of members were not asked for: %s", error)


def _ref(group: Known) -> models.GroupRef:
    return models.GroupRef(group_id=group.id.hex(), name=group.name, state=group.state)
