"""Listening sockets with every option set explicitly; asyncio sets its defaults only on sockets of its own."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pimd.addresses import Endpoint

ANY_HOST = "::"
"""Listen on every address of both families."""
BACKLOG = 128
"""Connections that wait to be accepted; asyncio's default is 100."""
UNSENT_LIMIT = 128 * 1024
"""Unsent bytes of a link that may wait in the kernel, where the send queue cannot reorder them."""

OnSocket = Callable[[socket.socket], None]


def leave(connection: socket.socket) -> None:
    """Set no option: the default hook for accepted sockets."""
    del connection


def without_delay(connection: socket.socket) -> None:
    """Turn Nagle's algorithm off: messages are whole, and waiting would cost each answer up to 40 ms."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class ListeningSocket(socket.socket):
    """Hands each accepted socket to `prepare` before the event loop has it."""

    prepare: OnSocket = staticmethod(leave)

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept one; when its options cannot be set it has ended, and the event loop ignores it."""
        connection, address = super().accept()
        try:
            self.prepare(connection)
        except OSError as error:
            connection.close()
            raise ConnectionAbortedError(errno.ECONNABORTED, str(error)) from error
        except BaseException:
            connection.close()
            raise
        return connection, address


class ServerListener:
    """Implements `Listener` by servers of the event loop."""

    def __init__(self, endpoint: Endpoint, servers: Sequence[asyncio.Server]) -> None:
        self.endpoint = endpoint
        self._servers = servers

    def close(self) -> None:
        """Close the listening sockets; connections that were accepted stay."""
        for server in self._servers:
            server.close()


def tcp_listeners(host: str, port: int, prepare: OnSocket) -> list[ListeningSocket]:
    """Bind what `host` stands for, all to one port; OSError names the address that cannot be bound."""
    if host == ANY_HOST:
        if socket.has_dualstack_ipv6():
            # Without IPv6 at run time the address of IPv4 below serves.
            with contextlib.suppress(OSError):
                return [_bound(socket.AF_INET6, (host, port), prepare, v6_only=False)]
        host = "0.0.0.0"  # noqa: S104 - every address is what was asked for
    with contextlib.ExitStack() as undo:
        bound = list(_bound_to_each(host, port, prepare, undo))
        undo.pop_all()
    return bound


def _bound_to_each(host: str, port: int, prepare: OnSocket, undo: contextlib.ExitStack) -> Iterator[ListeningSocket]:
    """Bind every address of `localhost`; the machine may lack one of the families."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    missing: OSError | None = None
    count = 0
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        try:
            bound = undo.enter_context(_bound(family, (address[0], port, *address[2:]), prepare, v6_only=True))
        except OSError as error:
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                raise
            missing = error
            continue
        port = bound.getsockname()[1]
        count += 1
        yield bound
    if missing is not None and not count:
        raise missing


def _bound(family: int, address: tuple[Any, ...], prepare: OnSocket, *, v6_only: bool) -> ListeningSocket:
    # With the protocol named: only where it is does asyncio turn Nagle's algorithm off.
    bound = ListeningSocket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.prepare = prepare
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        where = Endpoint.tcp(str(address[0]), int(address[1])).text
        raise type(error)(error.errno, f"{os.strerror(error.errno or 0)} ({where})") from None
    except BaseException:
        bound.close()
        raise
    bound.setblocking(False)  # noqa: FBT003 - positional only
    return bound
