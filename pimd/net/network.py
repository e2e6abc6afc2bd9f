"""The transports of a machine, by scheme; a simulation passes in its own."""

from collections.abc import Iterable

from pimd.addresses import Endpoint
from pimd.contract import DialError
from pimd.net.transport import Listener, ProtocolFactory, Transport
from pimd.net.transports.tcp import TcpTransport
from pimd.net.transports.unix import UnixTransport
from pimd.proto.route_table import LINK_COST


class Network:
    """Finds the transport for an endpoint."""

    def __init__(self, transports: Iterable[Transport]) -> None:
        self._transports = {transport.scheme: transport for transport in transports}
        for transport in self._transports.values():
            if transport.cost < LINK_COST:
                raise ValueError(f"a link over {transport.scheme} must cost at least {LINK_COST}, not {transport.cost}")

    def transport(self, endpoint: Endpoint) -> Transport:
        """Return the transport for the endpoint's scheme; LookupError without one."""
        if endpoint.scheme not in self._transports:
            raise LookupError(f"{endpoint.text}: there are no links over {endpoint.scheme} here")
        return self._transports[endpoint.scheme]

    async def listen(self, endpoint: Endpoint, accept: ProtocolFactory) -> Listener:
        """Bind and call `accept` for each connection; OSError or `SocketInUse` names what could not be bound."""
        return await self.transport(endpoint).listen(endpoint, accept)

    async def dial(self, endpoint: Endpoint, protocol_factory: ProtocolFactory, timeout_s: float) -> None:
        """Connect within `timeout_s`; the text of `DialError` says what failed and what to do."""
        try:
            transport = self.transport(endpoint)
        except LookupError as error:
            raise DialError(str(error)) from None
        try:
            await transport.dial(endpoint, protocol_factory, timeout_s)
        except OSError as error:
            raise DialError(transport.dial_failure(endpoint, error, timeout_s)) from None


def system_network() -> Network:
    """Return the transports of this machine."""
    return Network((TcpTransport(), UnixTransport()))
