"""Streams to other machines, behind an interface that a simulation can replace."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

from aiohappyeyeballs import start_connection

from pimd.net.lookup import Lookup

ANY_HOST = "::"
"""Listen on every address of both families."""
BACKLOG = 128

UnknownHost = socket.gaierror
"""Raised by `Network.dial` when no address belongs to the name; an OSError whose `strerror` says why."""


class Listener(Protocol):
    """A bound port that makes a protocol for each connection."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as bound."""

    def close(self) -> None:
        """Accept no more; connections that exist stay."""


class Network(Protocol):
    """What the mesh needs of the machine's network."""

    async def listen(self, host: str, port: int, accept: Callable[[], asyncio.Protocol]) -> Listener:
        """Bind and call `accept` for each connection; OSError names what could not be bound."""

    async def dial(self, host: str, port: int, protocol: Callable[[], asyncio.Protocol], timeout_s: float) -> None:
        """Connect within `timeout_s`; `UnknownHost`, another OSError, or TimeoutError otherwise."""


class _TcpListener:
    """A listening asyncio server."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def close(self) -> None:
        self._server.close()


def _listening_socket(host: str, port: int) -> socket.socket:
    """Bind one socket, for `::` one that takes IPv4 too; a machine without IPv6 falls back to 0.0.0.0."""
    if host == ANY_HOST and socket.has_dualstack_ipv6():
        # Without IPv6 at run time the fallback below serves.
        with contextlib.suppress(OSError):
            return socket.create_server((host, port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    if host == ANY_HOST:
        host = "0.0.0.0"  # noqa: S104 - every address is what was asked for
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


class TcpNetwork:
    """TCP over IPv4 and IPv6."""

    def __init__(self) -> None:
        self._lookup = Lookup()

    async def listen(self, host: str, port: int, accept: Callable[[], asyncio.Protocol]) -> Listener:
        """Bind with SO_REUSEADDR."""
        listening = _listening_socket(host, port)
        listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
        return _TcpListener(await asyncio.get_running_loop().create_server(accept, sock=listening))

    async def dial(self, host: str, port: int, protocol: Callable[[], asyncio.Protocol], timeout_s: float) -> None:
        """Try the host's addresses of both families, the next after 250 ms (RFC 8305)."""
        async with asyncio.timeout(timeout_s):
            addresses = await self._lookup.addresses(host, port)
            connection = await start_connection(addresses, happy_eyeballs_delay=0.25, interleave=1)
            await asyncio.get_running_loop().create_connection(protocol, sock=connection)
