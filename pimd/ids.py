"""Names of nodes and messages, and their one text form."""

from typing import ClassVar, Self


class _FixedBytes(bytes):
    """An immutable byte string of one fixed length, without a dict; the garbage collector visits each, unlike plain bytes."""

    __slots__ = ()
    SIZE: ClassVar[int]

    def __new__(cls, raw: bytes) -> Self:
        """Raise ValueError unless `raw` has exactly `SIZE` bytes."""
        if len(raw) != cls.SIZE:
            raise ValueError(f"a {cls.__name__} is {cls.SIZE} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the hexadecimal form, upper case accepted; anything else raises ValueError."""
        if len(text) != 2 * cls.SIZE or not text.isascii() or not text.isalnum():
            raise ValueError(f"a {cls.__name__} is written as {2 * cls.SIZE} hexadecimal digits")
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise ValueError(f"a {cls.__name__} is written as {2 * cls.SIZE} hexadecimal digits") from None

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"


class AbbreviatedId(str):
    """First and last 8 digits of a node id, which the log finds behind them (`peer_id` of `logs.event`)."""

    __slots__ = ("node_id",)
    node_id: "NodeId"


class NodeId(_FixedBytes):
    """First 16 bytes of SHA-256 over the node's Ed25519 public key."""

    __slots__ = ()
    SIZE = 16

    @property
    def short(self) -> str:
        """First 8 hexadecimal digits, as RPC answers show it."""
        return self.hex()[:8]

    @property
    def abbreviated(self) -> AbbreviatedId:
        """`a3f1b2c4..9d32e0f8`: first and last 8 digits, for logs and the terminal."""
        text = self.hex()
        abbreviated = AbbreviatedId(f"{text[:8]}..{text[-8:]}")
        abbreviated.node_id = self
        return abbreviated


class MessageId(_FixedBytes):
    """Sixteen bytes that its sender made as a UUIDv4."""

    __slots__ = ()
    SIZE = 16
