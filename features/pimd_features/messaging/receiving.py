"""Received messages: stored first, then acknowledged; strangers are limited."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pimd.contract import KEYSTORE, KIB, MIB, EciesError, Limit, PluginContext, RecentSet, declare
from pimd.ids import NodeId
from pimd_features.messaging.models import MessageRecord, MessagingSettings
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.store import MessageStore
from pimd_features.messaging.wire import BODY_LIMIT, AckKind, Msg

_REFUSED = "dropped, not acknowledged"
STRANGER_MESSAGES = declare("messages of one stranger", 50, "messages", _REFUSED)
STRANGER_BYTES = declare("bytes of messages of one stranger", 256 * KIB, "bytes", _REFUSED)
SOURCE_MESSAGES = declare("messages of strangers whom one neighbour brought", 250, "messages", _REFUSED)
SOURCE_BYTES = declare("bytes of messages of strangers whom one neighbour brought", 4 * MIB, "bytes", _REFUSED)
"""The share of one source (`Keystore.brought_by`); it shrinks with what others hold, so that a new source finds room."""
STRANGERS_MESSAGES = declare("messages of all strangers", 1000, "messages", _REFUSED)
STRANGERS_BYTES = declare("bytes of messages of all strangers", 16 * MIB, "bytes", _REFUSED)
"""A stranger is a peer that is no contact."""
REFUSED = declare(
    "refused strangers remembered", 1000, "strangers", "the oldest is not counted among those who wrote any more"
)


class Receiver:
    """Takes `messaging.msg` payloads; `received` is called for each that is new, after it is on disk."""

    def __init__(
        self,
        ctx: PluginContext,
        settings: MessagingSettings,
        store: MessageStore,
        sender: Sender,
        received: Callable[[MessageRecord], Coroutine[Any, Any, None]],
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._store = store
        self._sender = sender
        self._received = received
        self._keystore = ctx.services[KEYSTORE]
        self._refused: RecentSet[NodeId] = RecentSet(REFUSED, ctx.bites)

    def refused(self) -> list[NodeId]:
        """Strangers whose newest message was refused since the start, the newest first; without contacts."""
        return [peer for peer in reversed(self._refused) if not self.is_contact(peer)]

    async def take(self, src: NodeId, body: bytes) -> None:
        """Store, acknowledge and announce a message; one that cannot be read is dropped.

        Raises `DatabaseError`; nothing was acknowledged then, so the sender tries again.
        """
        try:
            msg = Msg.decode(body)
        except ValueError as error:
            self._ctx.log.debug("a message of %s was dropped: %s", src.abbreviated, error)
            return
        if await self._store.is_known(src, msg.message_id):
            await self._sender.acknowledge(src, msg.message_id, AckKind.DELIVERED)
            return
        text = self._opened(src, msg)
        if text is None or not await self._is_welcome(src, text):
            return
        now_ms = self._ctx.clock.unix_ms()
        record = MessageRecord(
            id=msg.message_id,
            peer_node_id=src,
            direction="received",
            body=text,
            position=0,
            timestamp_ms=min(msg.timestamp_ms, now_ms),
            status="delivered",
            failure_reason=None,
            delivered_at_ms=now_ms,
            read_at_ms=None,
        )
        position = await self._store.add_received(record)
        if position is not None:
            await self._received(record.model_copy(update={"position": position}))
        await self._sender.acknowledge(src, msg.message_id, AckKind.DELIVERED)

    def _opened(self, src: NodeId, msg: Msg) -> str | None:
        try:
            plain = self._ctx.identity.open_sealed(msg.ciphertext)
            return plain.decode() if 1 <= len(plain) <= BODY_LIMIT else None
        except (EciesError, ValueError) as error:
            # Nothing is logged of the content; a UnicodeDecodeError would hold it.
            self._ctx.log.debug("a message of %s was dropped: %s", src.abbreviated, type(error).__name__)
            return None

    async def _is_welcome(self, src: NodeId, text: str) -> bool:
        if self.is_contact(src):
            return True
        if self._settings.accept == "everyone" and await self._has_room(src, len(text.encode())):
            self._refused.discard(src)
            return True
        if src not in self._refused:
            self._ctx.log.info("a message of %s was refused, who is no contact; writing to it makes one", src)
        self._refused.add(src)
        return False

    def is_contact(self, peer: NodeId) -> bool:
        """Tell whether the user imported, labelled or wrote to this id, or labelled a configured address of it."""
        known = self._keystore.get(peer)
        return (known is not None and known.contact) or self._keystore.index.label(peer) is not None

    async def _has_room(self, src: NodeId, size: int) -> bool:
        strangers = [c for c in await self._store.conversations() if not self.is_contact(c.peer)]
        source = self._source(src)
        brought = [c for c in strangers if self._source(c.peer) == source]
        groups = [[c for c in brought if c.peer == src], brought, strangers]
        reached = (
            _reached([sum(c.received for c in group) + 1 for group in groups], _MESSAGES),
            _reached([sum(c.received_bytes for c in group) + size for group in groups], _BYTES),
        )
        for limit in reached:
            if limit is not None:
                self._ctx.bites.count(limit)
        return reached == (None, None)

    def _source(self, peer: NodeId) -> str:
        return self._keystore.brought_by(peer) or str(peer)


_MESSAGES = (STRANGER_MESSAGES, SOURCE_MESSAGES, STRANGERS_MESSAGES)
_BYTES = (STRANGER_BYTES, SOURCE_BYTES, STRANGERS_BYTES)


def _reached(would_hold: Sequence[int], limits: tuple[Limit, Limit, Limit]) -> Limit | None:
    """Return the limit over which a stranger, all of its source, or all strangers would be."""
    for held, limit in zip(would_hold, limits, strict=True):
        if held > limit.value:
            return limit
    (_, of_source, of_all), (_, source, total) = would_hold, limits
    left_by_others = total.value - (of_all - of_source)
    return total if of_source * total.value > source.value * left_by_others and source.value < total.value else None
