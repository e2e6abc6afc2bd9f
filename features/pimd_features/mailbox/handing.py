"""Hands over what is kept to recipients that appear, a few messages at a time, in the order in which they came."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pimd.contract import DatabaseError, PluginContext, PluginPayload, Sent
from pimd.ids import NodeId
from pimd_features.mailbox.models import MailboxSettings
from pimd_features.mailbox.store import Kept, MailboxStore
from pimd_features.mailbox.wire import MAIL_KIND, Key, Taken, mail

AT_ONCE = 16
PATIENCE_S = 20.0
"""So long a recipient may take for the messages that are under way to it."""
TRIES = 3


@dataclass
class _Recipient:
    """One to whom messages are handed now."""

    waits_for: set[Key] = field(default_factory=set)
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Handing:
    """One task for each recipient that is reached and for whom something is kept."""

    def __init__(
        self, ctx: PluginContext[MailboxSettings], store: MailboxStore, is_reached: Callable[[NodeId], bool]
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._is_reached = is_reached
        self._running: dict[NodeId, _Recipient] = {}
        self._later: dict[NodeId, set[Key]] = {}
        """What recipients had no room for since they appeared."""

    def appeared(self, recipient: NodeId) -> None:
        """Hand over all that is kept for a node: there is a route to it, or it asks."""
        self._later.pop(recipient, None)
        self.begin(recipient)

    def begin(self, recipient: NodeId) -> None:
        """Hand over what a node has not put off, if it is reached."""
        if recipient in self._running or not self._store.room.holds_for(recipient) or not self._is_reached(recipient):
            return
        self._running[recipient] = _Recipient()
        self._ctx.spawn(f"mail for {recipient.short}", self._hand_to(recipient))

    def gone(self, recipient: NodeId) -> None:
        """Do not wait for answers about what was under way: the route is lost."""
        if (waiting := self._running.get(recipient)) is not None:
            waiting.answered.set()

    async def take(self, recipient: NodeId, taken: Taken) -> None:
        """Delete what a recipient has; what it has no room for waits until it appears again. `DatabaseError`."""
        if not self._store.room.holds_for(recipient):
            return
        if taken.later:
            later = self._later.setdefault(recipient, set())
            for key in taken.keys:
                if await self._store.find(recipient, key) is not None:
                    later.add(key)
        else:
            await self._store.drop(recipient, taken.keys)
            self._later.get(recipient, set()).difference_update(taken.keys)
        waiting = self._running.get(recipient)
        if waiting is not None:
            waiting.waits_for.difference_update(taken.keys)
            if not waiting.waits_for:
                waiting.answered.set()

    async def _hand_to(self, recipient: NodeId) -> None:
        try:
            above = 0
            while batch := await self._store.next_for(recipient, above, AT_ONCE):
                later = self._later.get(recipient, set())
                if not await self._hand(recipient, [one for one in batch if one.key not in later]):
                    return  # it is gone, or takes nothing; it is tried again from time to time
                above = batch[-1].position
        except DatabaseError as error:
            self._ctx.log.error("what is kept for %s was not handed over: %s", recipient.abbreviated, error)
        finally:
            del self._running[recipient]

    async def _hand(self, recipient: NodeId, batch: Sequence[Kept]) -> bool:
        """Send messages until all are answered; False when they are not."""
        waiting = self._running[recipient]
        waiting.waits_for = {one.key for one in batch}
        for _ in range(TRIES):
            waiting.answered.clear()
            for one in batch:
                if one.key in waiting.waits_for and not await self._send(recipient, one):
                    return False
            if not waiting.waits_for or await self._is_answered(waiting):
                return True
        return False

    async def _is_answered(self, waiting: _Recipient) -> bool:
        timer = self._ctx.call_later(PATIENCE_S, waiting.answered.set)
        await waiting.answered.wait()
        timer.cancel()
        return not waiting.waits_for

    async def _send(self, recipient: NodeId, one: Kept) -> bool:
        payload = PluginPayload(MAIL_KIND, mail(one.sort, one.source, one.id, one.body))
        while (sent := await self._ctx.control.send_routed(recipient, payload)) is Sent.CONGESTED:
            if not await self._ctx.control.ready(recipient):
                return False
        return bool(sent)
