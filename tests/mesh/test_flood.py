"""Cards spread once to each neighbour that lacks them, and not more often than once a second of one origin."""

import pytest

from pimd.clock import ManualClock
from pimd.limits import Bites
from pimd.mesh.cards import HAS, SEQ_REQUESTS, LinkCards
from pimd.mesh.flood import FRAME_BYTES, GATHER_S, GATHERED, HELD_BACK, ORIGINS, CardFlood
from pimd.proto.cards import issue
from pimd.proto.frames import SignedPeerInfo
from pimd.proto.identity import Identity
from tests.limits import Lower
from tests.mesh.test_limits import node_id

ORIGIN = Identity.from_seed(bytes(32))


class Neighbour:
    """Collects what it is sent."""

    def __init__(self) -> None:
        self.cards = LinkCards(0.0, Bites())
        self.sent: list[int] = []
        self.frames = 0

    def send(self, frame: SignedPeerInfo) -> None:
        from pimd.proto.cards import parse

        self.frames += 1
        self.sent += [parse(raw).seq for raw in frame.cards]


def test_a_card_goes_to_all_but_who_has_it() -> None:
    bringer, knows, lacks = Neighbour(), Neighbour(), Neighbour()
    clock = ManualClock()
    flood = CardFlood(clock, lambda: [bringer, knows, lacks], Bites())
    card = issue(ORIGIN, 5, 0, "x")
    for neighbour in (bringer, knows):
        neighbour.cards.note_has(card.node_id, 5)
    flood.spread(card)
    clock.advance(GATHER_S)
    assert (bringer.sent, knows.sent, lacks.sent) == ([], [], [5])


def test_cards_of_ten_milliseconds_go_in_one_frame_and_earlier_when_routes_need_them() -> None:
    clock = ManualClock()
    other = Neighbour()
    flood = CardFlood(clock, lambda: [other], Bites())
    origins = [Identity.from_seed(bytes([n]) * 32) for n in range(3)]
    for seq, origin in enumerate(origins[:2], 1):
        flood.spread(issue(origin, seq, 0, "x"))
    assert other.frames == 0
    clock.advance(GATHER_S)
    assert (other.frames, other.sent) == (1, [1, 2])
    flood.spread(issue(origins[2], 3, 0, "x"))
    flood.flush()
    assert (other.frames, other.sent) == (2, [1, 2, 3])
    clock.advance(GATHER_S)
    assert other.frames == 2


def test_many_cards_take_several_frames_that_each_fit_a_record(lower: Lower) -> None:
    lower(GATHERED, 1000)
    clock = ManualClock()
    other = Neighbour()
    flood = CardFlood(clock, lambda: [other], Bites())
    cards = [issue(Identity.from_seed(n.to_bytes(32)), 1, 0, "x" * 64) for n in range(400)]
    for card in cards:
        flood.spread(card)
    clock.advance(GATHER_S)
    assert len(other.sent) == 400
    assert other.frames == -(-sum(len(card.raw) for card in cards) // FRAME_BYTES)


def test_a_second_card_within_a_second_waits_and_the_newest_wins() -> None:
    clock = ManualClock()
    other = Neighbour()
    flood = CardFlood(clock, lambda: [other], Bites())
    for seq in (5, 6, 7):
        flood.spread(issue(ORIGIN, seq, 0, "x"))
        clock.advance(GATHER_S)
    assert other.sent == [5]
    clock.advance(0.9)
    assert other.sent == [5]
    clock.advance(0.2)
    assert other.sent == [5, 7]
    clock.advance(5.0)
    flood.spread(issue(ORIGIN, 8, 0, "x"))
    clock.advance(GATHER_S)
    assert other.sent == [5, 7, 8]


@pytest.mark.limit(
    "cards remembered that a link has", "SeqRequests taken from a link", "origins remembered whose cards were sent on"
)
def test_what_is_remembered_is_limited() -> None:
    link = LinkCards(0.0, Bites())
    for number in range(HAS.value + 10):
        link.note_has(node_id(number), 1)
    assert len(link.has) == HAS.value
    taken = sum(link.seq_requests.take(0.0) for _ in range(SEQ_REQUESTS.burst + 50))
    assert taken == SEQ_REQUESTS.burst
    assert sum(link.seq_requests.take(1.0) for _ in range(100)) == SEQ_REQUESTS.value
    flood = CardFlood(ManualClock(), list, Bites())
    for number in range(ORIGINS.value):
        flood._sent_at.put(node_id(number), 0.0)
    flood.spread(issue(ORIGIN, 1, 0, "x"))
    assert len(flood._sent_at) == ORIGINS.value


@pytest.mark.limit("new cards gathered", "new cards held back for their second to pass")
def test_cards_that_wait_are_limited_and_none_is_lost(lower: Lower) -> None:
    lower(GATHERED, 5)
    lower(HELD_BACK, 5)
    clock = ManualClock()
    other = Neighbour()
    flood = CardFlood(clock, lambda: [other], Bites())
    origins = [Identity.from_seed(n.to_bytes(32)) for n in range(12)]
    for seq in (1, 2):
        for origin in origins:
            flood.spread(issue(origin, seq, 0, "x"))
            assert len(flood._gathered) < 5
            assert len(flood._held_back) <= 5
    clock.advance(2.0)
    assert sorted(other.sent) == [1] * 12 + [2] * 12
    assert (flood._gathered, flood._held_back) == ({}, {})
