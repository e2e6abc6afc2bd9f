"""Which records are valid, and which of two stands."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd_features.groups.chain import Chain, Place
from pimd_features.groups.limits import RECORDS
from pimd_features.groups.records import (
    Change,
    Draft,
    Member,
    Record,
    Yes,
    again,
    barred,
    is_first,
)
from tests.features.groups.people import ALICE, BOB, CAROL, DAVE, EVE, Person, chain_of
from tests.limits import Lower

FIRST = ALICE.begins()
WITH_BOB = ALICE.adds(FIRST, BOB)
WITH_CAROL = ALICE.adds(WITH_BOB, CAROL, may_change=True)


def draft(**changed: object) -> Draft:
    made = Draft(WITH_CAROL.group, 3, WITH_CAROL.hash, "friends", WITH_CAROL.draft.members)
    return replace(made, **changed)  # type: ignore[arg-type]


def signed(one: Draft, by: Person) -> Record:
    return one.sign(by.public, by.sign)


def place(record: Record, *before: Record) -> Place:
    return chain_of(*(before or (FIRST, WITH_BOB, WITH_CAROL))).take(record).place


def test_who_may_change_may_change_all_and_a_member_may_only_go() -> None:
    assert place(CAROL.removes(WITH_CAROL, ALICE)) is Place.TAKEN
    assert place(BOB.removes(WITH_CAROL, BOB)) is Place.TAKEN
    assert place(BOB.removes(WITH_CAROL, CAROL)) is Place.REFUSED
    assert place(BOB.adds(WITH_CAROL, DAVE)) is Place.REFUSED
    assert place(BOB.changes(WITH_CAROL, Change(BOB.id), Change(CAROL.id))) is Place.REFUSED
    assert place(EVE.removes(WITH_CAROL, ALICE)) is Place.REFUSED
    promoted = tuple(replace(one, may_change=True) for one in WITH_CAROL.draft.members)
    assert place(signed(draft(members=promoted), BOB)) is Place.REFUSED


def test_nobody_is_a_member_without_his_yes() -> None:
    with_dave = (*WITH_CAROL.draft.members, Member(DAVE.id))
    assert place(signed(draft(members=with_dave), ALICE)) is Place.REFUSED
    assert place(signed(draft(members=with_dave, yeses=(EVE.yes(WITH_CAROL),)), ALICE)) is Place.REFUSED
    other = ALICE.begins("others")
    assert place(signed(draft(members=with_dave, yeses=(DAVE.yes(other),)), ALICE)) is Place.REFUSED
    assert place(signed(draft(members=with_dave, yeses=(DAVE.yes(WITH_CAROL),)), ALICE)) is Place.TAKEN
    assert place(signed(draft(yeses=(DAVE.yes(WITH_CAROL),)), ALICE)) is Place.REFUSED


def test_a_yes_from_before_somebody_left_brings_nobody_back() -> None:
    old = BOB.yes(FIRST)
    gone = BOB.removes(WITH_CAROL, BOB)
    back = ALICE.changes(gone, Change(BOB.id, old))
    assert place(back, FIRST, WITH_BOB, WITH_CAROL, gone) is Place.REFUSED
    anew = ALICE.changes(gone, Change(BOB.id, BOB.yes(gone)))
    assert place(anew, FIRST, WITH_BOB, WITH_CAROL, gone) is Place.TAKEN


def test_when_the_last_who_may_change_goes_the_longest_member_may() -> None:
    gone = ALICE.removes(WITH_BOB, ALICE)
    assert gone.draft.members == (Member(BOB.id, may_change=True),)
    assert place(gone, FIRST, WITH_BOB) is Place.TAKEN


@pytest.mark.parametrize(
    "changed",
    [
        lambda: signed(draft(group=bytes(16)), ALICE),
        lambda: signed(draft(name="foes"), ALICE),
        lambda: signed(draft(number=2), ALICE),
        lambda: signed(draft(number=4), ALICE),
        lambda: signed(draft(before=WITH_BOB.hash), ALICE),
        lambda: signed(draft(number=0), ALICE),
        lambda: ALICE.begins("another"),
    ],
)
def test_what_is_of_another_chain_is_not_taken(changed: Callable[[], Record]) -> None:
    assert place(changed()) in {Place.MISSING, Place.REFUSED}


def test_a_group_begins_with_its_maker_alone() -> None:
    assert is_first(FIRST)
    two = Draft(bytes(16), 0, bytes(32), "x", (Member(ALICE.id, may_change=True), Member(BOB.id)))
    for wrong in (
        two,
        replace(two, members=(Member(BOB.id, may_change=True),)),
        replace(two, members=(Member(ALICE.id),)),
        replace(two, group=b"g" * 16, members=(Member(ALICE.id, may_change=True),)),
    ):
        assert Chain().take(signed(wrong, ALICE)).place is Place.REFUSED
    assert Chain().take(WITH_BOB).place is Place.MISSING


@given(st.integers(0, len(WITH_CAROL.raw) * 8 - 1))
@settings(max_examples=300, deadline=None)
def test_no_bit_of_a_record_can_be_changed(bit: int) -> None:
    raw = bytearray(WITH_CAROL.raw)
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match=r"record|member|codec"):
        Record.parse(bytes(raw))


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_rubbish_is_a_value_error(raw: bytes) -> None:
    for body in (raw, WITH_CAROL.raw[: len(raw)], WITH_CAROL.raw + raw + b"x"):
        with pytest.raises(ValueError):  # noqa: PT011 - of any kind
            Record.parse(body)


# --- two with one number


def test_of_two_the_smaller_hash_stands_in_whichever_order_they_come() -> None:
    one, other = ALICE.removes(WITH_CAROL, BOB), CAROL.adds(WITH_CAROL, DAVE)
    small, large = sorted((one, other), key=lambda record: record.hash)
    chain = chain_of(FIRST, WITH_BOB, WITH_CAROL, small)
    assert chain.take(large).place is Place.LOST
    chain = chain_of(FIRST, WITH_BOB, WITH_CAROL, large)
    placed = chain.take(small)
    assert (placed.place, placed.gone, chain.head) == (Place.WON, (large,), small)
    assert chain.take(large).place is Place.LOST  # again


def test_what_follows_a_record_that_lost_is_lost_too() -> None:
    small, large = sorted(
        (ALICE.removes(WITH_CAROL, BOB), CAROL.adds(WITH_CAROL, DAVE)), key=lambda record: record.hash
    )
    chain = chain_of(FIRST, WITH_BOB, WITH_CAROL, small)
    chain.take(large)
    after = CAROL.adds(large, EVE)
    assert (chain.take(after).place, chain.take(CAROL.removes(after, EVE)).place) == (Place.LOST, Place.LOST)


def test_what_is_final_stays() -> None:
    small, large = sorted(
        (ALICE.removes(WITH_CAROL, BOB), CAROL.adds(WITH_CAROL, DAVE)), key=lambda record: record.hash
    )
    chain = chain_of(FIRST, WITH_BOB, WITH_CAROL, large)
    chain.final = 4
    assert (chain.take(small).place, chain.head) == (Place.REFUSED, large)


def family() -> list[Record]:
    """Records with three races, one of them behind a loser."""
    records = [FIRST, WITH_BOB, WITH_CAROL]
    for left, right in (
        (ALICE.removes(WITH_CAROL, BOB), CAROL.adds(WITH_CAROL, DAVE)),
        (ALICE.removes(WITH_CAROL, CAROL), CAROL.removes(WITH_CAROL, ALICE)),
    ):
        for head in (left, right):
            signer = next(one for one in (ALICE, CAROL) if head.may_change(one.id))
            records += [head, signer.adds(head, EVE), signer.adds(head, EVE, may_change=True)]
    return records


FAMILY = family()


@given(st.lists(st.permutations(FAMILY), min_size=1, max_size=2))
@settings(max_examples=60, deadline=None)
def test_all_who_have_the_same_records_have_the_same_chain(orders: list[list[Record]]) -> None:
    """In whatever order they came, and however often: a node asks for what is missing and gets it again."""
    chain = Chain()
    before: list[bytes] | None = None
    while before != (now := [one.hash for one in chain.records]) or not now:
        before = now
        for record in itertools.chain.from_iterable(orders):
            chain.take(record)
    assert chain.records == chain_by_the_rule(FAMILY)


def chain_by_the_rule(known: list[Record]) -> list[Record]:
    """The same as docs/protocol.md says it, by trying all branches; members joined in the order of their list here."""
    heads = [FIRST]

    def behind(one: Record) -> list[Record]:
        return [other for other in known if other.number and other.draft.before == one.hash]

    def ranks(first: Record) -> list[int]:
        """Of those who take somebody's right in a branch, in the order of the members when it began."""
        before = next(one for one in known if one.hash == first.draft.before)
        able = {node for node, one in before.members.items() if one.may_change} - {first.signer}
        left = {node for node, one in first.members.items() if one.may_change}
        order = list(heads[-1].members)
        own = [order.index(first.signer)] if able - left and first.signer in order else []
        return own + [rank for one in behind(first) for rank in ranks(one)]

    while children := behind(heads[-1]):
        heads.append(min(children, key=lambda one: (min(ranks(one), default=99), one.hash)))
    return heads


