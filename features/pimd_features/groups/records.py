"""Membership of a group: a hash chain of signed records, and which of two with one number stands. No I/O."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import cached_property
from typing import Self

from pimd.contract import shown_name, signer_of
from pimd.ids import NodeId
from pimd_features.groups.limits import MEMBERS, RECORDS, OverLimit

FEATURE = "groups"
RECORD_DOMAIN = "record"
YES_DOMAIN = "yes"
GROUP_SIZE = 16
HASH_SIZE = 32
NAME_LIMIT = 64
"""Bytes of UTF-8."""
NO_GROUP = bytes(GROUP_SIZE)

_VERSION = 1
_SIGNATURE_SIZE = 64
_MAY_CHANGE = 1
_HEAD = struct.Struct(f">B{GROUP_SIZE}sI{HASH_SIZE}sB")
_MEMBER = struct.Struct(">16sB")
_YES = struct.Struct(">I32s64s")

Sign = Callable[[str, bytes], bytes]
"""`IdentitySecrets.sign`."""


def id_of(ed25519_pub: bytes) -> NodeId:
    """Return the node whose key it is."""
    return NodeId(hashlib.sha256(ed25519_pub).digest()[: NodeId.SIZE])


@dataclass(frozen=True)
class Member:
    """One who is in a group."""

    node_id: NodeId
    may_change: bool = False


@dataclass(frozen=True)
class Yes:
    """What an invited node signed: it joins a group whose newest record had that number."""

    number: int
    ed25519_pub: bytes
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        """`number u32 | ed25519_pub 32 | signature 64`."""
        return _YES.pack(self.number, self.ed25519_pub, self.signature)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """ValueError when the length is wrong; the signature is not looked at."""
        if len(raw) != _YES.size:
            raise ValueError(f"a yes has {_YES.size} bytes")
        return cls(*_YES.unpack(raw))

    def is_of(self, node_id: NodeId, group: bytes) -> bool:
        """Whether that node signed it, for that group."""
        signed = group + self.number.to_bytes(4)
        return signer_of(FEATURE, YES_DOMAIN, self.ed25519_pub, signed, self.signature) == node_id


def say_yes(group: bytes, number: int, ed25519_pub: bytes, sign: Sign) -> Yes:
    """Agree to be a member."""
    return Yes(number, ed25519_pub, sign(YES_DOMAIN, group + number.to_bytes(4)))


@dataclass(frozen=True)
class Draft:
    """What a record says, before it is signed."""

    group: bytes
    """Zeros in record 0, whose hash names the group."""
    number: int
    before: bytes
    """The hash of the record before; random bytes in record 0."""
    name: str
    members: tuple[Member, ...]
    """In the order in which they joined."""
    yeses: tuple[Yes, ...] = ()
    """One for each member that the record before does not have, in their order."""

    def encode(self) -> bytes:
        """`1 | group 16 | number u32 | before 32 | name u8, utf-8 | count u8, (id 16, flags u8) | count u8, yes 100 each`."""
        name = self.name.encode()
        members = b"".join(_MEMBER.pack(one.node_id, _MAY_CHANGE * one.may_change) for one in self.members)
        yeses = b"".join(one.encode() for one in self.yeses)
        head = _HEAD.pack(_VERSION, self.group, self.number, self.before, len(name))
        return head + name + bytes([len(self.members)]) + members + bytes([len(self.yeses)]) + yeses

    def sign(self, ed25519_pub: bytes, sign: Sign) -> "Record":
        """Append `ed25519_pub 32 | signature 64`."""
        body = self.encode() + ed25519_pub
        return Record.parse(body + sign(RECORD_DOMAIN, body))


@dataclass(frozen=True)
class Record:
    """One signed record; what it says is valid only in its chain."""

    draft: Draft
    ed25519_pub: bytes
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """ValueError when it is malformed, not in its one form, or the signature does not hold."""
        record = cls.read(raw)
        if (
            signer_of(FEATURE, RECORD_DOMAIN, record.ed25519_pub, raw[:-_SIGNATURE_SIZE], raw[-_SIGNATURE_SIZE:])
            is None
        ):
            raise ValueError("the signature of a record does not hold")
        return record

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read a record whose signature was verified before; ValueError when it is malformed."""
        try:
            draft, end = _read_draft(raw)
        except (struct.error, IndexError):
            raise ValueError("a record is cut short") from None
        if len(raw) != end + 32 + _SIGNATURE_SIZE:
            raise ValueError("a record has another length")
        return cls(draft, raw[end : end + 32], raw)

    @cached_property
    def hash(self) -> bytes:
        """32 bytes, over all of it."""
        return hashlib.sha256(self.raw).digest()

    @cached_property
    def group(self) -> bytes:
        """The group, which the hash of record 0 names."""
        return self.draft.group if self.number else self.hash[:GROUP_SIZE]

    @cached_property
    def signer(self) -> NodeId:
        """Who signed it."""
        return id_of(self.ed25519_pub)

    @property
    def number(self) -> int:
        """From 0."""
        return self.draft.number

    @property
    def name(self) -> str:
        """Of the group, as it may be shown."""
        return shown_name(self.draft.name.encode()) or self.group.hex()[:8]

    @cached_property
    def members(self) -> dict[NodeId, Member]:
        """By id, in the order in which they joined."""
        return {one.node_id: one for one in self.draft.members}

    def may_change(self, node_id: NodeId) -> bool:
        """Whether a node may sign any next record."""
        return node_id in self.members and self.members[node_id].may_change


