"""The two directions of an open link: records, their ciphers, and when keys change (docs/protocol.md)."""

import struct

from pimd.proto.errors import HandshakeError, LocalProtocolError, RemoteProtocolError
from pimd.proto.link_states import RekeyLimits
from pimd.proto.noise import CipherState

LENGTH = struct.Struct(">H")
MIN_RECORD = 17
MAX_PLAINTEXT = 65535 - 16


class RecordWriter:
    """The sending direction."""

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
        """The key has done its share."""
        limits = self._limits
        return (
            self._records >= limits.records
            or self._bytes >= limits.plaintext_bytes
            or now - self._since >= limits.seconds
        )

    def rekeyed(self, now: float) -> None:
        """Use the next key from now on."""
        self._cipher.rekey()
        self._records = self._bytes = 0
        self._since = now


class RecordReader:
    """The receiving direction."""

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
        """Use the next key from now on."""
        self._cipher.rekey()