def test_nobody_undoes_his_removal_by_one_who_was_there_before_him() -> None:
    """Whatever the hash: in one record, in a later one, and from before others changed the group."""
    removal = ALICE.removes(WITH_CAROL, CAROL)
    behind = [FIRST, WITH_BOB, WITH_CAROL, ALICE.adds(WITH_CAROL, DAVE)]
    behind.append(ALICE.removes(behind[-1], CAROL))
    for number in range(20):
        yes = Yes(number, EVE.public, EVE.sign("yes", WITH_CAROL.group + number.to_bytes(4)))
        for rival in (
            CAROL.changes(WITH_CAROL, Change(EVE.id, yes)),
            CAROL.changes(WITH_CAROL, Change(ALICE.id), Change(EVE.id, yes)),  # a coup
        ):
            on_top = CAROL.removes(rival, BOB)
            for true in ([FIRST, WITH_BOB, WITH_CAROL, removal], behind):
                for false in ([rival], [rival, on_top]):
                    first = chain_of(*true)
                    for one in false:
                        assert first.take(one).place is Place.LOST
                    late = chain_of(*true[:3], *false)
                    for one in true[3:]:
                        late.take(one)
                    assert first.records == late.records == true


def test_the_one_who_was_there_before_stands_against_his_removal() -> None:
    """Two who take the right from each other cannot both be right, and nobody can tell who was first."""
    coup, answer = CAROL.removes(WITH_CAROL, ALICE), ALICE.removes(WITH_CAROL, CAROL)
    for order in ((coup, answer), (answer, coup)):
        chain = chain_of(FIRST, WITH_BOB, WITH_CAROL)
        for one in order:
            chain.take(one)
        assert chain.head == answer


