"""Three classes share a link by weight; each is bounded, and what becomes of every frame is counted."""

import random
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto.class_queues import EXPIRE_EVERY_S, SOURCE_BUCKETS, ClassQueues
from pimd.proto.fair_queue import FRAME_COST, FairQueue, Flow
from pimd.proto.frames import FLAG_CONGESTED, FLAGS_AT, MeshData, encode_data
from pimd.proto.traffic import CLASS_LIMITS, CLASS_OF_FLAGS, TrafficClass

ME, NEAR, FAR, OTHER = (NodeId(bytes([n]) * 16) for n in range(1, 5))
KINDS = [
    pytest.param(TrafficClass.MESSAGE, marks=pytest.mark.limit("unsent messages of a link")),
    pytest.param(TrafficClass.DATAGRAM, marks=pytest.mark.limit("unsent datagrams of a link")),
    pytest.param(TrafficClass.STREAM, marks=pytest.mark.limit("unsent streams of a link")),
]
FLAGS = {TrafficClass.MESSAGE: 0x60, TrafficClass.DATAGRAM: 0x20, TrafficClass.STREAM: 0xA0}


def frame(kind: TrafficClass, size: int, src: NodeId = ME) -> bytearray:
    return encode_data(MeshData(src, FAR, FLAGS[kind], bytes(size)))


CHARGED = 1041 + FRAME_COST
"""For a frame of 1000 bytes of payload."""


def queues() -> ClassQueues:
    return ClassQueues(Bites(), random.Random(1).getrandbits(128))


def fill(made: ClassQueues, kind: TrafficClass, size: int = 1000, source: str = "a") -> int:
    count = 0
    while made.put_own(kind, source, frame(kind, size), 0.0):
        count += 1
    return count


@pytest.mark.parametrize("kind", KINDS)
def test_own_frames_are_refused_at_three_quarters_of_a_class_and_others_always_find_room(kind: TrafficClass) -> None:
    made, limit = queues(), CLASS_LIMITS[kind].limit.value
    count = fill(made, kind)
    assert 3 * limit // 4 - CHARGED < made.by_class[kind].waiting.size <= 3 * limit // 4
    assert made.by_class[kind].counts.refused == 1
    made.put_relayed(kind, NEAR, FAR, frame(kind, 1000, FAR), 0.0)
    assert made.by_class[kind].counts.congested == 0
    sent = 0
    while made.pop(0.0) is not None:
        sent += 1
    assert sent == count + 1


