"""Machines and the cables between them, behind the interface of the mesh's network."""

import asyncio
import contextvars
import errno
import hashlib
import itertools
import os
import struct
from collections.abc import Callable
from typing import ClassVar

from pimd.addresses import TCP, Endpoint
from pimd.lab.streams import Cable, Machine, Stream, join
from pimd.net.transport import ProtocolFactory
from pimd.net.transports.tcp import dial_failure
from pimd.proto.route_table import LINK_COST

_STAMP = struct.Struct(">dII")
EPHEMERAL_PORTS = 32768
"""The first port of dialling ends."""


class Internet:
    """All machines, and a digest of every byte that they sent."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.cables: dict[tuple[str, str], Cable] = {}
        """Cables by the addresses of both ends, in the order they were laid."""
        self.writes = 0
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._loop = asyncio.get_running_loop()

    @property
    def digest(self) -> str:
        """SHA-256 over time, sender, receiver and bytes of each write so far, in hexadecimal."""
        return self._digest.hexdigest()

    def host(self, number: int) -> "Host":
        """Set up a machine; its address is made from the number."""
        host = Host(self, number)
        self.hosts[host.address] = host
        return host

    def connect(self, one: "Host", other: "Host", latency_s: tuple[float, float], rate: float | None = None) -> Cable:
        """Lay a cable, with a rate in bytes a second each way; there is one between two machines."""
        cable = Cable((one, other), latency_s, rate)
        self.cables[one.address, other.address] = cable
        one.cables[other.address] = other.cables[one.address] = cable
        return cable

    def note(self, source: "Host", sink: "Host", data: bytes) -> None:
        """Add a write to the digest."""
        self.writes += 1
        self.bytes += len(data)
        self._digest.update(_STAMP.pack(self._loop.time(), source.number, sink.number))
        self._digest.update(data)


class Host:
    """One machine: an address, its cables, and its open streams."""

    def __init__(self, internet: Internet, number: int) -> None:
        self.internet = internet
        self.number = number
        self.address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        self.cables: dict[str, Cable] = {}
        """Cables by the address of the other end."""
        self.streams: dict[asyncio.BaseProtocol, Stream] = {}
        self.listening: dict[Endpoint, ProtocolFactory] = {}
        self.context = contextvars.copy_context()
        self.sent = 0
        self.sent_bytes = 0
        self._ports = itertools.count(EPHEMERAL_PORTS)

    def note(self, other: Machine, data: bytes) -> None:
        """Count a write, and add it to the digest of the lab."""
        self.sent += 1
        self.sent_bytes += len(data)
        if isinstance(other, Host):
            self.internet.note(self, other, data)

    def endpoint(self, port: int) -> Endpoint:
        """Return the endpoint of a port of this machine."""
        return Endpoint.tcp(self.address, port)

    def next_endpoint(self) -> Endpoint:
        """Return an endpoint that no stream of this machine had before."""
        return self.endpoint(next(self._ports))

    def crash(self) -> None:
        """End the process: its streams are reset, and nobody listens."""
        self.listening.clear()
        for stream in list(self.streams.values()):
            stream.vanish()


class HostTransport:
    """Implements `pimd.net.transport.Transport` for one start of a daemon, like TCP over cables."""

    scheme: ClassVar[str] = TCP
    cost: ClassVar[int] = LINK_COST

    def __init__(self, host: Host) -> None:
        self._host = host
        self._plugged = True

    def unplug(self) -> None:
        """Refuse everything from now on, because its daemon was killed."""
        self._plugged = False

    async def listen(self, endpoint: Endpoint, accept: ProtocolFactory) -> "HostListener":
        """Bind the port on this machine; the host of the endpoint is ignored."""
        self._refuse_unplugged()
        bound = self._host.endpoint(endpoint.port)
        if bound in self._host.listening:
            raise OSError(errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)} ({bound.text})")
        self._host.listening[bound] = accept
        return HostListener(self._host, bound, accept)

    async def dial(self, endpoint: Endpoint, protocol_factory: ProtocolFactory, timeout_s: float) -> None:
        """Connect over the cable to that host; takes a round trip, and never ends over a cut cable."""
        self._refuse_unplugged()
        cable = self._host.cables.get(endpoint.host)
        if cable is None:
            raise _error(errno.ENETUNREACH)
        called = self._host.internet.hosts[endpoint.host]
        async with asyncio.timeout(timeout_s):
            answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            _Dial(cable, self._host, called, endpoint, protocol_factory, answered).call()
            await answered

    def opened(self, stream: asyncio.BaseTransport) -> None:
        """Nothing to do: a cable has no options."""

    def remote(self, stream: asyncio.BaseTransport) -> Endpoint:
        """The endpoint of the other machine."""
        endpoint: Endpoint = stream.get_extra_info("peername")
        return endpoint

    def local(self, stream: asyncio.BaseTransport) -> Endpoint:
        """The endpoint of this machine."""
        endpoint: Endpoint = stream.get_extra_info("sockname")
        return endpoint

    def source(self, stream: asyncio.BaseTransport) -> str:
        """The other machine's address, the source for the limit of half-open connections."""
        return self.remote(stream).host

    def dial_failure(self, endpoint: Endpoint, error: OSError, timeout_s: float) -> str:
        """The text of the TCP transport."""
        return dial_failure(endpoint, error, timeout_s)

    def _refuse_unplugged(self) -> None:
        if not self._plugged:
            raise _error(errno.ENETDOWN)


