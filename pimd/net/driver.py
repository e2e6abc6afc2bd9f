"""Connects one sans-IO link to one stream: bytes in, events to the owner, one write for each turn, one timer."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Hashable
from typing import Protocol, cast

from pimd.addresses import Endpoint
from pimd.clock import Clock, TimerHandle
from pimd.ids import NodeId
from pimd.limits import KIB, declare
from pimd.net.link_rates import LinkRates
from pimd.net.transport import Transport
from pimd.net.turns import Turns
from pimd.proto.frames import Frame, GoodbyeReason, MeshData
from pimd.proto.handshake import LinkPeer
from pimd.proto.link import Link
from pimd.proto.link_events import (
    Authenticated,
    Closed,
    FrameReceived,
    Leaving,
    LinkEvent,
    PeerSaidGoodbye,
    RecordTaken,
    Up,
)
from pimd.proto.link_states import CloseReason
from pimd.proto.traffic import TrafficClass

log = logging.getLogger("pimd.net")

READ_AT_ONCE = declare(
    "bytes read of one socket at once", 128 * KIB, "bytes", "the other sockets with data are read first"
)
"""`Turns` limits the time in which they are parsed."""
EVENTS_AT_ONCE = 8
"""Data frames of a link that are handled between two reads of the clock; other frames may take much longer."""
UNREAD = declare(
    "bytes of a link that were read and not taken apart",
    256 * KIB,
    "bytes",
    "the socket is not read, and TCP pushes back",
)
FLUSH_S = 1.0
"""Seconds until a closed stream is reset when its last bytes do not leave, since the peer does not read."""
WRITE_BUFFER = 64 * 1024
"""Encrypted bytes handed to the transport ahead of the socket; what waits beyond stays unencrypted in the link."""


_INCOMING = memoryview(bytearray(READ_AT_ONCE.value))
"""Shared by all links for reading from the socket: only one link reads at a time."""


def _ignore(frame: Frame) -> None:
    """Drop frames until the owner sets `deliver`."""
    del frame


class LinkOwner(Protocol):
    """Decides about links and takes their frames; called synchronously from the event loop."""

    def connected(self, driver: "LinkDriver") -> None:
        """The stream is open, nothing is proven."""

    def authenticated(self, driver: "LinkDriver", peer: LinkPeer) -> None:
        """The proof holds; answer with `driver.accept()` or `driver.refuse(...)` before returning."""

    def up(self, driver: "LinkDriver") -> None:
        """Frames may be sent."""

    def writable(self, driver: "LinkDriver", classes: list[TrafficClass]) -> None:
        """Data frames of these classes were refused, and there is room again."""

    def goodbye(self, driver: "LinkDriver", reason: GoodbyeReason) -> None:
        """The peer is leaving; `leaving` or `closed` follows."""

    def leaving(self, driver: "LinkDriver", detail: str) -> None:
        """A link that was up carries no frames any more; `closed` follows."""

    def closed(self, driver: "LinkDriver", detail: str) -> None:
        """The last call for this driver; `detail` says why in a few words."""


class LinkDriver(asyncio.BufferedProtocol, asyncio.Protocol):
    """The I/O half of a link; every call flushes what the link has to send and sets its timer."""

    endpoint: Endpoint
    """Of the other end; set, like `source`, when the stream is open."""
    source: str
    """What counts as one source of half-open connections."""

    def __init__(
        self,
        make_link: Callable[[float], Link],
        owner: LinkOwner,
        clock: Clock,
        turns: Turns,
        over: Transport,
        *,
        dialled: bool,
    ) -> None:
        self.link = make_link(clock.now())
        self.dialled = dialled
        self.deliver: Callable[[Frame], None] = _ignore
        """Takes each frame of the peer; the owner sets it once the link is up."""
        self.address = "?"
        self.is_preferred: Callable[[], bool] = lambda: False
        """Whether the peer is configured or a contact now; the owner sets it once the link is up."""
        self._over = over
        self._owner = owner
        self._clock = clock
        self._turns = turns
        self._transport: asyncio.Transport | None = None
        self._rates = LinkRates(clock.now(), self.link.bites)
        self._timer: TimerHandle | None = None
        self._timer_at = float("inf")
        self._reading = True
        self._writable = True
        self._half_closed = False
        self._pumping = False
        self._waits = False
        """Whether it waits for its next turn with unparsed bytes, or rests until it is within its rates."""
        self._rest_ends: TimerHandle | None = None
        self._is_lost = False
        """The stream has ended; what was read of it is still parsed, in turns."""
        self._flush_is_due = False
        self._ended = False

    # --- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio for each stream: reports it to the owner and starts the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._over.opened(transport)
        self.endpoint = self._over.remote(transport)
        self.own_endpoint = self._over.local(transport)
        self.source = self._over.source(transport)
        self.address = self.endpoint.text
        self._owner.connected(self)
        self._pump()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Limit what the event loop reads at once; the bytes are copied before another link reads."""
        del sizehint
        return _INCOMING[: READ_AT_ONCE.value]

    def buffer_updated(self, nbytes: int) -> None:
        """Feed the bytes that were read into the shared buffer."""
        if nbytes >= READ_AT_ONCE.value:
            self.link.bites.count(READ_AT_ONCE)
        self.data_received(_INCOMING[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Feed the link, and parse within the time that is left in this turn."""
        self.link.receive(data, self._clock.now())
        if self._waits or not self._turns.may_begin():
            self._wait()
        else:
            self._pump()

    def work(self) -> None:
        """Continue to parse, when `Turns` gives this link a slice."""
        self._waits = False
        self._pump()

    def eof_received(self) -> bool:
        """Keep our sending side open: the link decides when it ends."""
        self.link.eof_received(self._clock.now())
        self._pump()
        return not self._ended

    def connection_lost(self, exc: Exception | None) -> None:
        """Parse what was read before, then tell the link; a reset counts as an end."""
        del exc
        self._transport = None
        self._is_lost = True
        if self._rest_ends is not None:
            self._rest_ends.cancel()
            self._rested()
        elif not self._waits and self._turns.may_begin():
            self._pump()
        else:
            self._wait()

    def pause_writing(self) -> None:
        """Leave further frames in the link, unencrypted and bounded."""
        self._writable = False

    def resume_writing(self) -> None:
        """Send the frames that wait in the link."""
        self._writable = True
        self._flush_due()

    # --- the owner calls these

    def accept(self) -> None:
        """Admit the authenticated peer."""
        self.link.accept(self._clock.now())
        self._pump()

    def refuse(self, reason: GoodbyeReason) -> None:
        """Turn the authenticated peer away; it is told the reason when the handshake got that far."""
        self.link.refuse(reason, self._clock.now())
        self._pump()

    def send(self, frame: Frame, source: Hashable = "") -> bool:
        """Queue one frame, to leave in this turn; False when a data frame finds no room, and nothing was queued."""
        queued = self.link.send(frame, self._clock.now(), source)
        self._flush_soon()
        return queued

    def send_encoded(self, traffic_class: TrafficClass, frame: bytearray, source: Hashable) -> bool:
        """Queue a Data frame that is encoded already, as `send` does."""
        queued = self.link.send_encoded(traffic_class, frame, self._clock.now(), source)
        self._flush_soon()
        return queued

    def relay(self, frame: MeshData, neighbour: NodeId) -> None:
        """Queue a frame of `neighbour` that this node relays; without room the biggest flow loses a frame."""
        self.link.relay(frame, neighbour, self._clock.now())
        self._flush_soon()

    def answer(self, frame: Frame) -> None:
        """Queue what the peer asked for."""
        self.link.answer(frame, self._clock.now())
        self._flush_soon()

    def ping(self) -> int:
        """Ask for a sign of life, and return the nonce of the Pong that is one."""
        nonce = self.link.ping(self._clock.now())
        self._flush_soon()
        return nonce

    def close(self, reason: GoodbyeReason) -> None:
        """Say Goodbye and end within a second."""
        self.link.close(reason, self._clock.now())
        self._pump()

    def abort(self) -> None:
        """Reset the connection without Goodbye."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def cost(self) -> int:
        """What the link adds to the metric of a route."""
        return self._over.cost

    @property
    def flushed(self) -> bool:
        """Nothing is left in the transport's buffer."""
        return self._transport is None or self._transport.get_write_buffer_size() == 0

    # --- the pump

    def _tick(self) -> None:
        self._timer_at = float("inf")
        self.link.tick(self._clock.now())
        if self._waits and not self._ended:
            self._flush()  # what it brought is parsed in its turn
            self._set_timer()
        else:
            self._pump()

    def _flush_soon(self) -> None:
        """Send what is queued in this turn with one write."""
        if not self._flush_is_due and not self._pumping and not self._ended:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush_due)

    def _flush_due(self) -> None:
        self._flush_is_due = False
        if not self._waits:
            self._pump()
        elif not self._ended:
            self._flush()

    def _pump(self) -> None:
        if self._pumping or self._ended:
            return
        self._pumping = True
        try:
            self._dispatch_events()
            if self._is_lost and not self._waits:
                self.link.connection_lost(self._clock.now())
                self._dispatch_events()
        except Exception:
            # The seam of one peer: a bug that one link triggers must end that link only.
            log.exception("link with %s: internal error, closing it", self.address)
            if self._transport is None:
                self._end(Closed(CloseReason.LOST, "internal error"))
            self.abort()
        finally:
            self._pumping = False
        if not self._ended:
            self._flush()
            self._set_timer()
            self._push_back()

    def _wait(self) -> None:
        """Leave the rest to a later turn, and read nothing until then."""
        if not self._waits:
            self._waits = True
            self._turns.wait(self)
        self._push_back()

    def _rest(self, seconds: float) -> None:
        """Parse and read nothing for a while: the peer is over a rate."""
        if not self._waits:
            self._waits = True
            self._rest_ends = self._clock.call_at(self._clock.now() + seconds, self._rested)
        self._push_back()

    def _rested(self) -> None:
        self._rest_ends = None
        if not self._ended:
            self._turns.wait(self)

    def _push_back(self) -> None:
        is_full = self.link.unread > UNREAD.value
        reading = not is_full and not self._waits
        if reading == self._reading or self._transport is None:
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            if is_full:
                self.link.bites.count(UNREAD)
            self._transport.pause_reading()

    def _dispatch_events(self) -> None:
        count, began = 0, self._clock.now()
        while (event := self.link.next_event()) is not None:
            frame = None
            if isinstance(event, FrameReceived):
                frame = event.frame
                self.deliver(frame)
            elif isinstance(event, Closed):
                self._end(event)
                return
            elif not isinstance(event, RecordTaken):
                self._tell(event)
                continue
            count += 1
            if self._is_lost:
                pass  # no rate: nothing more will come
            elif isinstance(frame, MeshData):
                if count % EVENTS_AT_ONCE:
                    continue
            else:
                now = self._clock.now()
                seconds = max(self._rates.rest(frame, now), self._turns.rest(self, now - began))
                if seconds:
                    self._rest(seconds)
                    return
                began = now
            if self._turns.is_over():
                self._wait()
                return

    def _tell(self, event: LinkEvent) -> None:
        match event:
            case Authenticated(peer):
                self._owner.authenticated(self, peer)
            case Up():
                self._owner.up(self)
            case PeerSaidGoodbye(reason):
                self._owner.goodbye(self, reason)
            case Leaving(detail):
                self._owner.leaving(self, detail)

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        now = self._clock.now()
        while self._writable and (data := self.link.data_to_send(now, WRITE_BUFFER)):
            self._transport.write(data)
        if self.link.is_awaited and (classes := self.link.room_made()):
            self._owner.writable(self, classes)
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
