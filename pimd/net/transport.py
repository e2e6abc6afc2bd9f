"""The interface of a transport: one scheme of endpoints, and the streams that reach them."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from pimd.addresses import Endpoint

ProtocolFactory = Callable[[], asyncio.Protocol]


class Listener(Protocol):
    """Creates a protocol for each accepted connection."""

    @property
    def endpoint(self) -> Endpoint:
        """The bound endpoint, with the port that the system chose for port 0."""

    def close(self) -> None:
        """Accept no more; connections that exist stay."""


class Transport(Protocol):
    """One way to reach other nodes."""

    @property
    def scheme(self) -> str:
        """The scheme of the endpoints that it serves."""

    @property
    def cost(self) -> int:
        """Added to the metric of a route over such a link; at least 256, lower ones are refused (docs/protocol.md)."""

    async def dial(self, endpoint: Endpoint, protocol_factory: ProtocolFactory, timeout_s: float) -> None:
        """Connect within `timeout_s`; OSError, of which TimeoutError is one, otherwise."""

    async def listen(self, endpoint: Endpoint, accept: ProtocolFactory) -> Listener:
        """Bind and call `accept` for each connection; OSError or `SocketInUse` names what could not be bound."""

    def opened(self, stream: asyncio.BaseTransport) -> None:
        """Called once for each open stream; sets the options that depend on the path to the other end."""

    def remote(self, stream: asyncio.BaseTransport) -> Endpoint:
        """Return the endpoint of the other end; without an address, the one where it was accepted."""

    def local(self, stream: asyncio.BaseTransport) -> Endpoint:
        """Return the endpoint of this end, as this machine sees it."""

    def source(self, stream: asyncio.BaseTransport) -> str:
        """Return the source of a connection, for the limit of half-open ones."""

    def dial_failure(self, endpoint: Endpoint, error: OSError, timeout_s: float) -> str:
        """Return a text for people: what was dialled, what went wrong, and what to do."""
