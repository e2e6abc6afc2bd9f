"""The two directions of a link that is up: records, ciphers and changes of key (docs/protocol.md)."""

import struct

from pimd.proto.errors import HandshakeError, LocalProtocolError, RemoteProtocolError
from pimd.proto.link_states import RekeyLimits
from pimd.proto.noise import CipherState

LENGTH = struct.Struct(">H")
MIN_RECORD = 17
MAX_PLAINTEXT = 65535 - 16


class RecordWriter:
    """Encrypts frames into records, and counts records, bytes and age of its key."""

    def __init__(self, cipher: CipherState, limits: RekeyLimits, now: float) -> None:
        self._cipher = cipher
        self._limits = limits
        self._records = 0
        self._bytes = 0
        self._since = now

    def write(self, plaintext: bytes | bytearray) -> bytes:
        """Return the framed record; LocalProtocolError when it does not fit one."""
        if len(plaintext) > MAX_PLAINTEXT:
            raise LocalProtocolError(f"a frame of {len(plaintext)} bytes does not fit a record")
        self._records += 1
        self._bytes += len(plaintext)
        ciphertext = self._cipher.encrypt(b"", plaintext)
        return LENGTH.pack(len(ciphertext)) + ciphertext

    def wants_rekey(self, now: float) -> bool:
        """Whether the key has reached one of its limits."""
        limits = self._limits
        return (
            self._records >= limits.records
            or self._bytes >= limits.plaintext_bytes
            or now - self._since >= limits.seconds
        )

    def rekeyed(self, now: float) -> None:
        """Use the next key from the next record on."""
        self._cipher.rekey()
        self._records = self._bytes = 0
        self._since = now


class RecordReader:
    """Decrypts records; its key changes only when the peer announces it with Rekey."""

    def __init__(self, cipher: CipherState) -> None:
        self._cipher = cipher

    def read(self, ciphertext: bytes | memoryview) -> bytes:
        """Return the plaintext; RemoteProtocolError when it is too short or does not authenticate."""
        if len(ciphertext) < MIN_RECORD:
            raise RemoteProtocolError("a record is shorter than 17 bytes")
        try:
            return self._cipher.decrypt(b"", ciphertext)
        except HandshakeError:
            raise RemoteProtocolError("a record does not authenticate") from None

    def rekeyed(self) -> None:
        """Use the next key from the next record on."""
        self._cipher.rekey()


class Incoming:
    """Received bytes of the stream that are not parsed yet."""

    __slots__ = ("_buffer", "_parsed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._parsed = 0
        """Bytes at its start that were parsed."""

    def __len__(self) -> int:
        return len(self._buffer) - self._parsed

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Copy bytes behind those that wait."""
        self._buffer += data

    def cut(self, size: int) -> bytes | None:
        """Take this many bytes; None until they are there."""
        start = self._parsed
        if start + size > len(self._buffer):
            return None
        self._parsed = start + size
        return bytes(self._buffer[start : self._parsed])

    def message(self, limit: int) -> bytes | None:
        """Take a message behind its length; None until it is whole. RemoteProtocolError over the limit."""
        length = self._length()
        if length > limit:
            raise RemoteProtocolError(f"a handshake message of {length} bytes, over {limit}")
        framed = self.cut(LENGTH.size + length) if length >= 0 else None
        return framed[LENGTH.size :] if framed is not None else None

    def record(self, reader: RecordReader) -> bytes | None:
        """Decrypt the next record in place; None until it is whole. RemoteProtocolError if it does not authenticate."""
        length = self._length()
        start = self._parsed + LENGTH.size
        if length < 0 or start + length > len(self._buffer):
            return None
        self._parsed = start + length
        # Both views must be gone before the buffer shrinks.
        with memoryview(self._buffer) as whole, whole[start : start + length] as ciphertext:
            return reader.read(ciphertext)

    def compact(self) -> None:
        """Free the memory of the parsed bytes."""
        if self._parsed:
            del self._buffer[: self._parsed]
            self._parsed = 0

    def clear(self) -> None:
        """Drop all bytes, parsed or not; called when nothing of the stream counts any more."""
        self._buffer.clear()
        self._parsed = 0

    def _length(self) -> int:
        at = self._parsed
        return self._buffer[at] << 8 | self._buffer[at + 1] if at + LENGTH.size <= len(self._buffer) else -1