def _read_draft(raw: bytes) -> tuple[Draft, int]:
    version, group, number, before, size = _HEAD.unpack_from(raw)
    at = _HEAD.size + size
    name = raw[_HEAD.size : at].decode()
    if version != _VERSION or not 1 <= size <= NAME_LIMIT:
        raise ValueError("a record is of another version, or its group has no name")
    members, at = _read_members(raw, at)
    count, at = raw[at], at + 1
    yeses = tuple(Yes(*_YES.unpack_from(raw, at + _YES.size * one)) for one in range(count))
    return Draft(group, number, before, name, members, yeses), at + _YES.size * count


def _read_members(raw: bytes, at: int) -> tuple[tuple[Member, ...], int]:
    count, at = raw[at], at + 1
    found = [_MEMBER.unpack_from(raw, at + _MEMBER.size * one) for one in range(count)]
    if count > MEMBERS.value:
        raise OverLimit(MEMBERS)
    if not count or len({node for node, _ in found}) < count or any(f > 1 for _, f in found):
        raise ValueError("a group has members, each once")
    return tuple(Member(NodeId(node), bool(flags)) for node, flags in found), at + _MEMBER.size * count


def begin(name: str, random: bytes, ed25519_pub: bytes, sign: Sign) -> Record:
    """Make record 0 of a new group; `random` has 32 bytes."""
    members = (Member(id_of(ed25519_pub), may_change=True),)
    return Draft(NO_GROUP, 0, random, name, members).sign(ed25519_pub, sign)


# --- the chain


class Place(Enum):
    """What becomes of a record that came."""

    KNOWN = auto()
    TAKEN = auto()
    """It is the newest now."""
    WON = auto()
    """It took the place of another one, and all after that are gone."""
    LOST = auto()
    """Another one with its number has the smaller hash, or it follows one that lost."""
    MISSING = auto()
    """What it follows is not known: ask for earlier ones."""
    REFUSED = auto()
    """It is not valid."""
    FULL = auto()
    """The group has as many records as it may have."""


@dataclass(frozen=True)
class Placed:
    """A verdict, and the records that lost their place."""

    place: Place
    gone: tuple[Record, ...] = ()


_REFUSED = Placed(Place.REFUSED)


@dataclass
class Chain:
    """The records that stand, by number; `lost` has those that do not, `final` is the first number that may change."""

    records: list[Record] = field(default_factory=list)
    lost: dict[bytes, Record] = field(default_factory=dict)
    final: int = 1

    @property
    def head(self) -> Record:
        """The newest."""
        return self.records[-1]

    def take(self, record: Record) -> Placed:
        """Give a record its place; of two valid ones with one number the smaller hash stands."""
        number = record.number
        if number < len(self.records) and self.records[number].hash == record.hash:
            return Placed(Place.KNOWN)
        if record.hash in self.lost:
            return Placed(Place.LOST)
        if (before := self.lost.get(record.draft.before)) is not None:
            return self._lose(record) if number == before.number + 1 and is_allowed(record, before) else _REFUSED
        if number == 0 or number > len(self.records) or self.records[number - 1].hash != record.draft.before:
            return Placed(Place.MISSING if self.records and number else self._first(record))
        if not self._is_valid(record):
            return _REFUSED
        if number >= RECORDS.value:
            return Placed(Place.FULL)
        return self._stand(record)

    def _first(self, record: Record) -> Place:
        if self.records or record.number or not is_first(record):
            return Place.REFUSED if not record.number else Place.MISSING
        self.records.append(record)
        return Place.TAKEN

    def _stand(self, record: Record) -> Placed:
        number = record.number
        if number == len(self.records):
            self.records.append(record)
            return Placed(Place.TAKEN)
        if number < self.final:
            return _REFUSED
        if self.records[number].hash < record.hash:
            return self._lose(record)
        gone = tuple(self.records[number:])
        self.lost.update((one.hash, one) for one in gone)
        self.records[number:] = [record]
        return Placed(Place.WON, gone)

    def _lose(self, record: Record) -> Placed:
        self.lost[record.hash] = record
        return Placed(Place.LOST)

    def lost_at(self, record: Record) -> int:
        """Return the number at which a lost record, or the one that it follows, met the one that stands."""
        while (before := self.lost.get(record.draft.before)) is not None:
            record = before
        return record.number

    def _is_valid(self, record: Record) -> bool:
        return is_allowed(record, self.records[record.number - 1]) and self._all_said_yes(record)

    def _all_said_yes(self, record: Record) -> bool:
        before = self.records[record.number - 1].members
        added = [node for node in record.members if node not in before]
        return len(added) == len(record.draft.yeses) and all(
            yes.is_of(node, record.group) and yes.number >= self._left_at(node, record.number)
            for node, yes in zip(added, record.draft.yeses, strict=True)
        )

    def _left_at(self, node: NodeId, before: int) -> int:
        """Return the number of the last record that took a node out: a yes from before that counts no more."""
        for number in range(before - 1, 0, -1):
            if node in self.records[number - 1].members and node not in self.records[number].members:
                return number
        return 0


