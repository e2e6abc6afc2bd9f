"""What the mesh asks of a transport: one scheme of endpoints, and the streams that reach them."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from pimd.addresses import Endpoint

ProtocolFactory = Callable[[], asyncio.Protocol]


class Listener(Protocol):
    """Makes a protocol for each connection that comes."""

    @property
    def endpoint(self) -> Endpoint:
        """As bound: a port that the system chose is in it."""

    def close(self) -> None:
        """Accept no more; connections that exist stay."""


class Transport(Protocol):
    """One way to reach other nodes."""

    @property
    def scheme(self) -> str:
        """Of the endpoints that it takes."""

    @property
    def cost(self) -> int:
        """What a link adds to the metric of a route; at least 256, less is taken for a lie (docs/protocol.md)."""

    async def dial(self, endpoint: Endpoint, protocol_factory: ProtocolFactory, timeout_s: float) -> None:
        """Connect within `timeout_s`; OSError, of which TimeoutError is one, otherwise."""

    async def listen(self, endpoint: Endpoint, accept: ProtocolFactory) -> Listener:
        """Bind and call `accept` for each connection; OSError or `SocketInUse` names what could not be bound."""

    def opened(self, stream: asyncio.BaseTransport) -> None:
        """Called once for each stream, as soon as it is open; sets what depends on the way to the other end."""

    def remote(self, stream: asyncio.BaseTransport) -> Endpoint:
        """Return where the other end is; of who has no address, where it was accepted."""

    def source(self, stream: asyncio.BaseTransport) -> str:
        """Return what counts as one source of connections, for the limits of half-open ones."""

    def dial_failure(self, endpoint: Endpoint, error: OSError, timeout_s: float) -> str:
        """Say for people what was dialled, what went wrong, and what to do."""
