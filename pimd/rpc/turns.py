"""Turns of calls once the event loop is busy: the connection that had the fewest goes first."""

import asyncio
import heapq
from itertools import count

from pimd.rpc.connection import Connection

TURN_S = 0.01
"""Seconds of one iteration of the loop in which calls may begin; later ones wait for their turn, one an iteration."""


class Turns:
    """Keeps sixty connections with heavy batches from delaying the one call of a new connection."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    async def take(self, connection: Connection) -> None:
        """Return when the next call of a connection may begin; calls of one connection keep their order."""
        connection.turns += 1
        loop = asyncio.get_running_loop()
        if self._since is None:
            self._since = loop.time()
            loop.call_soon(self._next, loop)
        if not self._waiting and loop.time() - self._since < TURN_S:
            return
        turn = loop.create_future()
        heapq.heappush(self._waiting, (connection.turns, next(self._numbers), turn))
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called in the next iteration of the loop."""
        self._since = None
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():  # its call was not cancelled
                turn.set_result(None)
                self._since = loop.time()
                loop.call_soon(self._next, loop)
                return
