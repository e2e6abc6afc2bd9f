"""The error codes of `peers.*` alone."""

from typing import ClassVar

from pimd.contract import RpcError


class PeerAmbiguous(RpcError):  # noqa: N818
    """A name or the start of an id means several; `data.candidates` lists them with their ids."""

    code: ClassVar[int] = -32013


class PeerAlreadyExists(RpcError):  # noqa: N818
    """An entry for that address is already configured."""

    code: ClassVar[int] = -32011


class InvalidPeerAddress(RpcError):  # noqa: N818
    """The address is neither `host:port` nor `unix:/path`, or nothing usable answers there."""

    code: ClassVar[int] = -32012


class PeerIdentityMismatch(RpcError):  # noqa: N818
    """An import names another key than the one the peer signed."""

    code: ClassVar[int] = -32040


class BroadcastIntervalTooSmall(RpcError):  # noqa: N818
    """This node's card would go out more often than every 30 s."""

    code: ClassVar[int] = -32041


class ConnectFailed(RpcError):  # noqa: N818
    """No link could be made at an address; the message says why."""

    code: ClassVar[int] = -32603
