"""Received messages: stored first, then acknowledged; strangers are limited."""

from collections.abc import Callable, Coroutine
from typing import Any

from pimd.contract import KEYSTORE, KIB, MIB, EciesError, PluginContext, declare
from pimd.ids import NodeId
from pimd_features.messaging.models import MessageRecord, MessagingSettings
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.store import MessageStore
from pimd_features.messaging.wire import BODY_LIMIT, AckKind, Msg

_REFUSED = "dropped, not acknowledged"
STRANGER_MESSAGES = declare("messages of one stranger", 50, "messages", _REFUSED)
STRANGER_BYTES = declare("bytes of messages of one stranger", 256 * KIB, "bytes", _REFUSED)
STRANGERS_MESSAGES = declare("messages of all strangers", 1000, "messages", _REFUSED)
STRANGERS_BYTES = declare("bytes of messages of all strangers", 16 * MIB, "bytes", _REFUSED)
"""A stranger is a peer that is no contact."""


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
        self.refused = 0
        """Messages of strangers that were refused over a limit."""

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
        if self._is_contact(src):
            return True
        if self._settings.accept == "everyone" and await self._has_room(src, len(text.encode())):
            return True
        self.refused += 1
        self._ctx.log.debug("a message of the stranger %s was refused", src.abbreviated)
        return False

    def _is_contact(self, peer: NodeId) -> bool:
        known = self._keystore.get(peer)
        return known is not None and known.contact

    async def _has_room(self, src: NodeId, size: int) -> bool:
        strangers = [c for c in await self._store.conversations() if not self._is_contact(c.peer)]
        own = [c for c in strangers if c.peer == src]
        would_hold = {
            STRANGER_MESSAGES: sum(c.received for c in own) + 1,
            STRANGER_BYTES: sum(c.received_bytes for c in own) + size,
            STRANGERS_MESSAGES: sum(c.received for c in strangers) + 1,
            STRANGERS_BYTES: sum(c.received_bytes for c in strangers) + size,
        }
        reached = [limit for limit, held in would_hold.items() if held > limit.value]
        for limit in reached:
            self._ctx.bites.count(limit)
        return not reached
