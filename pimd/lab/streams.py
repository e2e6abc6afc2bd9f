"""Byte streams over cables in memory: in order, delayed by the cable's latency, held back while it is cut."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pimd.addresses import Endpoint

BUFFER = 64 * 1024
"""Default number of buffered bytes above which a stream pauses its protocol."""
KERNEL_BUFFER = 128 * 1024
"""Unsent bytes that the kernel takes of a link (`pimd.net.sockets.UNSENT_LIMIT`)."""


class Machine(Protocol):
    """The machine at one end of a cable."""

    address: str

    @property
    def context(self) -> contextvars.Context:
        """The context in which the code of this machine runs."""

    streams: "dict[asyncio.BaseProtocol, Stream]"
    """Open streams, by the protocol that they serve."""

    def note(self, other: "Machine", data: bytes) -> None:
        """Called with the bytes that leave for `other`."""


@dataclass(eq=False)
class Cable:
    """A cable between two machines; while it is down nothing passes, and nobody is told."""

    ends: tuple[Machine, Machine]
    latency_s: tuple[float, float]
    """Seconds from the first end to the second, and back."""
    rate: float | None = None
    """Bytes a second each way; None adds no time to the latency."""
    buffer: int = KERNEL_BUFFER
    """Bytes that an end buffers before it counts them as unsent."""
    up: bool = True
    pipes: "dict[Pipe, None]" = field(default_factory=dict)
    _busy_until: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def passes(self, machine: Machine, size: int, now: float) -> float:
        """Return the time when the last of `size` bytes has left an end, behind earlier bytes."""
        if self.rate is None or not size:
            return max(now, self._busy_until[self.ends.index(machine)])
        way = self.ends.index(machine)
        self._busy_until[way] = max(now, self._busy_until[way]) + size / self.rate
        return self._busy_until[way]

    def unsent(self, machine: Machine, now: float) -> int:
        """Bytes that wait beyond the buffer of an end."""
        if self.rate is None:
            return 0
        waiting = (self._busy_until[self.ends.index(machine)] - now) * self.rate
        return max(0, round(waiting) - self.buffer)

    def is_free_at(self, machine: Machine, size: int) -> float:
        """Return the time when at most `size` bytes are unsent."""
        return self._busy_until[self.ends.index(machine)] - (size + self.buffer) / (self.rate or 1.0)

    def latency_from(self, machine: Machine) -> float:
        """Latency of what `machine` sends, one way."""
        return self.latency_s[self.ends.index(machine)]

    def cut(self, notice_s: tuple[float | None, float | None] = (0.0, 0.0)) -> None:
        """Block the cable; after its delay each end's streams are reset, with None only its own timeouts act."""
        self.up = False
        loop = asyncio.get_running_loop()
        for pipe in list(self.pipes):
            pipe.freeze()
            sink = pipe.sink
            delay = notice_s[self.ends.index(sink.machine)]
            if delay is not None:
                loop.call_at(loop.time() + delay, sink.lose, "the cable was cut", context=sink.context)

    def restore(self) -> None:
        """Deliver held-back bytes, as TCP retransmits, and all later ones."""
        self.up = True
        for pipe in list(self.pipes):
            pipe.thaw()


Segment = bytearray | Literal["open", "end", "reset"]


