"""The WebSocket RPC listener: one JSON-RPC message a text frame, and notifications."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from pimd.rpc import eager_task, envelope
from pimd.rpc.connection import Connection
from pimd.rpc.dispatch import UNAUTHORIZED, Dispatch
from pimd.rpc.envelope import INVALID_REQUEST, Fault
from pimd.rpc.feed import ConnectionFeed
from pimd.rpc.http_connection import BoundedConnection
from pimd.rpc.limits import CALLS_PER_CONNECTION, FIRST_MESSAGE, MESSAGE_S
from pimd.rpc.streams import Streams
from pimd.rpc.token_book import Grant

FRAME_OVERHEAD = 64
"""Bytes of frame headers and pings that come on top of a first message."""
UNSENT = 2 * CALLS_PER_CONNECTION.value
"""Answers that may wait for a client to read; beyond that its calls wait."""


class WebSocketSession:
    """One client from the upgrade to the close: calls, answers and notifications in text frames."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        carrier: BoundedConnection,
        dispatch: Dispatch,
        streams: Streams,
        check_token: Callable[[str], Grant | None],
        *,
        authenticated: bool,
        grant: Grant | None = None,
    ) -> None:
        self._socket = socket
        self._carrier = carrier
        self._dispatch = dispatch
        self._feed = ConnectionFeed(streams, self._send)
        self._connection = Connection(
            "websocket",
            self._feed,
            authenticated=authenticated,
            authenticate=check_token,
            grant=grant,
            output=carrier.output,
            has_left=lambda: carrier.has_left,
        )
        self._slots = asyncio.Semaphore(UNSENT)
        self._running = 0
        self._finishing = False

    async def run(self) -> None:
        """Serve until either side closes."""
        self._carrier.consumed()
        self._carrier.is_websocket = True
        try:
            if not self._connection.authenticated and not await self._authenticate():
                return
            async with asyncio.TaskGroup() as tasks:
                feed = tasks.create_task(self._feed.run(), name="websocket notifications")
                await self._read(tasks)
                feed.cancel()
        except* ConnectionError:
            pass  # the client left during the write
        finally:
            self._feed.close()

    def finish(self) -> None:
        """Close the session when no call is in flight."""
        self._finishing = True
        if not self._running:
            self.abort()

    def abort(self) -> None:
        """Close the TCP connection without a close frame; called when the stop runs out of time."""
        if self._carrier.transport is not None:
            self._carrier.transport.close()

    async def _authenticate(self) -> bool:
        self._carrier.unread_limit = FIRST_MESSAGE.value + FRAME_OVERHEAD
        try:
            async with asyncio.timeout(MESSAGE_S):
                message = await self._receive()
                while message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
                    message = await self._receive()
        except TimeoutError:
            text = f"no rpc.authenticate came within {MESSAGE_S:g} s"
            await self._refuse(Fault(UNAUTHORIZED, text))
            return False
        too_long = message.type is WSMsgType.TEXT and len(message.data) > FIRST_MESSAGE.value
        if too_long:
            self._dispatch.bites.count(FIRST_MESSAGE)
        if too_long or message.type is not WSMsgType.TEXT:
            await self._refuse(Fault(UNAUTHORIZED, "the first message must be rpc.authenticate with the token"))
            return False
        answer = await self._dispatch.answer(self._dispatch.parse(message.data), self._connection)
        if answer.text is not None:
            await self._send(answer.text)
            self._carrier.output.give_back(answer.held)
        if not self._connection.authenticated:
            await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"not authenticated")
            return False
        self._carrier.unread_limit = None
        self._carrier.prove()
        return True

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            message = await self._socket.receive()
            size = self._carrier.arrived()
            if message.type is WSMsgType.TEXT:
                raw = message.data
                del message
                await self._slots.acquire()
                await self._dispatch.turns.take(self._connection)
                if not await self._carrier.readable():
                    return  # what is still queued is dropped
                self._running += 1
                call = eager_task.start(tasks, self._answer(raw, size), "websocket call")
                del raw
                if not call.done():  # as on the Unix socket
                    await asyncio.sleep(0)
                continue
            self._carrier.release(size)
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.BINARY:
                await self._send(envelope.failure(Fault(INVALID_REQUEST, "send JSON in text frames, not binary ones")))
            elif message.type is not WSMsgType.PONG:
                return

    async def _receive(self) -> WSMessage:
        message = await self._socket.receive()
        self._carrier.consumed()
        return message

    async def _answer(self, raw: bytes, size: int) -> None:
        try:
            message = self._dispatch.parse(raw)
            del raw
            self._carrier.release(size)
            size = 0
            if message.content is envelope.NOT_UTF_8:
                await self._socket.close(code=WSCloseCode.INVALID_TEXT, message=b"not UTF-8")  # RFC 6455, 8.1
                return
            answer = await self._dispatch.answer(message, self._connection)
            del message
            if answer.text is not None:
                frame, answer = answer.text.encode(), replace(answer, text=None)
                await self._write(frame)
            self._carrier.output.give_back(answer.held)
            answer.sent()
        finally:
            self._carrier.release(size)
            self._running -= 1
            self._slots.release()
            if self._finishing and not self._running:
                self.abort()

    async def _send(self, text: str) -> None:
        if self._connection.grant is not None and self._connection.grant.over is not None:
            self.abort()  # what is told is for who may still know it
            return
        await self._write(text.encode())

    async def _write(self, frame: bytes) -> None:
        """Write a text frame, and return once the client has read most of it."""
        try:
            await self._socket.send_frame(frame, WSMsgType.TEXT)
            await self._carrier.readable()
        except (ConnectionError, RuntimeError):
            return  # closed meanwhile; the reading loop ends, too

    async def _refuse(self, fault: Fault) -> None:
        await self._send(envelope.failure(fault))
        await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"not authenticated")
