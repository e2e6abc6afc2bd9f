"""The error code of `config.*` alone."""

from typing import ClassVar

from pimd.contract import RpcError


class ConfigUnreadable(RpcError):  # noqa: N818
    """The configuration file cannot be read; the message says why."""

    code: ClassVar[int] = -32603