class Pipe:
    """One direction of a stream."""

    def __init__(self, cable: Cable, source: "Stream", sink: "Stream") -> None:
        self.source = source
        self.sink = sink
        self.held = 0
        """Bytes written while the cable was down."""
        self._cable = cable
        self._latency = cable.latency_from(source.machine)
        self._underway: deque[tuple[float, Segment]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        cable.pipes[self] = None

    def send(self, segment: Segment) -> None:
        """Send bytes, or the end of the stream; bytes of one moment arrive together."""
        arrives = self._cable.passes(self.source.machine, _size(segment), self._loop.time()) + self._latency
        last_at, last = self._underway[-1] if self._underway else (-1.0, None)
        if last_at == arrives and isinstance(last, bytearray) and isinstance(segment, bytearray):
            last += segment
        else:
            self._underway.append((arrives, segment))
        if not self._cable.up:
            self.held += _size(segment)
        elif self._timer is None:
            self._arm()

    def reset(self) -> None:
        """Tell the sink that the source is gone; over a cut cable that and all held-back bytes are lost."""
        if self._cable.up:
            self.send("reset")
        else:
            self._underway.clear()

    def freeze(self) -> None:
        """Deliver nothing until `thaw`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def thaw(self) -> None:
        """Send everything again that did not arrive."""
        arrives = self._loop.time() + self._latency
        self._underway = deque((arrives, segment) for _, segment in self._underway if segment != "reset")
        self.held = 0
        if self._underway and self._timer is None:
            self._arm()
        self.source.drained()

    def remove(self) -> None:
        """Remove the pipe, since both ends are gone."""
        self.freeze()
        self._underway.clear()
        self._cable.pipes.pop(self, None)

    def _arm(self) -> None:
        self._timer = self._loop.call_at(self._underway[0][0], self._deliver, context=self.sink.context)

    def _deliver(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._underway and self._underway[0][0] <= now and self._cable.up:
            self.sink.take(self._underway.popleft()[1])
        if self._underway and self._cable.up and self._timer is None:
            self._arm()


class Stream(asyncio.Transport):
    """One end of a connection."""

    peer: "Stream"
    """The other end."""
    cable: Cable
    out: Pipe

    def __init__(self, machine: Machine, sockname: Endpoint, peername: Endpoint) -> None:
        super().__init__({"sockname": sockname, "peername": peername})
        self.machine = machine
        self.context = machine.context
        self.protocol: asyncio.Protocol | None = None
        """None before the stream opens and after it ends."""
        self.on_open: Callable[[], None] = lambda: None
        """Called when the other end has accepted the connection."""
        self._high = BUFFER
        self._paused = False
        self._reading = True
        self._unread: deque[Segment] = deque()
        self.unread = 0
        """Received bytes that wait for `resume_reading`."""
        self._closing = False
        self._end_sent = False
        self._loop = asyncio.get_running_loop()

    def open(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        """Start, once both ends are joined."""
        self.protocol = make_protocol()
        self.machine.streams[self.protocol] = self
        self.protocol.connection_made(self)

    # --- asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send at once; a closing stream drops the bytes."""
        if self._closing or self._end_sent or not data:
            return
        self.machine.note(self.peer.machine, bytes(data))
        self.out.send(bytearray(data))
        self.filled()

    def write_eof(self) -> None:
        """Send the end of our data; reading continues."""
        if not self._closing and not self._end_sent:
            self._end_sent = True
            self.out.send("end")

    def can_write_eof(self) -> bool:
        """True, as for TCP: the link half-closes its side after a Goodbye."""
        return True

    def close(self) -> None:
        """Send the end and leave; later bytes of the other end are answered with a reset."""
        if not self._closing:
            self.write_eof()
            self._leave(None)

    def abort(self) -> None:
        """Leave at once; the other end is reset."""
        if not self._closing:
            self.out.reset()
            self._leave(None)

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing

    def get_write_buffer_size(self) -> int:
        """Bytes held back by a cut or slow cable, or by a reader that pauses."""
        return self.out.held + self.peer.unread + self.cable.unsent(self.machine, self._loop.time())

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the size above which the protocol is paused."""
        del low
        self._high = BUFFER if high is None else high

    def pause_reading(self) -> None:
        """Keep received bytes until `resume_reading`."""
        self._reading = False

    def resume_reading(self) -> None:
        """Pass on the bytes that were kept."""
        self._reading = True
        while self._unread and self._reading:
            segment = self._unread.popleft()
            self.unread -= _size(segment)
            self.take(segment)
        self.peer.drained()

    def is_reading(self) -> bool:
        """Whether bytes are passed on as they come."""
        return self._reading and not self._closing

    # --- what comes from outside

    def take(self, segment: Segment) -> None:
        """Pass a segment to the protocol."""
        if segment == "reset":
            self.lose("the other end reset the connection")
        elif self._closing:
            if isinstance(segment, bytearray):
                self.out.reset()
        elif segment == "open":
            self.on_open()
        elif not self._reading or self.protocol is None:
            self._unread.append(segment)
            self.unread += _size(segment)
            self.peer.filled()
        elif isinstance(segment, bytearray):
            self.protocol.data_received(bytes(segment))
        elif not self.protocol.eof_received():
            self.close()

    def filled(self) -> None:
        """Called when more is held back, here or at the other end."""
        if not self._paused and self.protocol is not None and self.get_write_buffer_size() > self._high:
            self._paused = True
            self.protocol.pause_writing()
            if self.cable.rate is not None:
                self._loop.call_at(
                    self.cable.is_free_at(self.machine, self._high // 4), self.drained, context=self.context
                )

    def drained(self) -> None:
        """Called when held-back bytes have left."""
        if self._paused and self.protocol is not None and self.get_write_buffer_size() <= self._high:
            self._paused = False
            self.protocol.resume_writing()

    def lose(self, why: str) -> None:
        """End the stream because of an event outside of it."""
        if not self._closing:
            self._leave(ConnectionResetError(why))

    def vanish(self) -> None:
        """End the stream with its process: the other end is reset, nobody here is called."""
        self.abort()
        if self.protocol is not None:
            self.machine.streams.pop(self.protocol, None)
            self.protocol = None

    def _leave(self, why: Exception | None) -> None:
        self._closing = True
        self._loop.call_soon(self._left, why, context=self.context)

    def _left(self, why: Exception | None) -> None:
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            self.machine.streams.pop(protocol, None)
            protocol.connection_lost(why)
        if self.peer.is_closing():
            self.out.remove()
            self.peer.out.remove()


def _size(segment: Segment) -> int:
    return len(segment) if isinstance(segment, bytearray) else 0


def join(cable: Cable, one: Stream, other: Stream) -> None:
    """Connect two ends with each other; call `open` on both next."""
    one.peer, other.peer = other, one
    one.cable = other.cable = cable
    one.out, other.out = Pipe(cable, one, other), Pipe(cable, other, one)
