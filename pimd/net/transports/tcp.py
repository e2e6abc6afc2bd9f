"""TCP over IPv4 and IPv6: `tcp:host:port`."""

import asyncio
import contextlib
import ipaddress
import os
import socket
import struct
from typing import ClassVar

from aiohappyeyeballs import AddrInfoType, start_connection

from pimd.addresses import TCP, Endpoint
from pimd.net.lookup import Lookup
from pimd.net.sockets import BACKLOG, UNSENT_LIMIT, OnSocket, ServerListener, leave, tcp_listeners, without_delay
from pimd.net.transport import Listener, ProtocolFactory
from pimd.proto.route_table import LINK_COST

NEAR_S = 0.0025
"""Seconds of round trip below which the kernel holds `UNREAD_NEAR`, more than arrives in that time."""
UNREAD_NEAR = 128 * 1024
"""Bytes. By default the kernel buffers megabytes of a fast sender, and urgent frames wait behind them."""
ANOTHER_AFTER_S = 0.25
"""Seconds until the next address of a host is tried in parallel (RFC 8305)."""


class TcpTransport:
    """`on_socket` gets each socket, before it connects or as it is accepted."""

    scheme: ClassVar[str] = TCP
    cost: ClassVar[int] = LINK_COST

    def __init__(self, on_socket: OnSocket = leave) -> None:
        self._on_socket = on_socket
        self._lookup = Lookup()

    async def dial(self, endpoint: Endpoint, protocol_factory: ProtocolFactory, timeout_s: float) -> None:
        """Try the host's addresses of both families."""
        async with asyncio.timeout(timeout_s):
            addresses = await self._lookup.addresses(endpoint.host, endpoint.port)
            connection = await start_connection(
                addresses, happy_eyeballs_delay=ANOTHER_AFTER_S, interleave=1, socket_factory=self._socket
            )
            await asyncio.get_running_loop().create_connection(protocol_factory, sock=connection)

    async def listen(self, endpoint: Endpoint, accept: ProtocolFactory) -> Listener:
        """Bind with SO_REUSEADDR, so that a restart need not wait for old connections to time out."""
        bound = tcp_listeners(endpoint.host, endpoint.port, self._prepare)
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(accept, sock=one, backlog=BACKLOG) for one in bound]
        return ServerListener(Endpoint.tcp(*bound[0].getsockname()[:2]), servers)

    def opened(self, stream: asyncio.BaseTransport) -> None:
        """Limit unread bytes of a near peer; for a distant one the kernel sizes the buffer better."""
        connection = stream.get_extra_info("socket")
        if connection is None:
            return
        with contextlib.suppress(OSError):  # it ended meanwhile
            if 0 < shortest_round_trip(connection) < NEAR_S:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_NEAR)

    def remote(self, stream: asyncio.BaseTransport) -> Endpoint:
        """Return the endpoint; an IPv4 address mapped into IPv6 is returned as IPv4."""
        return _endpoint(stream.get_extra_info("peername"))

    def local(self, stream: asyncio.BaseTransport) -> Endpoint:
        """The address that the kernel chose for this stream."""
        return _endpoint(stream.get_extra_info("sockname"))

    def source(self, stream: asyncio.BaseTransport) -> str:
        """An IPv4 address, or an IPv6 /64."""
        return source_of(self.remote(stream).host)

    def dial_failure(self, endpoint: Endpoint, error: OSError, timeout_s: float) -> str:
        """Tell a name that is not found from a machine that does not answer."""
        return dial_failure(endpoint, error, timeout_s)

    def _socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        try:
            self._prepare(made)
        except BaseException:
            made.close()
            raise
        return made

    def _prepare(self, connection: socket.socket) -> None:
        without_delay(connection)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_LIMIT)
        # A link sends heartbeats and ends after 15 s of silence; the kernel's keepalive starts after two hours.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        self._on_socket(connection)


_TCP_INFO_SIZE = 152
_MIN_RTT_AT = 148
"""Of `tcpi_min_rtt`, in microseconds, in `struct tcp_info` of linux/tcp.h (since Linux 4.6)."""


def shortest_round_trip(connection: socket.socket) -> float:
    """Return seconds, as the kernel measured; 0 where it does not say."""
    if not hasattr(socket, "TCP_INFO"):
        return 0.0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    (rtt_us,) = struct.unpack_from("=I", info, _MIN_RTT_AT) if len(info) == _TCP_INFO_SIZE else (0,)
    return float(rtt_us) / 1_000_000


def dial_failure(endpoint: Endpoint, error: OSError, timeout_s: float) -> str:
    """Say why nobody was reached at a host and port."""
    if isinstance(error, TimeoutError):
        return f"{endpoint.text} did not answer within {timeout_s:g} s; is the machine on?"
    if endpoint.fault is not None:
        return f"cannot connect to {endpoint.text}: {endpoint.fault}"
    if isinstance(error, socket.gaierror) and "%" in endpoint.host:
        interface = endpoint.host.partition("%")[2]
        return f"cannot connect to {endpoint.text}: this machine has no interface {interface} now; `ip link` lists them"
    if isinstance(error, socket.gaierror):
        return f"{endpoint.host} cannot be found: {error.strerror}; check the name, and that DNS works"
    # asyncio puts the address into strerror as a tuple, so the system's own text is used.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return f"cannot connect to {endpoint.text}: {reason}; does pimd run there?"


def source_of(host: str) -> str:
    """Return what counts as one source: an IPv4 address, mapped ones included, or an IPv6 /64."""
    try:
        address = ipaddress.ip_address(_unmapped(host).partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


def _unmapped(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return host if mapped is None else str(mapped)


def _endpoint(name: tuple[object, ...] | None) -> Endpoint:
    """Return the endpoint of a socket name; it has none when it ended before it was asked."""
    return Endpoint.tcp(_unmapped(str(name[0])), int(str(name[1]))) if name is not None else Endpoint.tcp("?", 0)