class HostListener:
    """Implements `pimd.net.transport.Listener` on a port of one machine."""

    def __init__(self, host: Host, endpoint: Endpoint, accept: ProtocolFactory) -> None:
        self.endpoint = endpoint
        self._host = host
        self._accept = accept

    def close(self) -> None:
        """Accept no more; connections that exist stay."""
        if self._host.listening.get(self.endpoint) is self._accept:
            del self._host.listening[self.endpoint]


class _Dial:
    """The three messages that open a stream; a message on a cut cable is lost."""

    def __init__(
        self,
        cable: Cable,
        caller: Host,
        called: Host,
        endpoint: Endpoint,
        protocol: ProtocolFactory,
        answered: asyncio.Future[None],
    ) -> None:
        self._cable = cable
        self._caller = caller
        self._called = called
        self._endpoint = endpoint
        self._protocol = protocol
        self._answered = answered
        self._loop = asyncio.get_running_loop()

    def call(self) -> None:
        """Send the first message to the called host; a cut cable loses it."""
        self._pass(self._caller, self._called, self._knock)

    def _knock(self) -> None:
        answer = self._accept if self._endpoint in self._called.listening else self._refuse
        self._pass(self._called, self._caller, answer)

    def _refuse(self) -> None:
        if not self._answered.done():
            self._answered.set_exception(_error(errno.ECONNREFUSED))

    def _accept(self) -> None:
        if self._answered.done():
            return
        own, theirs = self._caller.next_endpoint(), self._endpoint
        near, far = Stream(self._caller, own, theirs), Stream(self._called, theirs, own)
        join(self._cable, near, far)
        far.on_open = lambda: self._welcome(far)
        near.out.send("open")
        near.open(self._protocol)
        self._answered.set_result(None)

    def _welcome(self, far: Stream) -> None:
        accept = self._called.listening.get(self._endpoint)
        if accept is None or far.context is not self._called.context:  # the daemon that answered is dead
            far.abort()
        else:
            far.open(accept)

    def _pass(self, source: Host, sink: Host, then: Callable[[], None]) -> None:
        if self._cable.up:
            when = self._loop.time() + self._cable.latency_from(source)
            # It runs in the context of the daemon that runs there on arrival.
            self._loop.call_at(when, lambda: sink.context.run(then) if self._cable.up else None)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
