"""Splits a stream of bytes into newline-delimited messages, within a limit, one at a time."""

from pimd.rpc.limits import MESSAGE


class LineTooLong(Exception):  # noqa: N818 - a refusal
    """A line is longer than the limit."""


class Lines:
    """Collects bytes, and returns whole lines when they are asked for: a list of short ones takes many times their bytes."""

    def __init__(self, limit: int = MESSAGE.value) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0
        """Bytes from the start that hold no newline."""

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        self._buffer += data

    @property
    def is_whole(self) -> bool:
        """Whether a newline is there; `next` may still find only blank lines."""
        return self._end() >= 0

    def next(self) -> bytearray | None:
        """Take out a line, without its newline, and the blank ones before it; None while none is whole.

        After `LineTooLong`, finished or not, close.
        """
        while (end := self._end()) >= 0:
            line = self._take(end)
            if len(line) > self._limit:
                raise LineTooLong
            if line and not line.isspace():
                return line
        if len(self._buffer) > self._limit:
            raise LineTooLong
        return None

    def _end(self) -> int:
        end = self._buffer.find(b"\n", self._scanned)
        self._scanned = len(self._buffer) if end < 0 else end
        return end

    def _take(self, end: int) -> bytearray:
        self._scanned = 0
        if end + 1 < len(self._buffer):
            line = self._buffer[:end]
            del self._buffer[: end + 1]
            return line
        line, self._buffer = self._buffer, bytearray()  # a long message is not copied
        del line[end:]
        return line
