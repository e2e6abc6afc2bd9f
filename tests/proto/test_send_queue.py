"""What waits to be sent on a link stays within its limits, and in its order."""

from collections import deque
from functools import partial

import pytest

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto import send_queue as module
from pimd.proto.cards import issue
from pimd.proto.frames import (
    Frame,
    MeshData,
    PeerInfoRequest,
    Pong,
    RouteEntry,
    Routes,
    SeqRequest,
    SignedPeerInfo,
    decode_frame,
)
from pimd.proto.identity import Identity
from pimd.proto.send_queue import ANSWERS, ROUTING, SendQueue, SendQueueOverflow
from tests.limits import Lower

ALICE, BOB = (Identity.from_seed(bytes([n]) * 32) for n in (1, 2))
DATA = MeshData(ALICE.node_id, BOB.node_id, 0x60, bytes(60_000))


def drained(queue: SendQueue) -> list[object]:
    found: list[object] = []
    while (plaintext := queue.pop(0.0)) is not None:
        found.append(decode_frame(bytes(plaintext)))
    return found


def put(queue: SendQueue, frame: Frame) -> bool:
    return queue.put(frame, 0.0)


def card(identity: Identity, seq: int) -> SignedPeerInfo:
    return SignedPeerInfo((issue(identity, seq, 0, "x").raw,))


def test_answers_go_first_then_cards_then_routes_then_data() -> None:
    queue = SendQueue(Bites())
    queue.put(DATA, 0.0)
    queue.put(Routes((RouteEntry(BOB.node_id, 1, 0),), first=False, last=False), 0.0)
    queue.put(card(ALICE, 1), 0.0)
    queue.put_answer(Pong(7))
    kinds = [type(frame) for frame in drained(queue)]
    assert kinds == [Pong, SignedPeerInfo, Routes, MeshData]


def test_only_the_newest_card_of_each_origin_waits() -> None:
    queue = SendQueue(Bites())
    for seq in range(1, 1000):
        queue.put(card(ALICE, seq), 0.0)
    queue.put(card(BOB, 1), 0.0)
    assert drained(queue) == [SignedPeerInfo((*card(ALICE, 999).cards, *card(BOB, 1).cards))]
    assert queue.unsent == 0


def test_a_newer_route_replaces_an_unsent_one() -> None:
    queue = SendQueue(Bites())
    for metric in range(100):
        queue.put(Routes((RouteEntry(BOB.node_id, 1, metric),), first=False, last=False), 0.0)
    assert drained(queue) == [Routes((RouteEntry(BOB.node_id, 1, 99),), first=False, last=False)]


def test_routes_keep_their_hops_while_they_wait() -> None:
    queue = SendQueue(Bites())
    entry = RouteEntry(BOB.node_id, 1, 1024, 2)
    whole = Routes((entry,), first=True, last=True, hops=True)
    single = Routes((entry,), first=False, last=False, hops=True)
    queue.put(whole, 0.0)
    queue.put(single, 0.0)
    assert drained(queue) == [whole, single]


@pytest.mark.limit("unsent answers to what the peer asked for")
def test_a_peer_that_does_not_read_its_answers_loses_the_link() -> None:
    queue = SendQueue(Bites())
    with pytest.raises(SendQueueOverflow):
        deque(map(queue.put_answer, map(Pong, range(10**6))), 0)
    assert ANSWERS.value - 100 < queue.unsent <= ANSWERS.value


@pytest.mark.limit("unsent routes and requests of a link")
def test_a_peer_that_does_not_read_routing_loses_the_link() -> None:
    queue = SendQueue(Bites())
    ids = [NodeId(number.to_bytes(16)) for number in range(100_000)]
    with pytest.raises(SendQueueOverflow):
        deque(map(partial(put, queue), (PeerInfoRequest((node_id,)) for node_id in ids)), 0)
    assert queue.unsent <= ROUTING.value
    queue = SendQueue(Bites())
    with pytest.raises(SendQueueOverflow):
        deque(
            map(
                partial(put, queue), (Routes((RouteEntry(node_id, 1, 1),), first=False, last=False) for node_id in ids)
            ),
            0,
        )
    assert queue.unsent <= ROUTING.value


def test_nothing_is_left_after_clear() -> None:
    queue = SendQueue(Bites())
    for frame in (DATA, card(ALICE, 1), PeerInfoRequest((BOB.node_id,))):
        queue.put(frame, 0.0)
    queue.put_answer(Pong(1))
    queue.clear()
    assert queue.unsent == 0
    assert queue.pop(0.0) is None


def table(*entries: RouteEntry, first: bool, last: bool) -> Routes:
    return Routes(entries, first=first, last=last)


def test_a_full_table_stays_whole_and_in_order() -> None:
    queue = SendQueue(Bites())
    parts = [table(RouteEntry(NodeId(bytes([n]) * 16), 1, 256, 1), first=n == 0, last=n == 3) for n in range(4)]
    for part in parts:
        queue.put(part, 0.0)
    assert drained(queue) == parts
    assert queue.unsent == 0


def test_a_newer_full_table_replaces_what_waits_of_an_older_one_and_of_single_entries() -> None:
    queue = SendQueue(Bites())
    entry = RouteEntry(ALICE.node_id, 1, 256)
    queue.put(table(entry, first=False, last=False), 0.0)
    queue.put(table(entry, first=True, last=False), 0.0)
    queue.put(table(entry, first=False, last=True), 0.0)
    newer = table(RouteEntry(BOB.node_id, 2, 512, 2), first=True, last=True)
    after = table(RouteEntry(ALICE.node_id, 3, 512, 2), first=False, last=False)
    queue.put(newer, 0.0)
    queue.put(after, 0.0)
    assert drained(queue) == [newer, after]
    assert queue.unsent == 0


def test_cards_share_records_up_to_their_limit() -> None:
    queue = SendQueue(Bites())
    cards = [issue(Identity.from_seed(n.to_bytes(32)), 1, 0, "x" * 64).raw for n in range(400)]
    queue.put(SignedPeerInfo(tuple(cards)), 0.0)
    frames = drained(queue)
    assert [raw for frame in frames if isinstance(frame, SignedPeerInfo) for raw in frame.cards] == cards
    assert len(frames) == 2


@pytest.mark.limit("unsent cards of a link")
def test_cards_beyond_their_limit_push_out_those_that_wait_longest(lower: Lower) -> None:
    frames = [card(Identity.from_seed(n.to_bytes(32)), 1) for n in range(30)]
    size = len(frames[0].cards[0])
    lower(module.CARDS, 10 * size)
    queue = SendQueue(Bites())
    for frame in frames:
        queue.put(frame, 0.0)
    assert (queue.unsent, queue.dropped_cards) == (10 * size, 20)
    assert drained(queue) == [SignedPeerInfo(tuple(frame.cards[0] for frame in frames[20:]))]


def test_a_peer_that_does_not_read_requests_or_a_full_table_loses_the_link() -> None:
    ids = [NodeId(number.to_bytes(16)) for number in range(50_000)]
    queue = SendQueue(Bites())
    with pytest.raises(SendQueueOverflow):
        deque(map(partial(put, queue), (SeqRequest(node_id, 1, 255, True, 1) for node_id in ids)), 0)  # noqa: FBT003
    assert queue.unsent <= ROUTING.value
    queue = SendQueue(Bites())
    entries = tuple(RouteEntry(node_id, 1, 256) for node_id in ids[:1000])
    with pytest.raises(SendQueueOverflow):
        deque(map(partial(put, queue), (table(*entries, first=n == 0, last=False) for n in range(100))), 0)
    assert queue.unsent <= ROUTING.value
