"""The Unix socket RPC listener: newline-delimited JSON-RPC, `rpc.hello` first."""

import asyncio
import logging
from pathlib import Path

from pimd.net import unix_socket
from pimd.net.sockets import BACKLOG
from pimd.rpc import eager_task, envelope
from pimd.rpc.client_socket import Lingering, UnreadOutput, has_left
from pimd.rpc.connection import Connection
from pimd.rpc.dispatch import OVERLOADED, Dispatch
from pimd.rpc.envelope import INVALID_REQUEST, Fault
from pimd.rpc.feed import ConnectionFeed
from pimd.rpc.limits import MESSAGE, MESSAGE_S, OWN_BYTES, UNIX_CONNECTIONS, Budgets, ConnectionBytes
from pimd.rpc.lines import Lines, LineTooLong
from pimd.rpc.reading import BigMessages, Unparsed
from pimd.rpc.streams import Streams

log = logging.getLogger("pimd.rpc")

SETTING = "[rpc] unix_socket or PIM_RPC_SOCKET"


class UnixRpcListener:
    """Accepts on one socket; tasks of its connections run in the group given to `start`."""

    def __init__(
        self, path: Path, dispatch: Dispatch, streams: Streams, budgets: Budgets, big_messages: BigMessages
    ) -> None:
        self.path = path
        self.dispatch = dispatch
        self.streams = streams
        self.budgets = budgets
        self.big_messages = big_messages
        self.group: asyncio.TaskGroup | None = None
        self.connections: set[UnixConnection] = set()
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self, group: asyncio.TaskGroup) -> None:
        """Bind and accept; `SocketInUse` when the path cannot be bound."""
        self.group = group
        bound = unix_socket.bind(self.path, SETTING)
        self._inode = unix_socket.inode_of(self.path)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: UnixConnection(self), sock=bound, backlog=BACKLOG)

    def stop_accepting(self) -> None:
        """Remove the socket, and close every connection without a call in flight."""
        if self._server is not None:
            self._server.close()
            unix_socket.unlink_if_ours(self.path, self._inode)
        for connection in tuple(self.connections):
            connection.finish()

    def abort(self) -> None:
        """Close the remaining connections without waiting for calls."""
        for connection in tuple(self.connections):
            connection.close()


