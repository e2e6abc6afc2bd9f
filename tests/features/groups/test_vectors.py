"""What other code made comes out here byte for byte."""

import json
from dataclasses import replace

from pimd.ids import MessageId
from pimd_features.groups.chain import Chain, Place
from pimd_features.groups.message import GroupMessage, Text, seal
from pimd_features.groups.records import Change, Record, Yes, apply
from pimd_features.groups.sender_keys import Binding, GivenKey, OwnKey, walk
from tests.features.groups import reference
from tests.features.groups.people import Person

VECTOR = json.loads(reference.TARGET.read_text())


def of(name: str) -> bytes:
    return bytes.fromhex(VECTOR[name])


ALICE, BOB = Person(of("alice_seed")), Person(of("bob_seed"))


def own_key() -> OwnKey:
    record = Record.parse(of("record_1"))
    return OwnKey(Binding(record.group, ALICE.id, record.hash), of("key_seed"), of("chain"))


def test_the_file_is_what_the_other_code_makes() -> None:
    assert reference.made() == VECTOR


def test_records() -> None:
    first = ALICE.begins("friends ✓", b"r" * 32)
    assert (first.raw, first.group) == (of("record_0"), of("group"))
    assert BOB.yes(first) == Yes.decode(of("yes"))
    second = ALICE.adds(first, BOB)
    assert second.raw == of("record_1")
    third = BOB.changes(second, Change(BOB.id))
    assert third.raw == of("record_2_bob_leaves")
    chain = Chain()
    assert [chain.take(Record.parse(one.raw)).place for one in (first, second, third)] == [Place.TAKEN] * 3
    assert apply(second, [Change(BOB.id), Change(ALICE.id)]) is None  # nobody would be left


def test_a_sender_key() -> None:
    later = own_key().step()[0].step()[0]
    assert later.give() == of("given_key")
    given = GivenKey.decode(of("given_key"), ALICE.id)
    assert (given.next, given.chain, given.id) == (2, later.chain, later.id)


def test_a_message() -> None:
    given = GivenKey.decode(of("given_key"), ALICE.id)
    message = GroupMessage.decode(of("message"))
    assert (message.id, message.key_id, message.number) == (MessageId(of("message_id")), given.id, 3)
    assert message.is_by(given.public)
    _, passed, key = walk(given.chain, given.next, message.number)
    text = message.open(key, ALICE.id)
    assert (text.encode(), text.body, [number for number, _ in passed]) == (of("plain"), "good evening ✓", [2])
    own = own_key()
    for _ in range(3):
        own = own.step()[0]
    assert seal(Text.decode(of("plain")), own, 1, b"n" * 12)[1].encode() == of("message")
    assert replace(own, next=0) != own