@pytest.mark.parametrize("kind", KINDS)
def test_frames_for_others_are_dropped_from_the_biggest_flow_and_counted(kind: TrafficClass) -> None:
    made, limit = queues(), CLASS_LIMITS[kind].limit.value
    made.put_relayed(kind, OTHER, OTHER, frame(kind, 500, OTHER), 0.0)
    for _ in range(2 * limit // 1000):
        made.put_relayed(kind, NEAR, FAR, frame(kind, 1000, FAR), 0.0)
    queue = made.by_class[kind]
    assert queue.waiting.size <= limit
    assert queue.counts.congested > 0
    assert queue.waiting.size_of(OTHER) == 541 + FRAME_COST


def test_own_frames_push_out_others_up_to_half_of_a_class() -> None:
    made, kind = queues(), TrafficClass.MESSAGE
    for _ in range(2000):
        made.put_relayed(kind, NEAR, FAR, frame(kind, 1000, FAR), 0.0)
    before = made.by_class[kind].counts.congested
    fill(made, kind)
    queue = made.by_class[kind]
    assert queue.waiting.size <= CLASS_LIMITS[kind].limit.value
    assert queue.waiting.size_of(None) > CLASS_LIMITS[kind].limit.value // 2 - CHARGED
    assert queue.counts.congested > before


def test_classes_that_all_wait_share_by_weight() -> None:
    made = queues()
    for kind in TrafficClass:
        fill(made, kind)
    sent = Counter[TrafficClass]()
    for _ in range(520):
        taken = made.pop(0.0)
        assert taken is not None
        sent[CLASS_OF_FLAGS[taken[FLAGS_AT]]] += 1
    assert [round(sent[kind] / sent[TrafficClass.STREAM]) for kind in TrafficClass] == [8, 4, 1]


def test_a_class_alone_has_the_whole_link() -> None:
    made = queues()
    count = fill(made, TrafficClass.STREAM)
    assert sum(1 for _ in iter(lambda: made.pop(0.0), None)) == count


def test_a_message_behind_a_full_queue_of_streams_is_the_next_but_one_at_most() -> None:
    made = queues()
    fill(made, TrafficClass.STREAM)
    for _ in range(10):
        made.pop(0.0)
    made.put_own(TrafficClass.MESSAGE, "a", frame(TrafficClass.MESSAGE, 10), 0.0)
    taken = [made.pop(0.0) for _ in range(2)]
    assert any(one is not None and one[FLAGS_AT] == 0x60 for one in taken)


def test_from_half_full_on_frames_are_marked() -> None:
    made, kind = queues(), TrafficClass.DATAGRAM
    fill(made, kind)
    flags = [taken[FLAGS_AT] & FLAG_CONGESTED for taken in iter(lambda: made.pop(0.0), None)]
    half = CLASS_LIMITS[kind].limit.value // 2 // CHARGED
    assert flags[: half - 1] == [0] * (half - 1)
    assert set(flags[half + 1 :]) == {FLAG_CONGESTED}
    assert made.by_class[kind].counts.marked == flags.count(FLAG_CONGESTED)


@pytest.mark.limit("time that a datagram waits on a link")
def test_only_datagrams_are_dropped_by_age() -> None:
    made = queues()
    for kind in TrafficClass:
        made.put_own(kind, "a", frame(kind, 10), 0.0)
    left = [CLASS_OF_FLAGS[taken[FLAGS_AT]] for taken in iter(lambda: made.pop(0.101), None)]
    assert sorted(left) == [TrafficClass.MESSAGE, TrafficClass.STREAM]
    assert made.by_class[TrafficClass.DATAGRAM].counts.aged == 1


@pytest.mark.limit("time that a datagram waits on a link")
def test_old_datagrams_make_room_for_new_ones() -> None:
    made, kind = queues(), TrafficClass.DATAGRAM
    count = fill(made, kind)
    assert not made.put_own(kind, "a", frame(kind, 1000), 0.1)
    assert made.put_own(kind, "a", frame(kind, 1000), 0.1 + 2 * EXPIRE_EVERY_S)
    assert made.by_class[kind].counts.aged == count


def test_sources_are_spread_over_flows_that_nobody_can_choose() -> None:
    ids = [NodeId(number.to_bytes(16)) for number in range(4000)]
    flows = []
    for secret in (1, 2**127 + 12345):
        made = ClassQueues(Bites(), secret)
        for id_ in ids:
            made.put_relayed(TrafficClass.MESSAGE, NEAR, id_, frame(TrafficClass.MESSAGE, 1, id_), 0.0)
        (child,) = made.by_class[TrafficClass.MESSAGE].waiting._children.values()
        flows.append(len(child._children))  # type: ignore[union-attr]
    assert 1 < max(flows) <= SOURCE_BUCKETS


def test_room_is_told_once_when_a_class_has_drained() -> None:
    made, kind = queues(), TrafficClass.MESSAGE
    fill(made, kind)
    assert made.is_awaited
    assert made.room_made() == []
    while made.by_class[kind].waiting.size > CLASS_LIMITS[kind].limit.value // 4:
        made.pop(0.0)
    assert made.room_made() == [kind]
    assert made.room_made() == []
    assert not made.is_awaited


steps = st.lists(
    st.tuples(
        st.sampled_from(["own", "own", "relayed", "pop", "later"]),
        st.sampled_from(list(TrafficClass)),
        st.sampled_from([0, 100, 1_000, 19_000, 65_000]),
        st.integers(0, 3),
        st.integers(1, 60),
    ),
    max_size=60,
)


def frames_in(made: ClassQueues) -> int:
    """What waits, counted one by one."""
    count = 0
    for queue in made.by_class:
        for neighbour in queue.waiting._children.values():
            assert isinstance(neighbour, FairQueue)
            for flow in neighbour._children.values():
                assert isinstance(flow, Flow)
                count += len(flow.frames)
    return count


@given(steps)
@settings(deadline=None, max_examples=150)
def test_every_frame_is_queued_sent_refused_or_counted_as_dropped(
    played: list[tuple[str, TrafficClass, int, int, int]],
) -> None:
    made, now, sent, queued, told = queues(), 0.0, 0, 0, list[TrafficClass]()
    made.watch(lambda kind, _: told.append(kind))
    for what, kind, size, who, times in played:
        for _ in range(times):
            before, dropped = frames_in(made), len(told)
            if what == "own":
                taken = made.put_own(kind, who, frame(kind, size), now)
                queued += taken
                # What was not queued is told so, whatever else had to go.
                assert frames_in(made) + len(told) - dropped - before == taken
            elif what == "relayed":
                made.put_relayed(kind, NodeId(bytes([who]) * 16), FAR, frame(kind, size, FAR), now)
                queued += 1
            elif what == "pop":
                sent += made.pop(now) is not None
            else:
                now += 0.002
    for queue, limits in zip(made.by_class, CLASS_LIMITS, strict=True):
        assert queue.waiting.size <= limits.limit.value
    made.clear()
    assert queued == sent + sum(queue.counts.dropped for queue in made.by_class)
    assert sent == sum(queue.counts.frames_out for queue in made.by_class)
    assert len(told) == sum(queue.counts.dropped for queue in made.by_class)


@pytest.mark.parametrize("kind", TrafficClass)
def test_where_a_frame_has_room_two_of_the_largest_have(kind: TrafficClass) -> None:
    for waiting in range(0, CLASS_LIMITS[kind].limit.value, 4096):
        made = queues()
        if waiting:
            made.put_own(kind, "a", bytearray(waiting), 0.0)
        if made.has_room(kind):
            assert all(made.put_own(kind, "b", bytearray(65_535), 0.0) for _ in range(2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_smallest_frames_take_in_memory_is_within_the_limit_of_their_class(kind: TrafficClass) -> None:
    made = queues()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20_000):
            made.put_relayed(kind, NEAR, FAR, frame(kind, 0, FAR), number / 1e9)
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held <= CLASS_LIMITS[kind].limit.value
    lost = made.by_class[kind].waiting.size // (41 + FRAME_COST)
    made.clear()
    assert made.by_class[kind].counts.lost == lost
    assert made.size == 0
