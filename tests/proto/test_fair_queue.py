"""Whoever sends little waits for little, whatever others queue."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.proto.fair_queue import FRAME_COST, IDLE_FLOWS, FairQueue

sizes = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2000)), max_size=60)


def filled(*flows: tuple[str, int, int]) -> FairQueue:
    """Flows of a name, a number of frames, and their size; the name stands in each frame."""
    queue = FairQueue(1)
    for name, count, size in flows:
        for _ in range(count):
            queue.push((name,), (0.0, name.encode() * size, False))
    return queue


def order(queue: FairQueue) -> str:
    found = ""
    while queue.size:
        found += chr(queue.pop()[1][0])
    return found


@given(sizes)
@settings(deadline=None)
def test_nothing_is_lost_and_each_flow_keeps_its_order(pushed: list[tuple[str, int]]) -> None:
    queue = FairQueue(1)
    for number, (name, size) in enumerate(pushed):
        queue.push((name,), (float(number), name.encode() * size, False))
    assert queue.size == sum(size + FRAME_COST for _, size in pushed)
    popped = [queue.pop() for _ in pushed]
    assert queue.size == 0
    for flow in "abc":
        numbers = [int(at) for at, frame, _ in popped if frame.startswith(flow.encode())]
        assert numbers == [number for number, (name, _) in enumerate(pushed) if name == flow]


def test_flows_share_by_bytes() -> None:
    queue = filled(("a", 100, 1000), ("b", 1000, 100))
    sent = Counter[int]()
    for _ in range(200):
        frame = queue.pop()[1]
        sent[frame[0]] += len(frame) + FRAME_COST
    assert abs(sent[ord("a")] - sent[ord("b")]) <= 1100 + 2 * FRAME_COST


def test_a_frame_of_a_quiet_flow_is_next_behind_a_long_queue() -> None:
    queue = filled(("a", 500, 1000))
    for _ in range(100):
        queue.pop()
    queue.push(("b",), (0.0, b"b", False))
    assert order(queue).index("b") <= 1


def test_a_flow_that_sends_one_frame_whenever_it_may_gets_no_more_than_its_share() -> None:
    queue = filled(("a", 300, 1000))
    sent = Counter[int]()
    for _ in range(200):
        if not queue.size_of("b"):
            queue.push(("b",), (0.0, b"b" * 1000, False))
        sent[queue.pop()[1][0]] += 1
    assert abs(sent[ord("a")] - sent[ord("b")]) <= 2


def test_the_biggest_flow_of_the_biggest_neighbour_loses_its_newest() -> None:
    queue = FairQueue(2)
    for neighbour, source, count in (("x", 1, 3), ("x", 2, 4), ("y", 1, 5)):
        for number in range(count):
            queue.push((neighbour, source), (float(number), bytes(10), False))
    dropped = queue.drop_from_biggest()
    assert dropped is not None
    assert dropped[0] == 3.0  # of x, which has 7, the 4 of source 2
    assert queue.size == 11 * (10 + FRAME_COST)
    assert queue.drop_from_biggest(sparing="x") == (4.0, bytes(10), False)
    assert FairQueue(2).drop_from_biggest() is None


def test_dropping_all_that_one_flow_has_leaves_the_others_whole() -> None:
    queue = filled(("a", 2, 10), ("b", 1, 10))
    for _ in range(2):
        queue.drop_from_biggest(sparing="b")
    assert queue.drop_from_biggest(sparing="b") is None
    assert order(queue) == "b"


def test_what_is_too_old_goes_and_the_rest_stays_in_order() -> None:
    queue = FairQueue(2)
    for number in range(6):
        queue.push(("x", number % 2), (float(number), bytes([number]), False))
    assert sorted(frame for _, frame, _ in queue.expire(3.0)) == [bytes([n]) for n in range(3)]
    assert queue.size == 3 * (1 + FRAME_COST)
    assert sorted(queue.pop()[1] for _ in range(3)) == [bytes([n]) for n in range(3, 6)]


def test_flows_that_are_empty_are_forgotten() -> None:
    queue = FairQueue(1)
    for number in range(100 * IDLE_FLOWS):
        queue.push((number,), (0.0, b"x", False))
        queue.pop()
    assert len(queue._children) <= IDLE_FLOWS + 1
