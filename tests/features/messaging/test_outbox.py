"""The outbox by itself: windows, retries, and nothing ever stuck."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.ids import MessageId, NodeId
from pimd_features.messaging.outbox import JITTER, LAST_RETRY_S, Outbox
from pimd_features.messaging.path import FIRST_RETRY_S, FIRST_WINDOW, LEAST_RETRY_S, MOST_WINDOW, RoundTrip
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


def test_retries_double_from_3_seconds_to_10_minutes_within_a_quarter() -> None:
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
    for n in range(FIRST_WINDOW + 10):
        outbox.add(message(n))
    outbox.add(message(999, OTHER))
    assert sorted(send_all(outbox, 0.0)) == [*range(FIRST_WINDOW), 999]
    outbox.remove(PEER, message(3).id)
    assert send_all(outbox, 0.0) == [FIRST_WINDOW]
    outbox.tick(FIRST_RETRY_S)  # places become free, and what was not acknowledged goes again, the oldest first
    unacknowledged = [n for n in range(FIRST_WINDOW + 10) if n != 3]
    assert send_all(outbox, FIRST_RETRY_S) == [
        *unacknowledged[: FIRST_WINDOW // 2],
        999,
    ]  # half as many: they were lost


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
        assert (
            sum(entry.in_flight for entry in peer.entries.values()) == peer.in_flight <= MOST_WINDOW if peer else True
        )
    reached = set()
    for _ in range(200):  # whatever happened: with time, every message goes out
        reached.update(send_all(outbox, now))
        now = max(now, outbox.deadline() or now)
        outbox.tick(now)
    assert reached >= alive


def acknowledge(outbox: Outbox, numbers: list[int], now: float, *, congestion_met: bool = False) -> None:
    for n in numbers:
        outbox.acknowledged(PEER, message(n).id, now, congestion_met=congestion_met)


def test_the_window_doubles_each_round_trip_until_it_is_full() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(500):
        outbox.add(message(n))
    sizes, now = [], 0.0
    for _ in range(4):
        sent = send_all(outbox, now)
        sizes.append(len(sent))
        now += 0.1
        acknowledge(outbox, sent, now)
    assert sizes == [FIRST_WINDOW, 2 * FIRST_WINDOW, 4 * FIRST_WINDOW, MOST_WINDOW]


def test_congestion_halves_the_window_once_a_round_trip_and_then_it_opens_by_one() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(500):
        outbox.add(message(n))
    acknowledge(outbox, send_all(outbox, 0.0), 0.1)
    sent = send_all(outbox, 0.1)
    acknowledge(outbox, sent, 0.2, congestion_met=True)  # all of one round trip tell of the same congestion
    sizes, now = [], 0.2
    for _ in range(3):
        sent = send_all(outbox, now)
        sizes.append(len(sent))
        now += 0.1
        acknowledge(outbox, sent, now)
    assert sizes == [FIRST_WINDOW, FIRST_WINDOW + 1, FIRST_WINDOW + 2]
    for _ in range(10):
        outbox.congested(PEER, now)
        now += 1.0
    assert len(send_all(outbox, now)) == 1


def test_an_acknowledgement_of_what_is_not_waiting_leaves_the_window() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(100):
        outbox.add(message(n))
    acknowledge(outbox, [999] * 10, 0.0, congestion_met=True)
    assert len(send_all(outbox, 0.0)) == FIRST_WINDOW


def test_a_retry_comes_as_soon_as_the_round_trip_time_allows() -> None:
    outbox = Outbox(lambda: 0.5)
    for n in range(3):
        outbox.add(message(n))
    now = 0.0
    assert send_all(outbox, now) == [0, 1, 2]
    acknowledge(outbox, [0, 1], now + 0.02)
    outbox.add(message(3))
    assert send_all(outbox, 0.02) == [3]
    outbox.tick(0.02 + LEAST_RETRY_S)
    assert send_all(outbox, 0.02 + LEAST_RETRY_S) == [3]


def test_only_what_was_sent_once_tells_the_round_trip_time() -> None:
    outbox = Outbox(lambda: 0.5)
    outbox.add(message(1))
    send_all(outbox, 0.0)
    outbox.tick(FIRST_RETRY_S)
    assert send_all(outbox, FIRST_RETRY_S) == [1]
    outbox.acknowledged(PEER, message(1).id, FIRST_RETRY_S + 0.01, congestion_met=False)  # of the first copy, maybe
    outbox.tick(10.0)
    outbox.add(message(2))
    send_all(outbox, 10.0)
    assert outbox.deadline() == 10.0 + FIRST_RETRY_S


def test_the_smoothed_round_trip_time_is_that_of_rfc_6298() -> None:
    path = RoundTrip()
    assert path.retry_s == FIRST_RETRY_S
    path.took(2.0)
    assert (path.smoothed_s, path.retry_s) == (2.0, 6.0)  # 2 + 4 x 1
    path.took(4.0)
    assert (path.smoothed_s, path.retry_s) == (2.25, 7.25)  # the variation is 3/4 x 1 + 1/4 x 2
    for _ in range(100):
        path.took(0.01)
    assert path.retry_s == LEAST_RETRY_S


def test_what_was_tried_at_random_times_goes_in_order_when_the_peer_is_back() -> None:
    outbox = Outbox(random.Random(7).random)
    for n in range(FIRST_WINDOW + 8):
        outbox.add(message(n))
    send_all(outbox, 0.0)
    while (deadline := outbox.deadline()) is not None and deadline < 40.0:
        outbox.tick(deadline)
        for peer in outbox.peers():  # without a route
            for taken in outbox.take(peer):
                outbox.put_back(taken)
    outbox.appeared(PEER, anew=True)
    assert send_all(outbox, 40.0) == list(range(FIRST_WINDOW))
