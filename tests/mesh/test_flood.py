"""Cards spread once to each neighbour that lacks them, and not more often than once a second of one origin."""

from pimd.clock import ManualClock
from pimd.mesh.cards import HAS_LIMIT, SEQ_REQUESTS_A_SECOND, SEQ_REQUESTS_BURST, LinkCards
from pimd.mesh.flood import ORIGINS_REMEMBERED, CardFlood
from pimd.proto.cards import issue
from pimd.proto.frames import SignedPeerInfo
from pimd.proto.identity import Identity
from tests.mesh.test_limits import node_id

ORIGIN = Identity.from_seed(bytes(32))


class Neighbour:
    """Collects what it is sent."""

    def __init__(self) -> None:
        self.cards = LinkCards(0.0)
        self.sent: list[int] = []

    def send(self, frame: SignedPeerInfo) -> None:
        from pimd.proto.cards import parse

        self.sent += [parse(raw).seq for raw in frame.cards]


def test_a_card_goes_to_all_but_who_has_it() -> None:
    bringer, knows, lacks = Neighbour(), Neighbour(), Neighbour()
    flood = CardFlood(ManualClock(), lambda: [bringer, knows, lacks])
    card = issue(ORIGIN, 5, 0, "x")
    knows.cards.note_has(card.node_id, 5)
    flood.spread(card, bringer)
    assert (bringer.sent, knows.sent, lacks.sent) == ([], [], [5])


def test_a_second_card_within_a_second_waits_and_the_newest_wins() -> None:
    clock = ManualClock()
    bringer, other = Neighbour(), Neighbour()
    flood = CardFlood(clock, lambda: [bringer, other])
    for seq in (5, 6, 7):
        flood.spread(issue(ORIGIN, seq, 0, "x"), bringer)
    assert other.sent == [5]
    clock.advance(0.9)
    assert other.sent == [5]
    clock.advance(0.2)
    assert other.sent == [5, 7]
    clock.advance(5.0)
    flood.spread(issue(ORIGIN, 8, 0, "x"), bringer)
    assert other.sent == [5, 7, 8]


def test_what_is_remembered_is_limited() -> None:
    link = LinkCards(0.0)
    for number in range(HAS_LIMIT + 10):
        link.note_has(node_id(number), 1)
    assert len(link.has) == HAS_LIMIT
    taken = sum(link.seq_requests.take(0.0) for _ in range(SEQ_REQUESTS_BURST + 50))
    assert taken == SEQ_REQUESTS_BURST
    assert sum(link.seq_requests.take(1.0) for _ in range(100)) == SEQ_REQUESTS_A_SECOND
    flood = CardFlood(ManualClock(), list)
    bringer = Neighbour()
    for number in range(ORIGINS_REMEMBERED + 20):
        flood._sent_at[node_id(number)] = 0.0
    flood.spread(issue(ORIGIN, 1, 0, "x"), bringer)
    assert len(flood._sent_at) == ORIGINS_REMEMBERED
