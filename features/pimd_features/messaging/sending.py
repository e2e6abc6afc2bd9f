"""Sends the messages of the outbox, stores their progress, and gives up expired ones."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from pimd.contract import MESH, Connection, DatabaseError, PluginContext, PluginPayload, Sent
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.keying import Keying
from pimd_features.messaging.models import Status
from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.sessions import sending
from pimd_features.messaging.sessions.message import MSG_KIND
from pimd_features.messaging.sessions.sending import Draft, Leaving
from pimd_features.messaging.store import Encrypt, Left, MessageStore, Outgoing
from pimd_features.messaging.wire import ACKED_AT_ONCE, ACKS_KIND, AckKind, Acks

EXPIRY_CHECK_S = 60.0
REDIAL_S = 20.0
"""While messages wait for a route, configured peers that are down are dialled so often at least."""
RECEIPTS_PAUSE_S = 0.2
"""Read receipts are not acknowledged, so they are sent slowly enough for the receiver's queue."""
TROUBLE_PAUSE_S = 5.0


class Sender:
    """One task sends for all peers; `wake` makes it check the outbox again."""

    def __init__(
        self,
        ctx: PluginContext,
        store: MessageStore,
        keying: Keying,
        outbox: Outbox,
        changed: Callable[[NodeId, MessageId, Status], None],
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._keying = keying
        self._outbox = outbox
        self._changed = changed
        self._mesh = ctx.services[MESH]
        self._wake = asyncio.Event()
        self._last_expiry_check = ctx.clock.now() - EXPIRY_CHECK_S
        self._last_redial = ctx.clock.now()
        self._owed: set[NodeId] = set()
        self._encrypted: dict[Outgoing, bytes] = {}
        """Those that were encrypted when they were accepted, and leave in this turn."""
        self._congested: set[NodeId] = set()
        """Peers whose send queue was full; one task waits for each."""

    def wake(self) -> None:
        """Check the outbox now: a message is ready, or a timer is due."""
        self._wake.set()

    def appeared(self, peer: NodeId, *, anew: bool) -> None:
        """Send what waits for a peer that can be reached now; `anew` as in `Outbox.appeared`."""
        if self._outbox.appeared(peer, anew=anew):
            if anew:
                self._keying.appeared(peer)
            self.wake()

    def encryption(self, peer: NodeId) -> Encrypt | None:
        """Return what encrypts a message in the transaction that accepts it, if it can leave at once."""
        can_leave = (
            self._outbox.has_room(peer)
            and peer not in self._congested
            and not self._keying.is_lacking(peer)
            and peer in self._mesh.destinations()
        )
        return self._encrypt() if can_leave else None

    def accepted(self, message: Outgoing, leaving: Leaving | None) -> None:
        """Send a message that is on disk now, and was encrypted there if it can leave at once."""
        if leaving is not None and (payload := leaving.payloads.get(message.id)) is not None:
            self._encrypted[message] = payload
            if leaving.began:
                self._ctx.spawn(f"session to {message.peer.short}", self._began(message.peer))
        self._outbox.add(message)

    async def _began(self, peer: NodeId) -> None:
        try:
            await self._keying.session_began(peer)
        except DatabaseError as error:
            self._ctx.log.error("the own bundle was not sent to %s: %s", peer.abbreviated, error)

    def _encrypt(self) -> Encrypt:
        account, moment = self._keying.account, self._keying.moment()

        def encrypt(connection: Connection, peer: NodeId, drafts: Sequence[Draft]) -> Leaving:
            return sending.leave(connection, account, peer, drafts, moment)

        return encrypt

    async def run(self) -> None:
        """Send until cancelled; database errors are logged and the work is tried again."""
        while True:
            try:
                await self._send_what_is_ready()
                await self._give_up_expired()
                self._look_for_routes()
                pause = None
            except DatabaseError as error:
                self._ctx.log.error("messages wait: %s", error)
                pause = TROUBLE_PAUSE_S
            await self._until_next(pause)

    async def _until_next(self, pause: float | None) -> None:
        clock = self._ctx.clock
        if pause is None:
            pause = REDIAL_S if self._outbox.waits_for() else EXPIRY_CHECK_S
        deadline = min(clock.now() + pause, self._outbox.deadline() or float("inf"), self._keying.next_ask())
        timer = clock.call_at(deadline, self.wake)
        await self._wake.wait()
        self._wake.clear()
        timer.cancel()

    async def _send_what_is_ready(self) -> None:
        self._outbox.tick(self._ctx.clock.now())
        for peer in self._outbox.peers():
            if peer in self._congested or peer not in self._mesh.destinations():
                continue
            if self._keying.is_lacking(peer):
                self._heed(peer, await self._keying.ask(peer))
                continue
            while messages := self._outbox.take(peer):
                handed_over = await self._hand_over(messages)
                if handed_over:
                    await self.note(peer, handed_over, "sent")
                if len(handed_over) < len(messages):
                    break
        self._encrypted.clear()  # of those that were deleted; the others are on disk

    async def _hand_over(self, messages: list[Outgoing]) -> list[MessageId]:
        """Send messages to one peer until it has no route, no card or no room; the rest goes back. Return what was sent."""
        handed_over: list[MessageId] = []
        waiting = deque(messages)
        try:
            left = await self._leave(messages)
            while waiting:
                message = waiting[0]
                if message.id in left.deleted:
                    self._outbox.remove(message.peer, message.id)
                elif (payload := left.payloads.get(message.id)) is not None and await self._send(message, payload):
                    handed_over.append(message.id)
                else:
                    break
                waiting.popleft()
        finally:
            for message in waiting:
                self._outbox.put_back(message)
        return handed_over

    async def _leave(self, messages: list[Outgoing]) -> Left:
        """Have messages to one peer encrypted; without a bundle of it the rest waits."""
        at_hand = {message: payload for message in messages if (payload := self._encrypted.pop(message, None))}
        if len(at_hand) == len(messages):
            return Left({message.id: payload for message, payload in at_hand.items()}, frozenset(), False, False)  # noqa: FBT003
        peer, unheard, moment = messages[0].peer, self._outbox.unheard(messages), self._keying.moment()

        def renew(connection: Connection, peer: NodeId, session: bytes) -> bool:
            return sending.renew(connection, peer, session, moment)

        renewal = (unheard, renew) if unheard is not None else None
        left = await self._store.leave(messages, self._encrypt(), renewal)
        if left.gave_up:
            self._ctx.log.info("messages to %s are encrypted anew: it answers none of this session", peer.abbreviated)
        if left.lacks_bundle:
            self._keying.lacks(peer)
            self._heed(peer, await self._keying.ask(peer))
        elif left.began:
            self._ctx.spawn(f"session to {peer.short}", self._began(peer))
        return left

    async def encrypted(self, peer: NodeId, ids: Iterable[MessageId]) -> tuple[dict[MessageId, bytes], bool]:
        """Return messages to a peer encrypted, for mailboxes to keep, and whether a bundle is lacking for the rest."""
        left = await self._store.leave([Outgoing(peer, id_, 0, 0) for id_ in ids], self._encrypt())
        return left.payloads, left.lacks_bundle

    async def _send(self, message: Outgoing, payload: bytes) -> bool:
        sent = await self._ctx.control.send_routed(message.peer, PluginPayload(MSG_KIND, payload))
        if sent:
            self._outbox.sent(message, self._ctx.clock.now())
        self._heed(message.peer, sent)
        return bool(sent)

    def _heed(self, peer: NodeId, sent: Sent) -> None:
        """Send nothing more to a peer before there is room, if there was none."""
        if sent is Sent.CONGESTED and peer not in self._congested:
            self._outbox.congested(peer, self._ctx.clock.now())
            self._congested.add(peer)
            self._ctx.spawn(f"room towards {peer.short}", self._wait_for_room(peer))

    async def _wait_for_room(self, peer: NodeId) -> None:
        """Resume sending to a peer when its queue has room; without a route `appeared` resumes it."""
        await self._ctx.control.ready(peer)
        self._congested.discard(peer)
        self.wake()

    async def note(self, peer: NodeId, ids: list[MessageId], status: Status) -> None:
        """Store the new status of sent messages, then publish `message_status`."""
        for id_ in await self._store.raise_status(peer, ids, status, self._ctx.clock.unix_ms()):
            self._changed(peer, id_, status)

    async def _give_up_expired(self) -> None:
        now = self._ctx.clock.now()
        if now - self._last_expiry_check < EXPIRY_CHECK_S:
            return
        self._last_expiry_check = now
        for message in self._outbox.expired(self._ctx.clock.lived_ms()):
            if await self._store.fail(message, "expired", self._ctx.clock.unix_ms()):
                self._changed(message.peer, message.id, "failed")
            self._outbox.remove(message.peer, message.id)

    def _look_for_routes(self) -> None:
        now = self._ctx.clock.now()
        if now - self._last_redial < REDIAL_S or all(
            peer in self._mesh.destinations() for peer in self._outbox.waits_for()
        ):
            return
        self._last_redial = now
        self._mesh.redial()

    async def acknowledge(self, peer: NodeId, acks: Acks) -> bool:
        """Send acknowledgements to the sender of messages, best effort; False when they did not leave."""
        return bool(await self._ctx.control.send_routed(peer, PluginPayload(ACKS_KIND, acks.encode())))

    def owe_receipts(self, peers: Iterable[NodeId]) -> None:
        """Note that read receipts for these peers are to be repeated."""
        self._owed.update(peers)

    def owes_receipts(self, peer: NodeId) -> bool:
        """Tell from memory, without a read of the database, whether a peer may be owed read receipts."""
        return peer in self._owed

    async def send_receipts(self, peer: NodeId) -> None:
        """Send all read receipts of a peer that are still to be repeated."""
        self._owed.discard(peer)  # before the database is read: a message marked read meanwhile enters the peer again
        try:
            ids = await self._store.read_receipts(peer, self._ctx.clock.lived_ms())
        except DatabaseError:
            self._owed.add(peer)
            raise
        if ids:
            self._owed.add(peer)
        for start in range(0, len(ids), ACKED_AT_ONCE):
            if start:
                await self._ctx.clock.sleep(RECEIPTS_PAUSE_S)
            await self.acknowledge(peer, Acks(AckKind.READ, tuple(ids[start : start + ACKED_AT_ONCE])))
