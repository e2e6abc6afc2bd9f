"""The error codes of `messages.*` alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from pimd.contract import DatabaseError, RpcError, StorageError


class MessagePeerUnknown(RpcError):  # noqa: N818
    """A message to a node never seen nor imported; there is no key to seal to."""

    code: ClassVar[int] = -32060


class MessageBodyTooLarge(RpcError):  # noqa: N818
    """The body is over 8 KiB of UTF-8."""

    code: ClassVar[int] = -32061


@contextmanager
def storage() -> Iterator[None]:
    """Answer a failure of the database as `StorageError` (-32062)."""
    try:
        yield
    except DatabaseError as error:
        raise StorageError(f"the message store could not do it, nothing was changed: {error}") from error
