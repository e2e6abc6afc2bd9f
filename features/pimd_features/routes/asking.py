"""Questions of a trace: those that this node sends, and the rate of those that it answers."""

import asyncio
import itertools
from collections import Counter

from pimd.contract import Bites, PluginContext, PluginPayload, declare_rate
from pimd.ids import NodeId
from pimd_features.routes.wire import ASK_KIND, Answer, Ask

ANSWERS = declare_rate("questions of a trace answered", 1000, "questions", "no answer", burst=1000)
ANSWERS_OF_SOURCE = declare_rate("questions of a trace answered of one source", 20, "questions", "no answer", burst=20)


class Questions:
    """Open questions of this node; only the node asked can answer, once, within the timeout."""

    def __init__(self, ctx: PluginContext) -> None:
        self._control = ctx.control
        self._call_later = ctx.call_later
        # Above the ids of an earlier start, whose answers may still arrive. The wall clock may have been set back since.
        self._ids = itertools.count(ctx.clock.lived_ms())
        self._waiting: dict[int, tuple[NodeId, asyncio.Future[Answer | None]]] = {}

    async def ask(self, hop: NodeId, destination: NodeId, timeout_s: float) -> Answer | None:
        """Return what `hop` answers; None when nothing can be sent to it, or nothing came in time."""
        ask = Ask(destination, next(self._ids))
        answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting[ask.id] = hop, answered
        timer = self._call_later(timeout_s, lambda: _silent(answered))
        try:
            sent = await self._control.send_routed(hop, PluginPayload(ASK_KIND, ask.encode()))
            return await answered if sent else None
        finally:
            timer.cancel()
            del self._waiting[ask.id]

    def take(self, src: NodeId, body: bytes) -> bool:
        """Take an answer; False when it is late, unknown, or from a node that was not asked."""
        try:
            answer = Answer.decode(body)
        except ValueError:
            return False
        hop, answered = self._waiting.get(answer.id, (None, None))
        if answered is None or answered.done() or hop != src:
            return False
        answered.set_result(answer)
        return True


def _silent(answered: "asyncio.Future[Answer | None]") -> None:
    if not answered.done():
        answered.set_result(None)


class AnswerRate:
    """Counts the answered questions of each second, in all and by source."""

    def __init__(self, now: float, bites: Bites) -> None:
        self._bites = bites
        self._began = now
        self._in_all = 0
        self._of_source: Counter[NodeId] = Counter()

    def allows(self, src: NodeId, now: float) -> bool:
        """Count one more question; False when it is over the limit and gets no answer."""
        if now - self._began >= 1:
            self._began, self._in_all = now, 0
            self._of_source.clear()
        if self._of_source[src] >= ANSWERS_OF_SOURCE.value:
            self._bites.count(ANSWERS_OF_SOURCE)
            return False
        if self._in_all >= ANSWERS.value:
            self._bites.count(ANSWERS)
            return False
        self._in_all += 1
        self._of_source[src] += 1
        return True
