"""Unix sockets: `unix:/path`, between nodes of one host, and containers that share a volume."""

import asyncio
import errno
import socket
from pathlib import Path
from typing import ClassVar

from pimd.addresses import UNIX, Endpoint
from pimd.net import unix_socket
from pimd.net.sockets import BACKLOG, UNSENT_LIMIT, OnSocket, ServerListener, leave
from pimd.net.transport import Listener, ProtocolFactory
from pimd.proto.route_table import LINK_COST

SETTING = "[transport] listen_unix"
FULL_S = 0.02
"""Seconds until the next try when the listener's backlog is full, since the kernel refuses at once."""
WHAT_TO_DO = {
    errno.ENOENT: "no such socket; does pimd run there with [transport] listen_unix?",
    errno.ECONNREFUSED: "nobody listens on that socket; does pimd run there with [transport] listen_unix?",
    errno.EACCES: "permission denied; the user of this pimd must own the socket, or be in its group",
}


class UnixTransport:
    """`on_socket` gets each socket, before it connects or as it is accepted."""

    scheme: ClassVar[str] = UNIX
    cost: ClassVar[int] = LINK_COST

    def __init__(self, on_socket: OnSocket = leave) -> None:
        self._on_socket = on_socket

    async def dial(self, endpoint: Endpoint, protocol_factory: ProtocolFactory, timeout_s: float) -> None:
        """Connect, and wait while the listener's backlog is full."""
        async with asyncio.timeout(timeout_s):
            connection = await self._connected(endpoint.address)
            await asyncio.get_running_loop().create_unix_connection(protocol_factory, sock=connection)

    async def listen(self, endpoint: Endpoint, accept: ProtocolFactory) -> Listener:
        """Replace a socket on which nobody listens; otherwise `SocketInUse` names the path."""
        path = Path(endpoint.address)
        bound = unix_socket.bind(path, SETTING, self._prepare)
        inode = unix_socket.inode_of(path)
        server = await asyncio.get_running_loop().create_unix_server(accept, sock=bound, backlog=BACKLOG)
        return _UnixListener(endpoint, server, inode)

    def opened(self, stream: asyncio.BaseTransport) -> None:
        """Limit what the other end may have unsent; on a Unix socket that is what waits unread."""

    def remote(self, stream: asyncio.BaseTransport) -> Endpoint:
        """Return the path where the connection was made: a dialler has no address, or one of its own choice."""
        return Endpoint(UNIX, stream.get_extra_info("sockname") or stream.get_extra_info("peername") or "?")

    def local(self, stream: asyncio.BaseTransport) -> Endpoint:
        """The same as the other end: the path is the only address."""
        return self.remote(stream)

    def source(self, stream: asyncio.BaseTransport) -> str:
        """The user id of the other end, as the kernel reports it."""
        credentials = unix_socket.peer_credentials(stream.get_extra_info("socket"))
        return f"uid:{credentials[1]}" if credentials is not None else "uid:unknown"

    def dial_failure(self, endpoint: Endpoint, error: OSError, timeout_s: float) -> str:
        """Explain the common causes: nobody listens there, or this user may not connect."""
        if isinstance(error, TimeoutError):
            return f"{endpoint.text} took no connection within {timeout_s:g} s; is the pimd there stopped or flooded?"
        what = WHAT_TO_DO.get(error.errno or 0) or error.strerror or str(error)
        return f"cannot connect to {endpoint.text}: {what}"

    async def _connected(self, path: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)  # noqa: FBT003 - positional only
            self._prepare(connection)
            while True:
                try:
                    connection.connect(path)
                except BlockingIOError:
                    # Not under way, as with TCP, but refused; asyncio takes such a socket for connected.
                    await asyncio.sleep(FULL_S)
                else:
                    return connection
        except BaseException:
            connection.close()
            raise

    def _prepare(self, connection: socket.socket) -> None:
        # Unread bytes are in the kernel, which doubles this number and accepts half as much again.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_LIMIT // 3)
        self._on_socket(connection)


class _UnixListener(ServerListener):
    """Removes its path from the file system when closed."""

    def __init__(self, endpoint: Endpoint, server: asyncio.Server, inode: int) -> None:
        super().__init__(endpoint, [server])
        self._inode = inode

    def close(self) -> None:
        """Accept no more, and remove the socket so that nobody can dial it."""
        super().close()
        unix_socket.unlink_if_ours(Path(self.endpoint.address), self._inode)
