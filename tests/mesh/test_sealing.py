"""No sealed frame gets in twice, also when the marks of its source had to go."""

import os

import pytest

from pimd.contract import PluginPayload
from pimd.limits import Bites
from pimd.mesh import sealing
from pimd.mesh.sealing import FrameBeforeStart, FrameForUnknownCard, ReplayedFrame, SealedFrames
from pimd.proto import sealed
from pimd.proto.frames import MeshData
from pimd.proto.identity import Identity
from tests.limits import Lower

ALICE, BOB, CAROL = (Identity.from_seed(bytes([n]) * 32) for n in (1, 2, 3))
HELLO = PluginPayload("test.hello", b"hello")


class Node:
    """Seals and opens, and issues the cards it is asked for."""

    def __init__(self, identity: Identity, seq: int = 100) -> None:
        self.identity = identity
        self.seq = seq
        self.frames = SealedFrames(identity, seq, os.urandom, self.issue_above, Bites())

    def issue_above(self, seq: int) -> None:
        self.seq = self.frames.own_seq = seq + 1

    def seal(self, dst: "Node", dst_seq: int | None = None) -> MeshData:
        seq = dst.seq if dst_seq is None else dst_seq
        return self.frames.seal(dst.identity.node_id, dst.identity.x25519_pub, seq, HELLO)

    def open(self, frame: MeshData, src: "Node") -> PluginPayload:
        return self.frames.open(frame, src.identity.x25519_pub)


def test_a_repeat_is_refused() -> None:
    alice, bob = Node(ALICE), Node(BOB)
    frame = alice.seal(bob)
    assert bob.open(frame, alice) == HELLO
    with pytest.raises(ReplayedFrame):
        bob.open(frame, alice)


@pytest.mark.limit("replay windows of sources")
def test_when_marks_had_to_go_old_copies_stay_out_and_new_frames_get_in(lower: Lower) -> None:
    lower(sealing.WINDOWS, 1)
    alice, bob, carol = Node(ALICE), Node(BOB), Node(CAROL)
    copy = alice.seal(bob)
    assert bob.open(copy, alice) == HELLO
    assert bob.open(carol.seal(bob), carol) == HELLO  # the marks of alice go
    assert bob.seq == 101
    with pytest.raises(FrameBeforeStart):
        bob.open(copy, alice)
    assert bob.open(alice.seal(bob), alice) == HELLO


def test_a_liar_about_cards_of_the_future_shuts_nobody_out(lower: Lower) -> None:
    lower(sealing.WINDOWS, 1)
    alice, bob, liar = Node(ALICE), Node(BOB), Node(CAROL)
    with pytest.raises(FrameForUnknownCard):
        bob.open(liar.seal(bob, dst_seq=2**43), liar)
    assert bob.open(alice.seal(bob), alice) == HELLO
    assert bob.seq == 100


def test_after_lost_state_nothing_old_gets_in_and_nothing_new_is_taken_for_old() -> None:
    alice, bob = Node(ALICE, 500), Node(BOB)
    for _ in range(5):
        bob.open(alice.seal(bob), alice)
    old = bob.seal(alice)
    alice.open(old, bob)
    reborn = Node(ALICE, 7)  # the keystore is lost, and the clock is behind
    with pytest.raises(FrameForUnknownCard):
        reborn.open(old, bob)
    with pytest.raises(ReplayedFrame):
        bob.open(reborn.seal(bob), reborn)
    reborn.frames.card_issued(501, base_seq=501)
    assert bob.open(reborn.seal(bob), reborn) == HELLO
    with pytest.raises(FrameBeforeStart):
        reborn.open(old, bob)
    assert reborn.open(bob.seal(alice, dst_seq=501), bob) == HELLO


def test_a_newer_card_alone_changes_no_counter() -> None:
    alice, bob = Node(ALICE), Node(BOB)
    late = alice.seal(bob)
    alice.frames.card_issued(300_100, base_seq=100)
    bob.open(alice.seal(bob), alice)
    assert bob.open(late, alice) == HELLO


@pytest.mark.limit("counters of destinations")
def test_counters_are_kept_for_so_many_and_none_is_used_twice(lower: Lower) -> None:
    lower(sealing.COUNTERS, 1)
    alice, bob, carol = Node(ALICE), Node(BOB), Node(CAROL)
    for _ in range(3):
        for other in (bob, carol, bob):
            assert other.open(alice.seal(other), alice) == HELLO
    assert len(alice.frames._counters) == 1


@pytest.mark.limit("shared keys")
def test_shared_keys_are_kept_for_so_many(lower: Lower) -> None:
    lower(sealed.SHARED_KEYS, 1)
    alice, bob, carol = Node(ALICE), Node(BOB), Node(CAROL)
    for other in (bob, carol, bob):
        assert other.open(alice.seal(other), alice) == HELLO
    assert len(alice.frames._sealer._boxes) == 1
