"""Sends the messages of the outbox, stores their progress, and gives up expired ones."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from pimd.contract import KEYSTORE, MESH, DatabaseError, PluginContext, PluginPayload, Sent, seal_for
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.models import Status
from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.store import MessageStore, Outgoing, Sealed
from pimd_features.messaging.wire import ACKS_KIND, MSG_KIND, AckKind, Acks, Msg

EXPIRY_CHECK_S = 60.0
REDIAL_S = 20.0
"""While messages wait for a route, configured peers that are down are dialled so often at least."""
RECEIPTS_AT_ONCE = 256
RECEIPTS_PAUSE_S = 0.2
"""Read receipts are not acknowledged, so they are sent slowly enough for the receiver's queue."""
TROUBLE_PAUSE_S = 5.0


class Sender:
    """One task sends for all peers; `wake` makes it check the outbox again."""

    def __init__(
        self,
        ctx: PluginContext,
        store: MessageStore,
        outbox: Outbox,
        changed: Callable[[NodeId, MessageId, Status], None],
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._outbox = outbox
        self._changed = changed
        self._keystore = ctx.services[KEYSTORE]
        self._mesh = ctx.services[MESH]
        self._wake = asyncio.Event()
        self._last_expiry_check = ctx.clock.now() - EXPIRY_CHECK_S
        self._last_redial = ctx.clock.now()
        self._owed: set[NodeId] = set()
        self._congested: set[NodeId] = set()
        """Peers whose send queue was full; one task waits for each."""

    def wake(self) -> None:
        """Check the outbox now: a message is ready, or a timer is due."""
        self._wake.set()

    def appeared(self, peer: NodeId, *, anew: bool) -> None:
        """Send what waits for a peer that can be reached now; `anew` as in `Outbox.appeared`."""
        if self._outbox.appeared(peer, anew=anew):
            self.wake()

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
        deadline = min(clock.now() + pause, self._outbox.deadline() or float("inf"))
        timer = clock.call_at(deadline, self.wake)
        await self._wake.wait()
        self._wake.clear()
        timer.cancel()

    async def _send_what_is_ready(self) -> None:
        self._outbox.tick(self._ctx.clock.now())
        for peer in self._outbox.peers():
            if peer in self._congested or self._mesh.route(peer) is None:
                continue
            while messages := self._outbox.take(peer):
                handed_over = await self._hand_over(messages)
                if handed_over:
                    await self.note(peer, handed_over, "sent")
                if len(handed_over) < len(messages):
                    break

    async def _hand_over(self, messages: list[Outgoing]) -> list[MessageId]:
        """Send messages to one peer until it has no route, no card or no room; the rest goes back. Return what was sent."""
        handed_over: list[MessageId] = []
        waiting = deque(messages)
        try:
            sealed = await self._store.sealed(messages)
            while waiting:
                message = waiting[0]
                if message not in sealed:
                    self._outbox.remove(message.peer, message.id)  # deleted meanwhile
                elif await self._send(message, sealed[message]):
                    handed_over.append(message.id)
                else:
                    break
                waiting.popleft()
        finally:
            for message in waiting:
                self._outbox.put_back(message)
        return handed_over

    async def _send(self, message: Outgoing, sealed: Sealed) -> bool:
        sent = await self._ctx.control.send_routed(message.peer, await self._frame(message, sealed))
        if sent:
            self._outbox.sent(message, self._ctx.clock.now())
        elif sent is Sent.CONGESTED and message.peer not in self._congested:
            self._outbox.congested(message.peer, self._ctx.clock.now())
            self._congested.add(message.peer)
            self._ctx.spawn(f"room towards {message.peer.short}", self._wait_for_room(message.peer))
        return bool(sent)

    async def _wait_for_room(self, peer: NodeId) -> None:
        """Resume sending to a peer when its queue has room; without a route `appeared` resumes it."""
        await self._ctx.control.ready(peer)
        self._congested.discard(peer)
        self.wake()

    async def _frame(self, message: Outgoing, sealed: Sealed) -> PluginPayload:
        ciphertext = sealed.ciphertext
        known = self._keystore.get(message.peer)
        if known is not None and known.x25519_pub != sealed.sealed_for:
            ciphertext = seal_for(known.x25519_pub, sealed.body.encode())
            await self._store.seal_again(message, known.x25519_pub, ciphertext)
        return PluginPayload(MSG_KIND, Msg(message.id, sealed.timestamp_ms, ciphertext).encode())

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
            if await self._store.fail(message, "expired"):
                self._changed(message.peer, message.id, "failed")
            self._outbox.remove(message.peer, message.id)

    def _look_for_routes(self) -> None:
        now = self._ctx.clock.now()
        if now - self._last_redial < REDIAL_S or all(map(self._mesh.route, self._outbox.waits_for())):
            return
        self._last_redial = now
        self._mesh.redial()

    async def acknowledge(self, peer: NodeId, acks: Acks) -> None:
        """Send acknowledgements to the sender of messages, best effort."""
        await self._ctx.control.send_routed(peer, PluginPayload(ACKS_KIND, acks.encode()))

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
        for start in range(0, len(ids), RECEIPTS_AT_ONCE):
            if start:
                await self._ctx.clock.sleep(RECEIPTS_PAUSE_S)
            await self.acknowledge(peer, Acks(AckKind.READ, tuple(ids[start : start + RECEIPTS_AT_ONCE])))
