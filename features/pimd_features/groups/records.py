"""Membership of a group: signed records, which of them are valid one after the other, and changes. No I/O."""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from pimd.contract import shown_name, signer_of
from pimd.ids import NodeId
from pimd_features.groups.limits import MEMBERS, OverLimit

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

    def takes_right(self, before: "Record") -> bool:
        """Whether somebody else than its signer may not change the group any more, who may by the record before."""
        able = (node for node, one in before.members.items() if one.may_change and node != self.signer)
        return any(not self.may_change(node) for node in able)


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


# --- what is valid


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


def removed_by(records: Sequence[Record], before: Record) -> set[NodeId]:
    """Return all members whom one of these records, which follow `before`, took out."""
    earlier, removed = before, set[NodeId]()
    for one in records:
        removed |= earlier.members.keys() - one.members.keys()
        earlier = one
    return removed


def newcomers_of(signers: set[NodeId], records: Sequence[Record], before: Record) -> set[NodeId]:
    """Return whom records of these signers made members, among records that follow `before`, if they still are."""
    earlier, added = before, set[NodeId]()
    for one in records:
        if one.signer in signers:
            added |= one.members.keys() - earlier.members.keys()
        earlier = one
    return added & earlier.members.keys()


def barred(gone: Sequence[Record], before: Record, standing: Sequence[Record]) -> set[NodeId]:
    """Return whom this node sends nothing, since a record that lost took them out, or they are newcomers of such a one.

    `gone` lost their places to `standing`; `before` precedes both. The removal is made again on top, and until then the
    loser of a race must not read on.
    """
    removed = removed_by(gone, before) & standing[-1].members.keys()
    return removed | newcomers_of(removed, standing, before)


def again(gone: Sequence[Record], before: Record, standing: Sequence[Record], own: NodeId) -> list[Change]:
    """Return the changes that this node made in records that lost, to be made again on top.

    Whom it removed loses also the newcomers that he brought in the records that stand.
    """
    earlier, mine = before, list[Change]()
    for one in gone:
        if one.signer == own:
            mine += changes(one, earlier)
        earlier = one
    removed = {one.node_id for one in mine if one.yes is None}
    return mine + [Change(node) for node in standing[-1].members if node in newcomers_of(removed, standing, before)]
