"""aiohttp's connection with added limits: connections, unread bytes, and the time for one message."""

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_request import BaseRequest

from pimd.rpc.client_socket import Lingering, UnreadOutput, has_left
from pimd.rpc.connection import Connection
from pimd.rpc.envelope import INTERNAL_ERROR, INVALID_REQUEST, Fault, failure
from pimd.rpc.limits import CONNECTIONS, FIRST_MESSAGE, MESSAGE_S, OWN_BYTES, Budgets, ConnectionBytes
from pimd.rpc.reading import BigMessages, Unparsed

log = logging.getLogger("pimd.rpc")

OVERLOADED = -32005
KEEPALIVE_S = 75.0
HTTP_ERRORS = 400
HTTP_FAILURES = 500
SERVER = "pimd"
"""Instead of aiohttp's own, which tells its version and Python's."""
HEAD = (
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    f"Server: {SERVER}\r\nContent-Length: {{}}\r\n\r\n{{}}"
)


def json_response(text: str | None, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Make a response of JSON text, or an empty one; the `Server` header names no version."""
    kind = "application/json" if text is not None else None
    return web.Response(text=text, status=status, content_type=kind, headers={"Server": SERVER} | (headers or {}))


class BoundedConnection(web.RequestHandler):
    """Counts the bytes of a client until a handler is done with them."""

    def __init__(self, manager: "BoundedServer", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=KEEPALIVE_S,
            tcp_keepalive=True,  # a WebSocket may be silent for days, but a vanished client must not keep its place
            access_log=None,  # type: ignore[arg-type] # None is how aiohttp is told to write none
            auto_decompress=False,
            lingering_time=0.0,
            read_bufsize=OWN_BYTES // 2,  # of a body twice as much is read ahead
        )
        self._budgets = manager.budgets
        self._lingerers = manager.lingering
        self._unparsed = Unparsed(manager.big_messages, self._go_on)
        self._may_go_on = asyncio.Event()
        self.output = ConnectionBytes(manager.budgets.output, alone=True)
        """Answers that the socket has not taken."""
        self.caller = Connection("http", output=self.output, has_left=lambda: self.has_left)
        """For the calls of `POST /rpc`, one after the other."""
        self._unread = UnreadOutput(self.output, self._unparsed)
        self._in_hand = 0
        """Of what was read, the bytes of messages that are being answered."""
        self._lingering: Lingering | None = None
        self._serving = False
        self._deadline: asyncio.TimerHandle | None = None
        self.unread_limit: int | None = None
        """Bytes of one message beyond which the connection is cut; None leaves that to the handler."""
        self.is_websocket = False
        """Whether messages are read here, and not by a handler that asks `may_read_on`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the client, or refuse it over the limit of connections."""
        if self._budgets.http.enter(self):
            super().connection_made(transport)
            self._arm()
        elif isinstance(transport, asyncio.Transport):
            self.transport = transport
            self._refuse(f"all {CONNECTIONS.value} connections are taken; try again later")

    def data_received(self, data: bytes) -> None:
        """Count the bytes, then pass them to aiohttp."""
        if self._lingering is not None:
            self._lingering.received(len(data))
            return
        if data:
            self._unparsed.take(len(data))
            if self.unread_limit is not None and self._unparsed.held > self.unread_limit:
                self._budgets.bites.count(FIRST_MESSAGE)
                self.cut("a message is too long")
                return
            self._arm()
        super().data_received(data)
        if self.is_websocket and self.transport is not None and not self._unparsed.may_go_on():
            self.transport.pause_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release the counted bytes and the place of the connection."""
        if self._lingering is not None:
            self._lingering.ended()
            self._lingerers.discard(self._lingering)
        self._unread.resumed()
        self.output.close()
        self.consumed()
        self._unparsed.close()
        self._may_go_on.set()
        self._budgets.http.leave(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Watch a client that does not read its answers."""
        super().pause_writing()
        if self.transport is not None:
            self._unread.paused(self.transport)

    def resume_writing(self) -> None:
        """Called by asyncio when the client has read."""
        super().resume_writing()
        self._unread.resumed()

    def prove(self) -> None:
        """Called by a handler when the client has shown the token."""
        self._budgets.http.prove(self)

    def displace(self) -> None:
        """Close for a new connection, since no token was shown here."""
        self.cut("a new connection took its place")

    @property
    def has_left(self) -> bool:
        """Whether the client is gone."""
        return has_left(self.transport)

    async def readable(self) -> bool:
        """Return once the client has read most of what was written; False when it is gone."""
        try:
            await self._drain_helper()
        except ConnectionError:
            return False
        return self.transport is not None

    async def may_read_on(self) -> None:
        """Called by a handler that reads a body: a long one waits for its turn."""
        while not self._unparsed.may_go_on() and self.transport is not None:
            self._may_go_on.clear()
            await self._may_go_on.wait()

    def _go_on(self) -> None:
        self._may_go_on.set()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._arm()
        if self.is_websocket and self.transport is not None and not (self._reading_paused or self._buffer_paused):
            self.transport.resume_reading()

    def arrived(self) -> int:
        """Called by a handler when it has a whole message; return how many bytes count until they are released."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        size = self._unparsed.held - self._in_hand
        self._in_hand += size
        return size

    def release(self, size: int) -> None:
        """Called by a handler when it is done with a message of so many bytes."""
        self._in_hand -= size
        self._unparsed.give_back(size)

    def consumed(self) -> None:
        """Called by a handler when it has read a whole message and holds nothing of it."""
        self.release(self.arrived())

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
            self._linger()

    def _linger(self) -> None:
        """Close once the client has sent the rest: it can read the answer meanwhile."""
        transport, self.transport = self.transport, None
        self.consumed()
        super().connection_lost(None)  # for aiohttp the connection is over, and a handler lets go of half a body
        if transport is not None and self._lingering is None:
            self._lingering = Lingering(transport, self._budgets.lingering, self._budgets.bites)
            self._lingerers.add(self._lingering)

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write a response; after a refusal that ends the connection the client may still send."""
        finished = await super().finish_response(request, resp, start_time)
        if resp.status >= HTTP_ERRORS and not resp.keep_alive:
            self._linger()
        return finished

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer malformed HTTP, or a failure of ours; what the client sent is not repeated: it may hold a token."""
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        if isinstance(exc, ConnectionError):
            raise exc
        if status >= HTTP_FAILURES:
            log.error("an HTTP request could not be served", exc_info=exc)
            fault = Fault(INTERNAL_ERROR, "the daemon could not answer; its log has the cause")
        else:
            log.debug("malformed HTTP was refused: %s", type(exc).__name__)
            fault = Fault(INVALID_REQUEST, "this is no HTTP request that can be read")
        if isinstance(exc, LineTooLong):
            status, fault = 431, Fault(INVALID_REQUEST, "a line of the HTTP request is too long")
        response = json_response(failure(fault), status)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what aiohttp could not do; without the exception's text, which may repeat what the client sent."""
        log.debug("an HTTP request could not be served: %s: %s", args[:1], type(kw.get("exc_info")).__name__)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(MESSAGE_S, self._late)

    def _late(self) -> None:
        self._deadline = None
        if self._serving or self._unparsed.is_waiting:
            self._arm()
        else:
            self.cut(f"a message was not finished within {MESSAGE_S:g} s")


class BoundedServer(web.Server):
    """Tells aiohttp to use `BoundedConnection`, and holds the budgets that all of them share."""

    def __init__(self, handler: Any, budgets: Budgets, big_messages: BigMessages) -> None:
        super().__init__(handler)
        self.budgets = budgets
        self.big_messages = big_messages
        self.lingering: set[Lingering] = set()

    def __call__(self) -> web.RequestHandler:
        """Called by the event loop for each accepted connection."""
        return BoundedConnection(self, asyncio.get_running_loop())

    def stop_lingering(self) -> None:
        """Close the connections of refused clients that still send."""
        for lingering in tuple(self.lingering):
            lingering.close()
