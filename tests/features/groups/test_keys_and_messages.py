"""Sender keys and messages: who can open what, and that nothing can be passed off as another's."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.contract import PARCEL_LIMIT
from pimd.ids import MessageId
from pimd_features.groups import wire
from pimd_features.groups.limits import KEY_MESSAGES, PARENTS, OverLimit
from pimd_features.groups.message import TEXT_LIMIT, GroupMessage, Text, seal
from pimd_features.groups.records import Member
from pimd_features.groups.sender_keys import Binding, GivenKey, OwnKey, message_key, next_chain, walk
from pimd_features.groups.wire import Kind, Said
from tests.features.groups.people import ALICE, BOB, EVE

FIRST = ALICE.begins()
HEAD = ALICE.adds(FIRST, BOB)
OWN = OwnKey(Binding(HEAD.group, ALICE.id, HEAD.hash), b"k" * 32, b"c" * 32)
SAID = Text(1_800_000_000_000, (MessageId(b"p" * 16),), "hello")
AFTER, MESSAGE = seal(SAID, OWN, HEAD.number, b"n" * 12)
GIVEN = GivenKey.decode(OWN.give(), ALICE.id)


def opened(message: GroupMessage, given: GivenKey = GIVEN) -> Text:
    """As a member does it, without the store."""
    if message.key_id != given.id or not message.is_by(given.public):
        raise ValueError("not signed by the owner of the key")
    return message.open(walk(given.chain, given.next, message.number)[2], given.binding.sender)


def test_a_member_reads_what_comes_from_then_on_and_signs_nothing() -> None:
    assert opened(MESSAGE) == SAID
    later = GivenKey.decode(AFTER.give(), ALICE.id)
    second = seal(SAID, AFTER, 1, b"n" * 12)[1]
    assert (opened(second), opened(second, later), later.id) == (SAID, SAID, GIVEN.id)
    assert (later.next, later.chain) == (1, next_chain(GIVEN.chain))
    with pytest.raises(ValueError, match="authenticate"):
        MESSAGE.open(message_key(later.chain), ALICE.id)
    assert OWN.secret not in OWN.give()
    assert all(
        word not in repr(OWN) + repr(GIVEN) + repr(MESSAGE) for word in (repr(OWN.secret), repr(OWN.chain), "hello")
    )


def test_nobody_passes_on_the_key_of_another_as_its_own() -> None:
    with pytest.raises(ValueError, match="another's"):
        GivenKey.decode(OWN.give(), EVE.id)
    mine = replace(OWN, binding=replace(OWN.binding, sender=EVE.id), secret=b"e" * 32)
    stolen = GivenKey(mine.binding, 0, GIVEN.chain, GIVEN.public)
    assert stolen.id != GIVEN.id
    # Not even with the signature left out of account: Alice's message names another key, and another sender.
    with pytest.raises(ValueError, match="not signed"):
        opened(MESSAGE, stolen)
    with pytest.raises(ValueError, match="authenticate"):
        MESSAGE.open(message_key(OWN.chain), EVE.id)


def test_a_member_cannot_write_in_the_name_of_another() -> None:
    """Eve has Alice's chain key, as all members have, but not the key that signs."""
    forged = OwnKey(OWN.binding, b"e" * 32, GIVEN.chain)
    message = seal(SAID, forged, 1, b"n" * 12)[1]
    with pytest.raises(ValueError, match="not signed"):
        opened(replace(message, key_id=GIVEN.id))
    with pytest.raises(ValueError, match="not signed"):
        opened(replace(MESSAGE, ciphertext=message.ciphertext))


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (OWN.give(), lambda raw: GivenKey.decode(raw, ALICE.id)),
        (MESSAGE.encode(), lambda raw: opened(GroupMessage.decode(raw))),
    ],
    ids=["key", "message"],
)
@given(bit=st.integers(0, 10**6))
@settings(max_examples=400, deadline=None)
def test_no_bit_can_be_changed(raw: bytes, read: Callable[[bytes], object], bit: int) -> None:
    changed = bytearray(raw)
    changed[bit // 8 % len(raw)] ^= 1 << bit % 8
    with pytest.raises(ValueError):  # noqa: PT011 - of any kind
        read(bytes(changed))


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_rubbish_is_a_value_error(raw: bytes) -> None:
    for read in (
        lambda: GivenKey.decode(raw, ALICE.id),
        lambda: opened(GroupMessage.decode(raw)),
        lambda: opened(GroupMessage.decode(MESSAGE.encode()[: len(raw)])),
        lambda: wire.read_records(b"g" * 16 + b"x" + raw),
        lambda: wire.read_ask(raw + b"x" * (len(raw) == 20)),
        lambda: Text.decode(bytes(8) + b"\xff" + raw),
        lambda: wire.split_group(raw[:15]),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - of any kind
            read()


def test_a_key_is_for_so_many_messages() -> None:
    with pytest.raises(OverLimit, match="under one sender key"):
        GivenKey.decode(replace(OWN, next=KEY_MESSAGES.value + 1).give(), ALICE.id)


def test_the_longest_text_with_the_most_parents_fits_into_a_parcel() -> None:
    parents = tuple(MessageId(bytes([n]) * 16) for n in range(PARENTS.value))
    text = Text(1, parents, "x" * TEXT_LIMIT)
    message = seal(text, OWN, 1, b"n" * 12)[1]
    assert len(Said(Kind.MESSAGE, message.encode()).encode()) == PARCEL_LIMIT
    assert opened(message) == text
    with pytest.raises(ValueError, match="too much"):
        Text.decode(replace(text, body="x" * TEXT_LIMIT + "y").encode())
    with pytest.raises(ValueError, match="no text"):
        Text.decode(replace(text, body="").encode())


def test_more_parents_are_refused() -> None:
    parents = tuple(MessageId(bytes([n]) * 16) for n in range(PARENTS.value + 1))
    with pytest.raises(OverLimit, match="parents"):
        Text.decode(Text(1, parents, "x").encode())


def test_the_largest_group_fits_into_a_parcel() -> None:
    """A record with 64 members of whom 63 are new, which only a race could make."""
    draft = replace(
        HEAD.draft,
        name="ü" * 32,
        members=tuple(Member(type(ALICE.id)(bytes([n]) * 16)) for n in range(64)),
        yeses=(BOB.yes(FIRST),) * 63,
    )
    record = draft.sign(ALICE.public, ALICE.sign)
    bodies = list(wire.records(record.group, [record.raw] * 3))
    assert len(bodies) == 3
    assert all(len(one.encode()) <= PARCEL_LIMIT for one in bodies)
    assert [wire.read_records(one.content)[1] for one in bodies] == [[record]] * 3


def test_bodies_are_read_as_they_were_written() -> None:
    group = HEAD.group
    (body,) = wire.records(group, [FIRST.raw, HEAD.raw])
    assert wire.read_records(Said.decode(body.encode()).content) == (group, [FIRST, HEAD])
    assert list(wire.records(group, [])) == []
    assert wire.read_ask(wire.ask_records(group, 7).content) == (group, 7)
    for wrong in (b"", b"\0", b"\x09rest"):
        with pytest.raises(ValueError, match="Kind"):
            Said.decode(wrong)
