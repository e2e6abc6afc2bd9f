"""Which destinations are asked for when, however many there are."""

import pytest

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto import seq_requests
from pimd.proto.seq_requests import (
    ASK_PAUSE_S,
    ASKED_AT_ONCE,
    EVERY_S,
    FIRST_S,
    PATIENCE_S,
    StarvingDestinations,
)
from tests.limits import Lower

MANY = 10_000
IDS = [NodeId(number.to_bytes(16)) for number in range(50)]


@pytest.fixture
def starving() -> StarvingDestinations:
    """All of them were asked for once."""
    made = StarvingDestinations(Bites())
    for node_id in IDS:
        made.add(node_id, 0.0, anew=True)
    for node_id in made.take_due(0.0, MANY):
        made.ask(node_id, 0.0)
    return made


def test_only_the_one_of_which_something_new_is_known_is_looked_at(starving: StarvingDestinations) -> None:
    starving.add(IDS[7], 0.1, anew=True)
    assert starving.take_due(0.1, MANY) == [IDS[7]]
    starving.ask(IDS[7], 0.1)
    assert starving.deadline() == FIRST_S
    starving.add(IDS[8], 0.2, anew=False)
    assert starving.take_due(0.2, MANY) == []


def test_one_that_starves_again_at_the_same_moment_is_asked_for_once(starving: StarvingDestinations) -> None:
    for _ in range(3):
        starving.discard(IDS[7])
        starving.add(IDS[7], 0.1, anew=True)
    assert starving.take_due(0.1, MANY) == [IDS[7]]


@pytest.mark.limit("destinations asked for with SeqRequests at once")
def test_so_many_are_asked_for_at_once_and_the_others_after_a_pause(lower: Lower) -> None:
    lower(seq_requests.ASKED_AT_ONCE, 20)
    starving = StarvingDestinations(Bites())
    for node_id in IDS:
        starving.add(node_id, 0.0, anew=True)
    asked = []
    for now in (0.0, ASK_PAUSE_S - 0.1, ASK_PAUSE_S, 2 * ASK_PAUSE_S):
        due = starving.take_due(now, MANY)
        for node_id in due:
            starving.discard(node_id)
        asked.append(due)
    assert asked == [IDS[:20], [], IDS[20:40], IDS[40:]]
    assert starving.deadline() == float("inf")


def test_one_of_which_nothing_is_known_any_more_is_looked_at_within_a_second(starving: StarvingDestinations) -> None:
    now = FIRST_S
    while now < PATIENCE_S + 1:
        for node_id in starving.take_due(now, MANY):
            starving.ask(node_id, now)
        now += EVERY_S
    starving.look_again(IDS[3], now)
    assert starving.take_due(now + EVERY_S, MANY) == [IDS[3]]


def test_what_changes_again_and_again_is_not_remembered_without_end(starving: StarvingDestinations) -> None:
    for number in range(3 * ASKED_AT_ONCE.value):
        now = 0.1 + number / 1_000_000
        starving.add(IDS[7], now, anew=True)
        for node_id in starving.take_due(now, MANY):
            starving.ask(node_id, now)
    assert len(starving) == len(IDS)
    assert len(starving._due) <= 2 * len(IDS) + ASKED_AT_ONCE.value
