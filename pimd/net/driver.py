"""Pumps one sans-IO link over one stream: bytes in, events to the owner, bytes out, one timer."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Protocol, cast

from pimd.clock import Clock, TimerHandle
from pimd.proto.frames import Frame, GoodbyeReason
from pimd.proto.handshake import LinkPeer
from pimd.proto.link import Authenticated, Closed, FrameReceived, Leaving, Link, PeerSaidGoodbye, Up

log = logging.getLogger("pimd.net")

READ_AT_ONCE = 16 * 1024
"""Bytes taken from one socket before all others have their turn: what a peer sends may cost far more work than sending it."""
UNREAD_LIMIT = 256 * 1024
"""Bytes read from one socket and not taken apart; above it the socket is not read, and TCP pushes back."""
FLUSH_S = 1.0
"""How long the last bytes may take to leave after the end; a peer that does not read must not keep the socket."""
WRITE_BUFFER = 64 * 1024
"""Encrypted bytes handed to the transport ahead of the socket; what waits beyond stays unencrypted in the link."""


class LinkOwner(Protocol):
    """Who decides about links and takes their frames; called synchronously from the event loop."""

    def connected(self, driver: "LinkDriver") -> None:
        """The stream is open, nothing is proven."""

    def authenticated(self, driver: "LinkDriver", peer: LinkPeer) -> None:
        """The proof holds; answer with `driver.accept()` or `driver.refuse(...)` before returning."""

    def up(self, driver: "LinkDriver") -> None:
        """Frames may be sent."""

    def frame(self, driver: "LinkDriver", frame: Frame) -> None:
        """One frame of an authenticated peer."""

    def goodbye(self, driver: "LinkDriver", reason: GoodbyeReason) -> None:
        """The peer is leaving; `leaving` or `closed` follows."""

    def leaving(self, driver: "LinkDriver", detail: str) -> None:
        """A link that was up carries nothing any more; `closed` follows."""

    def closed(self, driver: "LinkDriver", detail: str) -> None:
        """The last call for this driver; `detail` says why in a few words."""


def format_address(sockname: tuple[object, ...]) -> str:
    """Write a socket address as `host:port`, IPv6 in brackets."""
    host, port = str(sockname[0]), sockname[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class LinkDriver(asyncio.BufferedProtocol, asyncio.Protocol):
    """The I/O half of a link; every verb flushes what the link wants to send and sets its timer anew."""

    def __init__(self, make_link: Callable[[float], Link], owner: LinkOwner, clock: Clock, *, dialled: bool) -> None:
        self.link = make_link(clock.now())
        self.dialled = dialled
        self.address = "?"
        self.source_host = ""
        self._owner = owner
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._timer: TimerHandle | None = None
        self._timer_at = float("inf")
        self._incoming = memoryview(b"")
        """Where the event loop puts what it read, for the moment until it is copied; made when it first asks."""
        self._reading = True
        self._writable = True
        self._half_closed = False
        self._pumping = False
        self._ended = False

    # --- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        peername = transport.get_extra_info("peername") or ("?", 0)
        self.source_host = str(peername[0])
        self.address = format_address(peername)
        self._owner.connected(self)
        self._pump()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Let the event loop read no more than this in one go."""
        del sizehint
        if not self._incoming:
            self._incoming = memoryview(bytearray(READ_AT_ONCE))
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Take what it read."""
        self.data_received(bytes(self._incoming[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Feed the link."""
        self.link.receive(data, self._clock.now())
        self._pump()

    def eof_received(self) -> bool:
        """Keep our half open: the link decides when it is over."""
        self.link.eof_received(self._clock.now())
        self._pump()
        return not self._ended

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the link; a reset is as good as an end."""
        del exc
        self._transport = None
        self.link.connection_lost(self._clock.now())
        self._pump()

    def pause_writing(self) -> None:
        """Leave further frames in the link, unencrypted and bounded."""
        self._writable = False

    def resume_writing(self) -> None:
        """Go on with what waits in the link."""
        self._writable = True
        self._pump()

    # --- the owner calls these

    def accept(self) -> None:
        """Admit the authenticated peer."""
        self.link.accept(self._clock.now())
        self._pump()

    def refuse(self, reason: GoodbyeReason) -> None:
        """Turn the authenticated peer away; it is told the reason when the handshake got that far."""
        self.link.refuse(reason, self._clock.now())
        self._pump()

    def send(self, frame: Frame) -> None:
        """Queue one frame; what does not fit the limits is dropped and counted by the link."""
        self.link.send(frame, self._clock.now())
        self._pump()

    def answer(self, frame: Frame) -> None:
        """Queue what the peer asked for."""
        self.link.answer(frame, self._clock.now())
        self._pump()

    def close(self, reason: GoodbyeReason) -> None:
        """Say Goodbye and end within a second."""
        self.link.close(reason, self._clock.now())
        self._pump()

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def flushed(self) -> bool:
        """Nothing is left in the transport's buffer."""
        return self._transport is None or self._transport.get_write_buffer_size() == 0

    # --- the pump

    def _tick(self) -> None:
        self._timer_at = float("inf")
        self.link.tick(self._clock.now())
        self._pump()

    def _pump(self) -> None:
        if self._pumping or self._ended:
            return
        self._pumping = True
        try:
            self._dispatch_events()
        except Exception:
            # One peer's seam: a bug met through one link must cost that link only.
            log.exception("link with %s: internal error, closing it", self.address)
            self.abort()
        finally:
            self._pumping = False
        if not self._ended:
            self._set_timer()
            self._push_back()

    def _push_back(self) -> None:
        reading = self.link.unread <= UNREAD_LIMIT
        if reading == self._reading or self._transport is None:
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _dispatch_events(self) -> None:
        while True:
            self._flush()
            event = self.link.next_event()
            match event:
                case None:
                    return
                case FrameReceived(frame):
                    self._owner.frame(self, frame)
                case Authenticated(peer):
                    self._owner.authenticated(self, peer)
                case Up():
                    self._owner.up(self)
                case PeerSaidGoodbye(reason):
                    self._owner.goodbye(self, reason)
                case Leaving(detail):
                    self._owner.leaving(self, detail)
                case Closed():
                    self._end(event)
                    return

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        while self._writable and (data := self.link.data_to_send(WRITE_BUFFER)):
            self._transport.write(data)
        if self.link.wants_half_close and self._writable and not self._half_closed:
            self._half_closed = True
            # The peer may have reset the connection already.
            with contextlib.suppress(OSError):
                self._transport.write_eof()

    def _end(self, event: Closed) -> None:
        self._flush()
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
            if not self.flushed:
                self._clock.call_at(self._clock.now() + FLUSH_S, self.abort)
        self._owner.closed(self, f"{event.reason.value}: {event.detail}" if event.detail else str(event.reason.value))

    def _set_timer(self) -> None:
        """Deadlines mostly move away with each record: a timer that comes too early looks again, which is cheaper."""
        deadline = self.link.deadline()
        if deadline is None or deadline >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._clock.call_at(deadline, self._tick)