def test_the_loser_makes_its_change_again_on_top() -> None:
    mine, theirs = ALICE.removes(WITH_CAROL, BOB), CAROL.adds(WITH_CAROL, DAVE)
    wanted = again((mine,), WITH_CAROL, (theirs,), ALICE.id)
    assert wanted == [Change(BOB.id)]
    anew = ALICE.changes(theirs, *wanted)
    assert list(anew.members) == [ALICE.id, CAROL.id, DAVE.id]
    assert again((mine,), WITH_CAROL, (theirs,), BOB.id) == []
    added = again((theirs,), WITH_CAROL, (mine,), CAROL.id)
    back = CAROL.changes(mine, *added)
    assert list(back.members) == [ALICE.id, CAROL.id, DAVE.id]
    assert chain_of(FIRST, WITH_BOB, WITH_CAROL, mine).take(back).place is Place.TAKEN


def test_who_was_removed_by_a_record_that_lost_gets_nothing_nor_do_his_newcomers() -> None:
    removal, his = ALICE.removes(WITH_CAROL, CAROL), CAROL.adds(WITH_CAROL, EVE)
    assert barred((removal,), WITH_CAROL, (his,)) == {CAROL.id, EVE.id}
    assert again((removal,), WITH_CAROL, (his,), ALICE.id) == [Change(CAROL.id), Change(EVE.id)]
    harmless = ALICE.removes(WITH_CAROL, BOB)
    assert barred((harmless,), WITH_CAROL, (his,)) == {BOB.id}
    assert barred((), WITH_CAROL, (his,)) == set()


def test_a_chain_has_an_end(lower: Lower) -> None:
    lower(RECORDS, 3)
    assert place(CAROL.removes(WITH_CAROL, BOB)) is Place.FULL


def test_what_follows_a_lost_record_has_to_be_allowed_by_it() -> None:
    small, large = sorted(
        (ALICE.removes(WITH_CAROL, BOB), CAROL.adds(WITH_CAROL, DAVE)), key=lambda record: record.hash
    )
    chain = chain_of(FIRST, WITH_BOB, WITH_CAROL, small)
    chain.take(large)
    after = CAROL.adds(large, EVE)
    forged = replace(after.draft, members=(Member(EVE.id, may_change=True),), yeses=())
    assert chain.take(signed(forged, EVE)).place is Place.REFUSED
    assert chain.take(signed(replace(after.draft, number=9), CAROL)).place is Place.REFUSED
    assert chain.take(after).place is Place.LOST
    assert chain.root_of(after).number == 3


def test_a_name_is_shown_without_what_is_not_seen() -> None:
    sly = ALICE.begins("fri\u202eends")
    assert (sly.name, sly.draft.name) == ("friends", "fri\u202eends")
    assert ALICE.begins("\u200b").name == ALICE.begins("\u200b").group.hex()[:8]
    assert ALICE.adds(sly, BOB).draft.name == sly.draft.name
