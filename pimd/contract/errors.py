"""The error codes that methods answer, one class each."""

from typing import ClassVar

from pimd.contract.methods import RpcError


class InvalidParams(RpcError):  # noqa: N818 - the name in the JSON-RPC specification
    """The parameters are not what the method takes; the message names the field."""

    code: ClassVar[int] = -32602


class InvalidRequest(RpcError):  # noqa: N818 - the name in the JSON-RPC specification
    """The request cannot be served here, such as a subscription over plain HTTP."""

    code: ClassVar[int] = -32600


class MethodNotFound(RpcError):  # noqa: N818 - the name in the JSON-RPC specification
    """No such method here; `data` holds the feature, its state and a hint."""

    code: ClassVar[int] = -32601


class RpcVersionMismatch(RpcError):  # noqa: N818
    """`rpc.hello` asked for a version other than 1."""

    code: ClassVar[int] = -32001


class NotSupported(RpcError):  # noqa: N818
    """This build or platform cannot do it."""

    code: ClassVar[int] = -32002


class Unauthorized(RpcError):  # noqa: N818
    """The token is missing or wrong."""

    code: ClassVar[int] = -32003


class RateLimited(RpcError):  # noqa: N818
    """Too many attempts; `data.retry_after_s` says when to try again."""

    code: ClassVar[int] = -32004


class Overloaded(RpcError):  # noqa: N818
    """Too many calls in flight; nothing was done, try again."""

    code: ClassVar[int] = -32005


class CallTimeout(RpcError):  # noqa: N818
    """The call ran longer than its method allows and was cancelled."""

    code: ClassVar[int] = -32006


class PeerNotFound(RpcError):  # noqa: N818
    """The node id, or the name, names no peer known here."""

    code: ClassVar[int] = -32010


class PeerAmbiguous(RpcError):  # noqa: N818
    """A name or the start of an id means several; `data.candidates` lists them with their ids."""

    code: ClassVar[int] = -32013


class PeerAlreadyExists(RpcError):  # noqa: N818
    """An entry for that address is already configured."""

    code: ClassVar[int] = -32011


class InvalidPeerAddress(RpcError):  # noqa: N818
    """The address is neither `host:port` nor `unix:/path`, or nothing usable answers there."""

    code: ClassVar[int] = -32012


class ConfigValidationFailed(RpcError):  # noqa: N818
    """The configuration is wrong; `data` is the array of problems."""

    code: ClassVar[int] = -32020


class ConfigSaveRejected(RpcError):  # noqa: N818
    """The configuration is valid but was not saved."""

    code: ClassVar[int] = -32021


class PeerIdentityMismatch(RpcError):  # noqa: N818
    """An import names another key than the one the peer signed."""

    code: ClassVar[int] = -32040


class BroadcastIntervalTooSmall(RpcError):  # noqa: N818
    """This node's card would go out more often than every 30 s."""

    code: ClassVar[int] = -32041


class ConnectFailed(RpcError):  # noqa: N818
    """No link could be made at an address; the message says why."""

    code: ClassVar[int] = -32603


class MessagePeerUnknown(RpcError):  # noqa: N818
    """A message to a node never seen nor imported; there is no key to seal to."""

    code: ClassVar[int] = -32060


class MessageBodyTooLarge(RpcError):  # noqa: N818
    """The body is over 8 KiB of UTF-8."""

    code: ClassVar[int] = -32061


class StorageError(RpcError):
    """The database refused the operation; nothing was changed."""

    code: ClassVar[int] = -32062
