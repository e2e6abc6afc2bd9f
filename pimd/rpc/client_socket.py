"""What a listener does about clients that left, do not read, or still send after a refusal."""

import asyncio
import select
import socket

from pimd.limits import Bites, Budget
from pimd.rpc.limits import LINGERING_BYTES, LINGERING_S, OWN_BYTES, UNREAD_S, ConnectionBytes
from pimd.rpc.reading import Unparsed


def has_left(transport: asyncio.BaseTransport | None) -> bool:
    """Tell whether the client is gone, also while nothing is read from it.

    On TCP a half-close counts as gone; on a Unix socket only a full close does.
    """
    if transport is None or transport.is_closing():
        return True
    sock = transport.get_extra_info("socket")
    gone = select.POLLHUP | select.POLLERR
    if sock.family != socket.AF_UNIX:
        gone |= select.POLLRDHUP
    poll = select.poll()
    poll.register(sock.fileno(), gone)
    return bool(poll.poll(0))


class Lingering:
    """Closes one direction, and reads and drops what still comes: closing with unread bytes would reset the answer away."""

    def __init__(self, transport: asyncio.Transport, budget: Budget, bites: Bites) -> None:
        self._transport = transport
        self._budget = budget
        self._bites = bites
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None
        self._entered = not transport.is_closing() and budget.take(1)
        if not self._entered:
            transport.close()
            return
        if transport.can_write_eof():
            transport.write_eof()
        transport.resume_reading()
        self._timer = asyncio.get_running_loop().call_later(LINGERING_S, transport.abort)

    def received(self, size: int) -> None:
        """Count dropped bytes; over the limit the connection is closed."""
        self._received += size
        if self._received > LINGERING_BYTES.value:
            self._bites.count(LINGERING_BYTES)
            self.close()

    def close(self) -> None:
        """Close at once."""
        self._transport.abort()

    def ended(self) -> None:
        """Called once the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
        if self._entered:
            self._budget.give_back(1)
            self._entered = False


class UnreadOutput:
    """Closes a connection whose client stops reading while its answers, or its next message, take room from others."""

    def __init__(self, output: ConnectionBytes, unparsed: Unparsed) -> None:
        self._output = output
        self._unparsed = unparsed
        self._timer: asyncio.TimerHandle | None = None

    def paused(self, transport: asyncio.Transport) -> None:
        """Called when the socket takes no more."""
        self._watch(transport, transport.get_write_buffer_size())

    def resumed(self) -> None:
        """Called when the client has read, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, transport: asyncio.Transport, before: int) -> None:
        self.resumed()
        self._timer = asyncio.get_running_loop().call_later(UNREAD_S, self._look, transport, before)

    def _look(self, transport: asyncio.Transport, before: int) -> None:
        now = transport.get_write_buffer_size()
        if now >= before and (self._output.held > OWN_BYTES or self._unparsed.has_place):
            transport.abort()
        else:
            self._watch(transport, now)
