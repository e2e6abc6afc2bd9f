"""What groups say to each other: bodies of parcels, `kind u8 | content`. No I/O."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from pimd.contract import PARCEL_LIMIT
from pimd_features.groups.records import GROUP_SIZE, Record

_ASK = struct.Struct(f">{GROUP_SIZE}sI")
_LENGTH = struct.Struct(">H")


class Kind(IntEnum):
    """What a body is."""

    INVITE = 1
    """The newest record of a group, of one who may change it."""
    YES = 2
    """`group 16 | yes 100`: the invited node joins."""
    NO = 3
    """`group 16`: it does not."""
    RECORDS = 4
    """`group 16 | length u16, record, ...`: by number."""
    ASK_RECORDS = 5
    """`group 16 | number u32`: send the records from that one on."""
    KEY = 6
    """A sender key."""
    ASK_KEY = 7
    """`group 16 | key id 16`: send this sender key."""
    MESSAGE = 8


@dataclass(frozen=True)
class Said:
    """One body."""

    kind: Kind
    content: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the body of a parcel."""
        return bytes([self.kind]) + self.content

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """ValueError when it is empty, or of a kind of a later version."""
        return cls(Kind(body[0] if body else 0), body[1:])


def split_group(content: bytes) -> tuple[bytes, bytes]:
    """Return the group that a content begins with, and the rest; ValueError when it is cut short."""
    if len(content) < GROUP_SIZE:
        raise ValueError("a group id is cut short")
    return content[:GROUP_SIZE], content[GROUP_SIZE:]


def ask_records(group: bytes, number: int) -> Said:
    """Ask for the records from a number on."""
    return Said(Kind.ASK_RECORDS, _ASK.pack(group, number))


def read_ask(content: bytes) -> tuple[bytes, int]:
    """Return group and number; ValueError when the length is wrong."""
    if len(content) != _ASK.size:
        raise ValueError("a question for records has another length")
    group, number = _ASK.unpack(content)
    return group, number


def records(group: bytes, raws: Iterable[bytes]) -> Iterator[Said]:
    """Write records into as many bodies as they take."""
    content = group
    for raw in raws:
        if len(content) + _LENGTH.size + len(raw) >= PARCEL_LIMIT:
            yield Said(Kind.RECORDS, content)
            content = group
        content += _LENGTH.pack(len(raw)) + raw
    if len(content) > len(group):
        yield Said(Kind.RECORDS, content)


def read_records(content: bytes) -> tuple[bytes, Sequence[Record]]:
    """Return group and records, with their signatures verified; ValueError when anything is malformed."""
    group, rest = split_group(content)
    found: list[Record] = []
    while rest:
        if len(rest) < _LENGTH.size:
            raise ValueError("records are cut short")
        size = _LENGTH.unpack_from(rest)[0]
        found.append(Record.parse(rest[_LENGTH.size : _LENGTH.size + size]))
        rest = rest[_LENGTH.size + size :]
    return group, found
