"""Nodes that sign, for tests of the protocol of groups without daemons."""

from dataclasses import dataclass

from pimd.assembly.services import PluginIdentity
from pimd.contract import Feature
from pimd.ids import NodeId
from pimd.proto.identity import Identity
from pimd_features.groups.chain import Chain
from pimd_features.groups.records import Change, Record, Sign, Yes, apply, begin, say_yes

GROUPS = Feature("groups", "x")


@dataclass(frozen=True)
class Person:
    """One node's key."""

    seed: bytes

    @property
    def identity(self) -> PluginIdentity:
        return PluginIdentity(GROUPS, Identity.from_seed(self.seed))

    @property
    def id(self) -> NodeId:
        return self.identity.node_id

    @property
    def public(self) -> bytes:
        return self.identity.ed25519_pub

    @property
    def sign(self) -> Sign:
        return self.identity.sign

    def begins(self, name: str = "friends", random: bytes = b"r" * 32) -> Record:
        return begin(name, random, self.public, self.sign)

    def yes(self, head: Record) -> Yes:
        return say_yes(head.group, head.number, self.public, self.sign)

    def changes(self, head: Record, *wanted: Change) -> Record:
        draft = apply(head, wanted)
        assert draft is not None
        return draft.sign(self.public, self.sign)

    def adds(self, head: Record, other: "Person", *, may_change: bool = False) -> Record:
        return self.changes(head, Change(other.id, other.yes(head), may_change))

    def removes(self, head: Record, other: "Person") -> Record:
        return self.changes(head, Change(other.id))


def person(name: str) -> Person:
    return Person(name.encode().ljust(32, b"\0"))


ALICE, BOB, CAROL, DAVE, EVE = (person(name) for name in ("alice", "bob", "carol", "dave", "eve"))


def chain_of(*records: Record) -> Chain:
    chain = Chain()
    for one in records:
        chain.take(one)
    assert chain.records == list(records)
    return chain
