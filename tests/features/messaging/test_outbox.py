"""The outbox by itself: windows, retries, and nothing ever stuck."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.ids import MessageId, NodeId
from pimd_features.messaging.outbox import FIRST_RETRY_S, JITTER, LAST_RETRY_S, WINDOW, Outbox
from pimd_features.messaging.store import Outgoing

PEER, OTHER = NodeId(bytes(16)), NodeId(bytes([1]) * 16)


def message(n: int, peer: NodeId = PEER) -> Outgoing:
    return Outgoing(peer, MessageId(n.to_bytes(16)), n, 1000)


def send_all(outbox: Outbox, now: float) -> list[int]:
    """Take and send what may go now; return the numbers."""
    sent = []
    for peer in outbox.peers():
        while messages := outbox.take(peer):
            for taken in messages:
                outbox.sent(taken, now)
                sent.append(taken.timestamp_ms)
    return sent


def test_retries_double_from_5_seconds_to_10_minutes_within_a_quarter() -> None:
    outbox = Outbox(random.Random(1).random)
    outbox.add(message(1))
    now = 0.0
    times: list[float] = []
    while len(times) < 14:
        if send_all(outbox, now):
            times.append(now)
        deadline = outbox.deadline()
        assert deadline is not None
        now = deadline
        outbox.tick(now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for attempt, gap in enumerate(gaps):
        expected = min(LAST_RETRY_S, FIRST_RETRY_S * 2**attempt)
        assert expected * (1 - JITTER) <= gap <= expected * (1 + JITTER)
    assert gaps[-1] > 400


def test_one_peer_has_a_window_and_does_not_hold_up_another() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(WINDOW + 10):
        outbox.add(message(n))
    outbox.add(message(999, OTHER))
    assert sorted(send_all(outbox, 0.0)) == [*range(WINDOW), 999]
    outbox.remove(PEER, message(3).id)
    assert send_all(outbox, 0.0) == [WINDOW]
    outbox.tick(5.0)  # places become free, and what was not acknowledged goes again, the oldest first
    unacknowledged = [n for n in range(WINDOW + 10) if n != 3]
    assert send_all(outbox, 5.0) == [*unacknowledged[:WINDOW], 999]


def test_a_peer_that_appears_gets_everything_at_once() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(3):
        outbox.add(message(n))
    send_all(outbox, 0.0)
    outbox.appeared(PEER, anew=False)
    assert send_all(outbox, 1.0) == []
    outbox.appeared(PEER, anew=True)
    assert send_all(outbox, 1.0) == [0, 1, 2]


def test_a_timer_of_the_last_attempt_makes_nothing_ready_that_is_being_sent_anew() -> None:
    outbox = Outbox(lambda: 0.5)
    outbox.add(message(1))
    send_all(outbox, 0.0)
    outbox.appeared(PEER, anew=True)
    assert outbox.take(PEER) == [message(1)]
    outbox.tick(FIRST_RETRY_S)
    assert outbox.take(PEER) == []
    outbox.sent(message(1), FIRST_RETRY_S)
    assert send_all(outbox, FIRST_RETRY_S + 0.1) == []


def test_what_could_not_be_sent_keeps_its_place() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(3):
        outbox.add(message(n))
    for taken in reversed(outbox.take(PEER)):
        outbox.put_back(taken)
    assert send_all(outbox, 0.0) == [0, 1, 2]


def test_expired_ones_are_named() -> None:
    outbox = Outbox(lambda: 0.5)
    outbox.add(message(1))
    assert list(outbox.expired(999)) == []
    assert list(outbox.expired(1000)) == [message(1)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "ack", "send", "tick", "anew", "seen", "fail"]), st.integers(0, 60)),
        max_size=120,
    )
)
def test_every_message_is_ready_in_flight_or_waits_for_its_retry(steps: list[tuple[str, int]]) -> None:
    outbox, now, alive = Outbox(random.Random(0).random), 0.0, set[int]()
    for what, n in steps:
        if what == "add" and n not in alive:
            outbox.add(message(n))
            alive.add(n)
        elif what == "ack":
            outbox.remove(PEER, message(n).id)
            alive.discard(n)
        elif what == "send":
            send_all(outbox, now)
        elif what == "tick":
            now += n
            outbox.tick(now)
        elif what == "fail":
            for taken in outbox.take(PEER):
                outbox.put_back(taken)
        else:
            outbox.appeared(PEER, anew=what == "anew")
        assert len(outbox) == len(alive)
        peer = outbox._peers.get(PEER)
        assert sum(entry.in_flight for entry in peer.entries.values()) == peer.in_flight <= WINDOW if peer else True
    reached = set()
    for _ in range(200):  # whatever happened: with time, every message goes out
        reached.update(send_all(outbox, now))
        now = max(now, outbox.deadline() or now)
        outbox.tick(now)
    assert reached >= alive


def test_an_acknowledgement_that_tells_of_congestion_halves_the_window_and_others_open_it_again() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(200):
        outbox.add(message(n))
    sent = send_all(outbox, 0.0)
    assert len(sent) == WINDOW
    for n in sent[:-1]:
        outbox.acknowledged(PEER, message(n).id, congestion_met=True)
    assert send_all(outbox, 0.0) == []  # one is in flight, and the window is one
    outbox.acknowledged(PEER, message(sent[-1]).id, congestion_met=False)
    in_flight = send_all(outbox, 0.0)
    assert len(in_flight) == 2
    while len(in_flight) < WINDOW:
        outbox.acknowledged(PEER, message(in_flight.pop(0)).id, congestion_met=False)
        in_flight += send_all(outbox, 0.0)
    outbox.acknowledged(PEER, message(in_flight.pop(0)).id, congestion_met=False)
    assert len(in_flight + send_all(outbox, 0.0)) == WINDOW


def test_an_acknowledgement_of_what_is_not_waiting_leaves_the_window() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(100):
        outbox.add(message(n))
    for _ in range(10):
        outbox.acknowledged(PEER, message(999).id, congestion_met=True)
    assert len(send_all(outbox, 0.0)) == WINDOW


def test_what_was_tried_at_random_times_goes_in_order_when_the_peer_is_back() -> None:
    outbox = Outbox(random.Random(7).random)
    for n in range(WINDOW + 8):
        outbox.add(message(n))
    send_all(outbox, 0.0)
    while (deadline := outbox.deadline()) is not None and deadline < 40.0:
        outbox.tick(deadline)
        for peer in outbox.peers():  # without a route
            for taken in outbox.take(peer):
                outbox.put_back(taken)
    outbox.appeared(PEER, anew=True)
    assert send_all(outbox, 40.0) == list(range(WINDOW))