class UnixConnection(asyncio.Protocol):
    """One client of the socket: reads lines, runs calls, writes answers and notifications."""

    def __init__(self, listener: UnixRpcListener) -> None:
        self._listener = listener
        self._feed = ConnectionFeed(listener.streams, self._send)
        budgets = listener.budgets
        self._output = ConnectionBytes(budgets.output, alone=True)
        self._connection = Connection(
            "unix", self._feed, greeted=False, output=self._output, has_left=lambda: has_left(self._transport)
        )
        self._lines = Lines()
        self._unparsed = Unparsed(listener.big_messages, self._go_on)
        self._unread = UnreadOutput(self._output, self._unparsed)
        self._lingering: Lingering | None = None
        self._calls = 0
        self._transport: asyncio.Transport | None = None
        self._entered = False
        self._finishing = False
        self._out: list[str] = []
        self._writable = asyncio.Event()
        self._readable = asyncio.Event()
        self._writable.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._deadline: asyncio.TimerHandle | None = None

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the client, or refuse it over the limit of connections."""
        if not isinstance(transport, asyncio.Transport) or self._listener.group is None:
            raise TypeError(f"a stream transport was expected, not {transport!r}")
        self._transport = transport
        self._listener.connections.add(self)
        self._entered = self._listener.budgets.unix.enter(self)
        if not self._entered:
            self._fail(
                OVERLOADED, f"all {UNIX_CONNECTIONS.value} connections are taken; close some, or try again later"
            )
            return
        self._tasks = [
            self._listener.group.create_task(self._serve(), name="unix connection"),
            self._listener.group.create_task(self._feed.run(), name="unix notifications"),
        ]

    def data_received(self, data: bytes) -> None:
        """Queue whole lines for the serving task; over a limit the client gets an error and is closed."""
        if self._lingering is not None:
            self._lingering.received(len(data))
            return
        if self._transport is None or self._transport.is_closing():
            return
        self._lines.feed(data)
        self._unparsed.take(len(data))
        if len(self._lines) > MESSAGE.value and not self._lines.is_whole:
            self._fail_too_long()
            return
        self._watch_deadline(complete=self._lines.is_whole)
        if self._lines.is_whole:
            self._readable.set()
        if not self._unparsed.may_go_on() or self._lines.is_whole:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Answer the open calls, then close: `nc` and scripts half-close."""
        if self._lingering is not None or has_left(self._transport):
            return False
        self._finishing = True
        self._readable.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop the waiting calls and let running ones end; their answers are dropped."""
        del exc
        self._transport = None
        self._feed.close()
        for task in self._tasks:
            task.cancel()
        if self._deadline is not None:
            self._deadline.cancel()
        self._lines = Lines()
        self._unparsed.close()
        self._output.close()
        self._unread.resumed()
        self._writable.set()
        if self._lingering is not None:
            self._lingering.ended()
        self._listener.connections.discard(self)
        self._listener.budgets.unix.leave(self)

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read its answers."""
        self._writable.clear()
        if self._transport is not None:
            self._unread.paused(self._transport)

    def resume_writing(self) -> None:
        """Called by asyncio when the client has read; reading and notifications continue."""
        self._unread.resumed()
        self._writable.set()

    # --- stopping

    def finish(self) -> None:
        """Answer the calls in flight, then close."""
        self._finishing = True
        self._readable.set()
        self._close_if_done()

    def close(self) -> None:
        """Write the queued answers, then close."""
        if self._lingering is not None:
            self._lingering.close()
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def displace(self) -> None:
        """Close for a new connection, since nothing was proved here."""
        if self._transport is not None:
            self._transport.abort()

    # --- inside

    async def _serve(self) -> None:
        while self._lingering is None:
            size = len(self._lines)
            try:
                line = self._lines.next()
            except LineTooLong:
                self._fail_too_long()
                break
            size -= len(self._lines)
            if line is None:
                self._unparsed.give_back(size)
                if self._finishing:
                    break
                self._readable.clear()
                self._go_on()
                await self._readable.wait()
                continue
            await self._writable.wait()
            await self._listener.dispatch.turns.take(self._connection)
            has_ended = self._start_call(line, size)
            del line
            if not has_ended:  # let it go on before others begin: this keeps order and avoids overload
                await asyncio.sleep(0)
        self._close_if_done()

    def _go_on(self) -> None:
        """Read from the client again, unless whole lines wait here or a long one waits for its turn."""
        if self._lines.is_whole or self._unparsed.is_waiting or self._finishing:
            return
        self._watch_deadline(complete=True)
        if self._transport is not None:
            self._transport.resume_reading()

    def _start_call(self, line: bytearray, size: int) -> bool:
        """Tell whether it has ended already."""
        if self._listener.group is None or self._lingering is not None:
            return True
        self._calls += 1
        return eager_task.start(self._listener.group, self._answer(line, size), "unix call").done()

    async def _answer(self, line: bytearray, size: int) -> None:
        try:
            message = self._listener.dispatch.parse(line)
            del line
            self._unparsed.give_back(size)
            answer = await self._listener.dispatch.answer(message, self._connection)
            del message
            if answer.text is not None:
                self._write(answer.text)
            answer.sent()
        finally:
            self._calls -= 1
            self._close_if_done()
        if self._connection.greeted:
            self._listener.budgets.unix.prove(self)
        held = answer.held
        del answer  # only the socket's buffer holds it now
        await self._writable.wait()
        self._output.give_back(held)

    async def _send(self, text: str) -> None:
        self._write(text)
        await self._writable.wait()

    def _write(self, text: str) -> None:
        """Join the writes of one turn of the loop into one system call."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(text)
        if len(text) > OWN_BYTES:
            self._flush()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._lingering is None and self._transport is not None and not self._transport.is_closing():
            out.append("")
            self._transport.write("\n".join(out).encode())

    def _close_if_done(self) -> None:
        if self._finishing and not self._calls and not self._lines.is_whole:
            self.close()

    def _fail(self, code: int, message: str) -> None:
        """Write an error as the last answer; the client gets it even while it sends."""
        self._write(envelope.failure(Fault(code, message)))
        self._flush()
        self._lines = Lines()
        self._unparsed.close()
        self._readable.set()
        if self._transport is not None and self._lingering is None:
            budgets = self._listener.budgets
            self._lingering = Lingering(self._transport, budgets.lingering, budgets.bites)

    def _fail_too_long(self) -> None:
        self._listener.budgets.bites.count(MESSAGE)
        self._fail(INVALID_REQUEST, f"a line has at most {MESSAGE.value} bytes; this one is longer")

    def _watch_deadline(self, *, complete: bool) -> None:
        """Run one timer while a line is unfinished; each completed line restarts it."""
        if self._deadline is not None and (complete or not len(self._lines)):
            self._deadline.cancel()
            self._deadline = None
        if self._deadline is None and len(self._lines):
            self._deadline = asyncio.get_running_loop().call_later(MESSAGE_S, self._late)

    def _late(self) -> None:
        self._deadline = None
        if self._lines.is_whole or self._unparsed.is_waiting or not self._writable.is_set():
            self._watch_deadline(complete=False)  # it is we who do not read
        else:
            self._fail(INVALID_REQUEST, f"a line must be finished within {MESSAGE_S:g} s")
