"""The error codes of `groups.*` alone."""

from typing import ClassVar

from pimd.contract import Limit, RpcError


class GroupUnknown(RpcError):  # noqa: N818
    """No group, or several, are meant by this id, start of an id, or name; the message lists those."""

    code: ClassVar[int] = 1101


class GroupRefused(RpcError):  # noqa: N818
    """The group is in a state, or of a size, in which this cannot be done; the message says which."""

    code: ClassVar[int] = 1102

    def __init__(self, message: str, limit: Limit | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        """The one that was reached, if any."""


class GroupMessageTooLarge(RpcError):  # noqa: N818
    """The text is longer than what fits into a message of a session; the message names the limit."""

    code: ClassVar[int] = 1103
