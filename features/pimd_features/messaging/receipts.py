"""The payload `messaging.receipts`: signed receipts, and that they were had. They are repeated until then, over restarts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from pimd.contract import MESH, PUBLISH, DatabaseError, PluginContext, PluginPayload
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.models import STREAM, MessagingSettings, ReceiptCame
from pimd_features.messaging.owing import Had, Owed, checked
from pimd_features.messaging.receipt_wire import AT_ONCE, OwedReceipt, TooManyReceipts, parsed, signed

RECEIPTS_KIND = "messaging.receipts"
FIRST_PAUSE_S = 5.0
LAST_PAUSE_S = 600.0
PAYLOADS_PAUSE_S = 0.2
"""Receipts are not urgent, and leave the recipient's queue to messages."""

_GIVEN, _HAD = 1, 2


@dataclass
class _Again:
    """When a receipt is sent again that was not had."""

    at: float
    pause_s: float = FIRST_PAUSE_S


@dataclass
class _Due:
    """When a peer gets something next, and what was sent to it."""

    at: float
    sent: dict[MessageId, _Again] = field(default_factory=dict)
    news: int = 0
    """How often it was told that something more is owed."""


class Receipts:
    """Gives receipts to who asked for them, and takes those that this node asked for."""

    def __init__(self, ctx: PluginContext[MessagingSettings], owed: Owed, had: Had) -> None:
        self._ctx = ctx
        self._owed = owed
        self._had = had
        self._mesh = ctx.services[MESH]
        self._due: dict[NodeId, _Due] = {}
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Go on with what was not had before the last stop; `DatabaseError`."""
        for peer in await self._owed.peers():
            self.owed(peer)

    # --- giving

    def owed(self, peer: NodeId) -> None:
        """Send now: a message was stored whose sender wants a receipt."""
        if self._ctx.settings.receipts:
            due = self._due.setdefault(peer, _Due(0.0))
            due.at, due.news = self._ctx.clock.now(), due.news + 1
            self._wake.set()

    def owes(self, peer: NodeId) -> bool:
        """Tell from memory, without a read of the database, whether a peer may be owed any."""
        return peer in self._due

    def appeared(self, peer: NodeId) -> None:
        """Send all now, if the peer is owed any: there is a way to it."""
        if (due := self._due.get(peer)) is not None:
            due.sent.clear()
            self.owed(peer)

    async def run(self) -> None:
        """Send what is due until cancelled."""
        while True:
            now = self._ctx.clock.now()
            for peer in [peer for peer, due in self._due.items() if due.at <= now]:
                await self._give(peer)
            timer = self._ctx.clock.call_at(self._next(), self._wake.set)
            await self._wake.wait()
            self._wake.clear()
            timer.cancel()

    def _next(self) -> float:
        idle = self._ctx.clock.now() + LAST_PAUSE_S
        return min((due.at for due in self._due.values()), default=idle)

    async def _give(self, peer: NodeId) -> None:
        due = self._due.get(peer)
        if due is None:
            return
        due.at, news = self._ctx.clock.now() + LAST_PAUSE_S, due.news
        if peer not in self._mesh.destinations():
            return  # `appeared` comes before
        try:
            owed = await self._owed.to(peer, self._ctx.clock.lived_ms())
        except DatabaseError as error:
            self._ctx.log.error("receipts for %s were not read: %s", peer.abbreviated, error)
            return
        self._drop_if_empty(peer, owed, news)
        ready = self._ready(due, owed)
        for start in range(0, len(ready), AT_ONCE.value):
            if start:
                await self._ctx.clock.sleep(PAYLOADS_PAUSE_S)
            await self._send(peer, _GIVEN, signed(self._ctx.identity, peer, ready[start : start + AT_ONCE.value]))

    def _ready(self, due: _Due, owed: Sequence[OwedReceipt]) -> list[OwedReceipt]:
        """Return those to be sent now, and note when they are sent again."""
        now, before = self._ctx.clock.now(), due.sent
        due.sent, ready = {}, []
        for one in owed:
            again = before.get(one.message_id)
            if again is None or again.at <= now:
                pause_s = FIRST_PAUSE_S if again is None else min(LAST_PAUSE_S, 2 * again.pause_s)
                again = _Again(now + pause_s, pause_s)
                ready.append(one)
            due.sent[one.message_id] = again
        due.at = min([due.at, *(again.at for again in due.sent.values())])
        return ready

    def _drop_if_empty(self, peer: NodeId, owed: Sequence[OwedReceipt], news: int) -> None:
        """Owe a peer nothing, if that was read and nothing came meanwhile."""
        due = self._due.get(peer)
        if due is not None and not owed and due.news == news:
            del self._due[peer]

    async def _send(self, peer: NodeId, what: int, body: bytes) -> None:
        await self._ctx.control.send_routed(peer, PluginPayload(RECEIPTS_KIND, bytes((what,)) + body))

    async def forget_old(self) -> None:
        """Drop what was repeated for long enough; `DatabaseError`."""
        await self._owed.forget_old(self._ctx.clock.lived_ms())

    # --- taking

    async def take(self, src: NodeId, body: bytes) -> None:
        """Take receipts, or that some were had; what is malformed, or of a later version, is dropped."""
        what, rest = body[:1], body[1:]
        try:
            if what == bytes((_GIVEN,)):
                await self._take_receipts(src, rest)
            elif what == bytes((_HAD,)):
                await self._take_had(src, rest)
        except TooManyReceipts:
            self._ctx.bites.count(AT_ONCE)
        except ValueError as error:
            self._ctx.log.debug("receipts of %s were dropped: %s", src.abbreviated, error)
        except DatabaseError as error:
            # Not acknowledged, so they come again.
            self._ctx.log.error("receipts of %s were not stored: %s", src.abbreviated, error)

    async def _take_receipts(self, src: NodeId, body: bytes) -> None:
        key, came = parsed(body)
        receipts = checked(key, came, await self._had.wanted(src, came))
        self.tell(src, await self._had.store(receipts) if receipts else [])
        # Also those that nobody wants any more, so that they are not repeated.
        await self._send(src, _HAD, b"".join(one.message_id for one in came))

    def tell(self, src: NodeId, ids: Sequence[MessageId]) -> None:
        """Publish which messages have a receipt now."""
        for id_ in ids:
            self._ctx.services[PUBLISH](STREAM, ReceiptCame(message_id=id_, peer_node_id=src))

    async def _take_had(self, src: NodeId, body: bytes) -> None:
        if len(body) % MessageId.SIZE or len(body) > AT_ONCE.value * MessageId.SIZE:
            raise ValueError("a payload about receipts has a wrong size")
        due = self._due.get(src)
        if due is None:
            return
        news = due.news
        await self._owed.had(
            src, [MessageId(body[at : at + MessageId.SIZE]) for at in range(0, len(body), MessageId.SIZE)]
        )
        self._drop_if_empty(src, await self._owed.to(src, self._ctx.clock.lived_ms()), news)
