"""Splits a stream of bytes into newline-delimited messages, within a limit."""

from pimd.rpc.limits import MESSAGE


class LineTooLong(Exception):  # noqa: N818 - a refusal
    """A line is longer than the limit."""


class Lines:
    """Collects bytes and returns whole lines."""

    def __init__(self, limit: int = MESSAGE.value) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without newlines and blank lines; after `LineTooLong` close."""
        self._buffer += data
        end = self._buffer.rfind(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._buffer)
            if self._scanned > self._limit:
                raise LineTooLong
            return []
        lines = bytes(self._buffer[:end]).split(b"\n")
        del self._buffer[: end + 1]
        self._scanned = len(self._buffer)
        if self._scanned > self._limit or any(len(line) > self._limit for line in lines):
            raise LineTooLong
        return [line for line in lines if line.strip()]