def is_first(record: Record) -> bool:
    """Whether it begins a group: its signer alone, who may change it."""
    alone = (Member(record.signer, may_change=True),)
    return (
        record.number == 0
        and record.draft.group == NO_GROUP
        and record.draft.members == alone
        and not record.draft.yeses
    )


def is_allowed(record: Record, before: Record) -> bool:
    """Whether the one before allowed the signer: who may change, may change all; a member may go."""
    if record.group != before.group or record.draft.name != before.draft.name or record.signer not in before.members:
        return False
    return before.may_change(record.signer) or record.draft.members == without(before, record.signer)


def without(before: Record, gone: NodeId) -> tuple[Member, ...]:
    """Return the members that are left; if nobody may change the group then, who is in it for longest may."""
    left = tuple(one for one in before.draft.members if one.node_id != gone)
    if left and not any(one.may_change for one in left):
        return (replace(left[0], may_change=True), *left[1:])
    return left


# --- changes


@dataclass(frozen=True)
class Change:
    """One member who is to be added, with its yes, or to go."""

    node_id: NodeId
    yes: Yes | None = None
    may_change: bool = False


def changes(record: Record, before: Record) -> list[Change]:
    """Return what a record changed."""
    yeses = iter(record.draft.yeses)
    added = [
        Change(one.node_id, next(yeses), one.may_change)
        for one in record.draft.members
        if one.node_id not in before.members
    ]
    return [Change(node) for node in before.members if node not in record.members] + added


def apply(head: Record, wanted: Sequence[Change]) -> Draft | None:
    """Return the next record with these changes; None when they change nothing, or nobody would be left.

    Who would be one too many is left out.
    """
    going = {one.node_id for one in wanted if one.yes is None}
    members = [one for one in head.draft.members if one.node_id not in going]
    if members and not any(one.may_change for one in members):
        members[0] = replace(members[0], may_change=True)
    yeses: list[Yes] = []
    for one in wanted:
        if one.yes is not None and one.node_id not in head.members and len(members) < MEMBERS.value:
            members.append(Member(one.node_id, one.may_change))
            yeses.append(one.yes)
    if not members or tuple(members) == head.draft.members:
        return None
    return Draft(head.group, head.number + 1, head.hash, head.draft.name, tuple(members), tuple(yeses))


def barred(gone: Sequence[Record], before: Record, standing: Record) -> set[NodeId]:
    """Return whom this node sends nothing, since a record that lost took them out, or they are newcomers of such a one.

    `gone` lost their places to `standing`; `before` precedes both. The removal is made again on top, and until then the
    loser of a race must not read on.
    """
    earlier, removed = before, set[NodeId]()
    for one in gone:
        removed |= earlier.members.keys() - one.members.keys()
        earlier = one
    removed &= standing.members.keys()
    newcomers = standing.members.keys() - before.members.keys() if standing.signer in removed else set()
    return removed | newcomers


def again(gone: Sequence[Record], before: Record, standing: Record, own: NodeId) -> list[Change]:
    """Return the changes that this node made in records that lost, to be made again on top.

    Whom it removed loses also the newcomers that he brought in the record that stands.
    """
    earlier, mine = before, list[Change]()
    for one in gone:
        if one.signer == own:
            mine += changes(one, earlier)
        earlier = one
    if any(one.yes is None and one.node_id == standing.signer for one in mine):
        mine += [Change(node) for node in standing.members if node not in before.members]
    return mine
