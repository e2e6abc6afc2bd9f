"""The error codes of `messages.*` alone."""

from typing import ClassVar

from pimd.contract import RpcError


class MessagePeerUnknown(RpcError):  # noqa: N818
    """A message to a node never seen nor imported; there is no key to seal to."""

    code: ClassVar[int] = -32060


class MessageBodyTooLarge(RpcError):  # noqa: N818
    """The body is over 8 KiB of UTF-8."""

    code: ClassVar[int] = -32061
