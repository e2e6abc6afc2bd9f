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


class ConfigValidationFailed(RpcError):  # noqa: N818
    """The configuration is wrong; `data` is the array of problems."""

    code: ClassVar[int] = -32020


class ConfigSaveRejected(RpcError):  # noqa: N818
    """The configuration is valid but was not saved."""

    code: ClassVar[int] = -32021


class StorageError(RpcError):
    """The database refused the operation; nothing was changed."""

    code: ClassVar[int] = -32062
