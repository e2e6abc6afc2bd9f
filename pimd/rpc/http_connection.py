"""aiohttp's connection with added limits: connections, unread bytes, and the time for one message."""

import asyncio
import logging
from typing import Any

from aiohttp import web

from pimd.rpc.envelope import Fault, failure
from pimd.rpc.limits import CONNECTIONS, FIRST_MESSAGE, MESSAGE_S, ConnectionReadBudget, OverLimit, ReadBudget

log = logging.getLogger("pimd.rpc")

OVERLOADED = -32005
KEEPALIVE_S = 75.0
HEAD = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}"


class BoundedConnection(web.RequestHandler):
    """Counts the bytes of a client until a handler calls `consumed`."""

    def __init__(self, manager: "BoundedServer", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=KEEPALIVE_S,
            tcp_keepalive=True,  # a WebSocket may be silent for days, but a vanished client must not keep its place
            access_log=None,  # type: ignore[arg-type] # None is how aiohttp is told to write none
            auto_decompress=False,
            lingering_time=0.0,
        )
        self._read_budget = manager.read_budget
        self._entered = False
        self._read = ConnectionReadBudget(manager.read_budget)
        self._serving = False
        self._deadline: asyncio.TimerHandle | None = None
        self.unread_limit: int | None = None
        """Bytes of one message beyond which the connection is cut; None leaves that to the handler."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the client, or refuse it over the limit of connections."""
        self._entered = self._read_budget.enter()
        if self._entered:
            super().connection_made(transport)
            self._arm()
        elif isinstance(transport, asyncio.Transport):
            self.transport = transport
            self._refuse(f"all {CONNECTIONS.value} connections are taken; try again later")

    def data_received(self, data: bytes) -> None:
        """Count the bytes, then pass them to aiohttp."""
        if not self._entered:
            return
        if data:
            try:
                self._read.take(len(data))
            except OverLimit:
                self._refuse("the daemon holds too many unfinished messages; try again later")
                return
            if self.unread_limit is not None and self._read.held > self.unread_limit:
                self._read_budget.bites.count(FIRST_MESSAGE)
                self.cut("a message is too long")
                return
            self._arm()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release the counted bytes and the place of the connection."""
        if self._entered:
            self.consumed()
            self._read_budget.leave()
            self._entered = False
            super().connection_lost(exc)

    def consumed(self) -> None:
        """Called by a handler when it has read a whole message."""
        self._read.give_back(self._read.held)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def serve(self, *, serving: bool) -> None:
        """Note whether a call runs; meanwhile the next message has no deadline."""
        self._serving = serving

    def cut(self, reason: str) -> None:
        """Close the connection without an answer."""
        log.debug("an HTTP connection was cut: %s", reason)
        if self.transport is not None:
            self.transport.abort()

    def _refuse(self, reason: str) -> None:
        """Answer 503 without aiohttp, and close."""
        if self.transport is not None:
            body = failure(Fault(OVERLOADED, reason))
            self.transport.write(HEAD.format(len(body), body).encode())
            self.transport.close()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log malformed HTTP of a client at debug level; our own handlers log for themselves."""
        log.debug("an HTTP request could not be served: %s", args[:1], exc_info=kw.get("exc_info"))

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(MESSAGE_S, self._late)

    def _late(self) -> None:
        self._deadline = None
        if self._serving:
            self._arm()
        else:
            self.cut(f"a message was not finished within {MESSAGE_S:g} s")


class BoundedServer(web.Server):
    """Tells aiohttp to use `BoundedConnection`, and holds the budget that all of them share."""

    def __init__(self, handler: Any, read_budget: ReadBudget) -> None:
        super().__init__(handler)
        self.read_budget = read_budget

    def __call__(self) -> web.RequestHandler:
        """Called by the event loop for each accepted connection."""
        return BoundedConnection(self, asyncio.get_running_loop())
