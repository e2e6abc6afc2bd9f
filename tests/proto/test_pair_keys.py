"""Keys of a pair: agreed on by an ephemeral exchange, of use for an hour, and of no use to whoever steals a seed later."""

import os
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto.errors import HandshakeError
from pimd.proto.frames import FLAG_CONGESTED, FLAG_FRAGMENT, FLAGS_AT, TTL_AT, MeshData, decode_mesh_data
from pimd.proto.handshake import CIPHERS, Cipher
from pimd.proto.identity import Identity
from pimd.proto.key_exchange import (
    CONFIRM_EVERY_S,
    CONFIRM_S,
    FIRST_REPEAT_S,
    KEYS_OF_ONE_PEER,
    LONGEST_REPEAT_S,
    OFFER_S,
    OPEN_S,
    PAIRS,
    RENEW_S,
    SEAL_S,
    KeyExchange,
)
from pimd.proto.pair_keys import NotOpened, Offer, PairKeys, Repeated, answer_offer
from tests.limits import Lower

ALICE, BOB, EVE = (Identity.from_seed(bytes([n]) * 32) for n in (1, 2, 3))
SEALED = 0x20


def exchanged(cipher: Cipher = "AESGCM") -> tuple[PairKeys, PairKeys]:
    offer = Offer(ALICE, BOB.node_id, BOB.x25519_pub, cipher, os.urandom)
    answer, theirs = answer_offer(BOB, ALICE.node_id, ALICE.x25519_pub, offer.message, os.urandom, 0.0)
    return offer.finish(answer, 0.0), theirs


def sealed(keys: PairKeys, plaintext: bytes = b"packet", flags: int = SEALED) -> MeshData:
    return decode_mesh_data(bytes(keys.datagram_sealing.seal(flags, plaintext)), 1)


@pytest.mark.parametrize("cipher", CIPHERS.values())
def test_both_ends_have_the_same_keys_in_both_directions_and_classes(cipher: Cipher) -> None:
    alice, bob = exchanged(cipher)
    assert alice.key_id == bob.key_id
    for one, other, ends in ((alice, bob, (ALICE, BOB)), (bob, alice, (BOB, ALICE))):
        frame = sealed(one)
        assert (frame.src, frame.dst) == tuple(end.node_id for end in ends)
        assert other.datagram_opening.open(frame.flags, frame.payload) == (0, b"packet")
        stream = decode_mesh_data(bytes(one.stream_sealing.seal(0xA0, b"stream")), 1)
        assert other.stream_opening.open(stream.flags, stream.payload) == (0, b"stream")
        with pytest.raises(NotOpened):
            other.datagram_opening.open(stream.flags, stream.payload)


def test_a_frame_opens_once_and_in_any_order() -> None:
    alice, bob = exchanged()
    frames = [sealed(alice, bytes([n])) for n in range(50)]
    random.Random(3).shuffle(frames)
    opened = [bob.datagram_opening.open(frame.flags, frame.payload) for frame in frames]
    assert sorted(opened) == [(n, bytes([n])) for n in range(50)]
    for frame in frames:
        with pytest.raises(Repeated):
            bob.datagram_opening.open(frame.flags, frame.payload)


def test_a_datagram_overtaken_by_4097_is_refused_but_streams_have_a_window_of_their_own() -> None:
    alice, bob = exchanged()
    late, late_stream = sealed(alice), alice.stream_sealing.seal(0xA0, b"late")
    for _ in range(4097):
        frame = sealed(alice)
        bob.datagram_opening.open(frame.flags, frame.payload)
    with pytest.raises(Repeated):
        bob.datagram_opening.open(late.flags, late.payload)
    stream = decode_mesh_data(bytes(late_stream), 1)
    assert bob.stream_opening.open(stream.flags, stream.payload) == (0, b"late")


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(deadline=None, max_examples=300)
def test_a_changed_byte_never_opens_but_for_what_relays_change(position: int, flip: int) -> None:
    alice, bob = exchanged()
    raw = alice.datagram_sealing.seal(SEALED, bytes(20))
    # Of the head, relays count the ttl down and set the mark; session id and length are not looked at, or checked before.
    # The key id finds the keys; one that is changed finds others, or none.
    changeable = [*range(1, 33), *range(45, len(raw))]
    at = changeable[position % len(changeable)]
    raw[at] ^= flip
    frame = decode_mesh_data(bytes(raw), 1)
    same_ends = (frame.src, frame.dst) == (ALICE.node_id, BOB.node_id)
    if same_ends:
        with pytest.raises(NotOpened):
            bob.datagram_opening.open(frame.flags, frame.payload)
    else:
        assert at <= 32


def test_the_ttl_and_the_mark_of_congestion_may_change_on_the_way_and_other_flags_may_not() -> None:
    alice, bob = exchanged()
    raw = alice.datagram_sealing.seal(SEALED, b"packet")
    raw[TTL_AT] -= 7
    raw[FLAGS_AT] |= FLAG_CONGESTED
    frame = decode_mesh_data(bytes(raw), 1)
    assert bob.datagram_opening.open(frame.flags, frame.payload) == (0, b"packet")
    for flags in (SEALED | FLAG_FRAGMENT, 0x60, 0xA0, 0, 0xFF):
        other = sealed(alice)
        with pytest.raises(NotOpened):
            bob.datagram_opening.open(flags, other.payload)


def test_nobody_else_can_offer_or_answer() -> None:
    offer = Offer(ALICE, BOB.node_id, BOB.x25519_pub, "AESGCM", os.urandom)
    forged = Offer(EVE, BOB.node_id, BOB.x25519_pub, "AESGCM", os.urandom)
    with pytest.raises(HandshakeError):  # eve says that she is alice
        answer_offer(BOB, ALICE.node_id, ALICE.x25519_pub, forged.message, os.urandom, 0.0)
    with pytest.raises(HandshakeError):  # eve answers in place of bob
        answer_offer(EVE, ALICE.node_id, ALICE.x25519_pub, offer.message, os.urandom, 0.0)
    answer, _ = answer_offer(BOB, ALICE.node_id, ALICE.x25519_pub, offer.message, os.urandom, 0.0)
    with pytest.raises(HandshakeError):  # an answer to another offer
        Offer(ALICE, BOB.node_id, BOB.x25519_pub, "AESGCM", os.urandom).finish(answer, 0.0)


@given(st.binary(max_size=80))
@settings(deadline=None)
def test_rubbish_is_no_offer_and_no_answer(message: bytes) -> None:
    offer = Offer(ALICE, BOB.node_id, BOB.x25519_pub, "AESGCM", os.urandom)
    with pytest.raises(HandshakeError):
        answer_offer(BOB, ALICE.node_id, ALICE.x25519_pub, message, os.urandom, 0.0)
    with pytest.raises(HandshakeError):
        offer.finish(message, 0.0)


def test_seeds_stolen_later_and_everything_recorded_open_nothing() -> None:
    """The thief replays both sides with all static keys and other ephemeral ones, which is all that a seed gives."""
    offer = Offer(ALICE, BOB.node_id, BOB.x25519_pub, "AESGCM", os.urandom)
    answer, bob = answer_offer(BOB, ALICE.node_id, ALICE.x25519_pub, offer.message, os.urandom, 0.0)
    alice = offer.finish(answer, 0.0)
    recorded = sealed(alice, b"secret")
    _, as_bob = answer_offer(BOB, ALICE.node_id, ALICE.x25519_pub, offer.message, os.urandom, 0.0)
    with pytest.raises(NotOpened):
        as_bob.datagram_opening.open(recorded.flags, recorded.payload)
    assert bob.datagram_opening.open(recorded.flags, recorded.payload) == (0, b"secret")


def test_no_key_is_shown() -> None:
    alice, _ = exchanged()
    assert repr(alice) == f"PairKeys({alice.key_id.hex()})"


# --- which keys are in use, and until when


def exchange_of(identity: Identity, cipher: Cipher = "AESGCM", contacts: Sequence[NodeId] = ()) -> KeyExchange:
    return KeyExchange(identity, cipher, os.urandom, Bites(), lambda peer: peer in contacts)


class Ends:
    """Two exchanges joined by hand."""

    def __init__(self) -> None:
        self.alice = exchange_of(ALICE, "AESGCM")
        self.bob = exchange_of(BOB, "AESGCM")

    def run(self, now: float) -> None:
        offer, _ = self.alice.offer(BOB.node_id, BOB.x25519_pub, now)
        answer = self.bob.receive(ALICE.node_id, ALICE.x25519_pub, offer, now)
        assert answer is not None
        assert self.alice.receive(BOB.node_id, BOB.x25519_pub, answer, now) is None

    def confirm(self, now: float) -> bool:
        """Bob opens something of alice."""
        used = self.alice.sealing(BOB.node_id, now)
        assert used is not None
        keys = self.bob.opening(ALICE.node_id, used.key_id, now)
        return keys is not None and self.bob.opened(ALICE.node_id, keys)


def test_the_answering_end_seals_with_new_keys_once_the_other_used_them() -> None:
    ends = Ends()
    ends.run(0.0)
    assert ends.alice.sealing(BOB.node_id, 0.0) is not None
    assert ends.bob.sealing(ALICE.node_id, 0.0) is None
    assert ends.confirm(0.0)
    assert not ends.confirm(0.0)
    assert ends.bob.sealing(ALICE.node_id, 0.0) is not None


def test_keys_are_renewed_within_the_hour_and_forgotten_soon_after() -> None:
    ends = Ends()
    ends.run(0.0)
    ends.confirm(0.0)
    old = ends.alice.sealing(BOB.node_id, 0.0)
    assert old is not None
    assert not ends.alice.is_due(BOB.node_id, RENEW_S - 1)
    assert ends.alice.is_due(BOB.node_id, RENEW_S)
    assert ends.alice.sealing(BOB.node_id, SEAL_S - 1) is old
    ends.run(SEAL_S - 1)
    assert ends.alice.sealing(BOB.node_id, SEAL_S - 1) is not old
    assert ends.bob.opening(ALICE.node_id, old.key_id, OPEN_S - 1) is not None
    ends.bob.sweep(OPEN_S)
    assert ends.bob.opening(ALICE.node_id, old.key_id, OPEN_S - 1) is None
    assert all(old.key_id not in pair.opening for pair in ends.bob._pairs.values())


def test_without_renewal_nothing_is_sealed_after_an_hour_and_nothing_is_kept() -> None:
    ends = Ends()
    ends.run(0.0)
    ends.confirm(0.0)
    assert ends.alice.sealing(BOB.node_id, SEAL_S) is None
    for end in (ends.alice, ends.bob):
        end.sweep(OPEN_S)
        assert len(end) == 0


def test_an_offer_that_is_not_answered_is_repeated_less_and_less_often() -> None:
    alice, now, pauses = exchange_of(ALICE, "AESGCM"), 0.0, []
    for _ in range(8):
        assert alice.is_due(BOB.node_id, now)
        _, due_at = alice.offer(BOB.node_id, BOB.x25519_pub, now)
        assert not alice.is_due(BOB.node_id, due_at - 0.01)
        pauses.append(due_at - now)
        now = due_at
    assert pauses == [FIRST_REPEAT_S, 2, 4, 8, 16, LONGEST_REPEAT_S, LONGEST_REPEAT_S, LONGEST_REPEAT_S]


@pytest.mark.limit("keys for datagrams of one peer")
def test_one_peer_has_three_keys_at_most_and_those_in_use_stay() -> None:
    ends = Ends()
    ends.run(0.0)
    ends.confirm(0.0)
    used = ends.bob.sealing(ALICE.node_id, 0.0)
    assert used is not None
    for number in range(10):
        ends.run(float(number))
    pair = ends.bob._pairs[ALICE.node_id]
    assert len(pair.opening) == KEYS_OF_ONE_PEER.value
    assert used.key_id in pair.opening


@pytest.mark.limit("peers whose keys for datagrams are kept")
def test_peers_that_only_offer_do_not_push_out_those_that_this_node_sends_to(lower: Lower) -> None:
    lower(PAIRS, 10)
    ends = Ends()
    ends.run(0.0)
    ends.confirm(0.0)
    ends.bob.use(ALICE.node_id)
    for number in range(30):
        stranger = Identity.from_seed((1000 + number).to_bytes(32))
        offer, _ = exchange_of(stranger, "AESGCM").offer(BOB.node_id, BOB.x25519_pub, 0.0)
        assert ends.bob.receive(stranger.node_id, stranger.x25519_pub, offer, 0.0) is not None
    assert len(ends.bob) == 10
    assert ends.bob.sealing(ALICE.node_id, 0.0) is not None


def test_when_both_offer_at_the_same_moment_both_can_seal_and_open() -> None:
    alice, bob = exchange_of(ALICE, "AESGCM"), exchange_of(BOB, "ChaChaPoly")
    of_alice, _ = alice.offer(BOB.node_id, BOB.x25519_pub, 0.0)
    of_bob, _ = bob.offer(ALICE.node_id, ALICE.x25519_pub, 0.0)
    to_alice = bob.receive(ALICE.node_id, ALICE.x25519_pub, of_alice, 0.1)
    to_bob = alice.receive(BOB.node_id, BOB.x25519_pub, of_bob, 0.1)
    assert to_alice is not None
    assert to_bob is not None
    alice.receive(BOB.node_id, BOB.x25519_pub, to_alice, 0.2)
    bob.receive(ALICE.node_id, ALICE.x25519_pub, to_bob, 0.2)
    for one, other, own, peer in ((alice, bob, ALICE, BOB), (bob, alice, BOB, ALICE)):
        keys = one.sealing(peer.node_id, 0.3)
        assert keys is not None
        assert other.opening(own.node_id, keys.key_id, 0.3) is not None


@pytest.mark.limit("peers whose keys for datagrams are kept")
def test_a_new_pair_is_kept_where_all_others_are_in_use_and_the_one_used_longest_ago_goes(lower: Lower) -> None:
    lower(PAIRS, 3)
    alice = exchange_of(ALICE)
    peers = [Identity.from_seed((2000 + number).to_bytes(32)) for number in range(4)]
    for peer in peers[:3]:
        alice.offer(peer.node_id, peer.x25519_pub, 0.0)
        alice.use(peer.node_id)
    alice.use(peers[0].node_id)
    offer, _ = alice.offer(peers[3].node_id, peers[3].x25519_pub, 0.0)
    answer = exchange_of(peers[3]).receive(ALICE.node_id, ALICE.x25519_pub, offer, 0.0)
    assert answer is not None
    assert alice.receive(peers[3].node_id, peers[3].x25519_pub, answer, 0.0) is None
    assert set(alice._pairs) == {peer.node_id for peer in (peers[0], peers[2], peers[3])}


@pytest.mark.limit("peers whose keys for datagrams are kept")
def test_of_peers_that_nothing_is_sent_to_strangers_go_before_contacts(lower: Lower) -> None:
    lower(PAIRS, 3)
    bob = exchange_of(BOB, contacts=[ALICE.node_id])
    for identity in [ALICE, *(Identity.from_seed((3000 + number).to_bytes(32)) for number in range(9))]:
        offer, _ = exchange_of(identity).offer(BOB.node_id, BOB.x25519_pub, 0.0)
        bob.receive(identity.node_id, identity.x25519_pub, offer, 0.0)
    assert len(bob) == 3
    assert ALICE.node_id in bob._pairs


def test_a_wrong_answer_ends_the_offer_and_the_next_one_waits_its_time() -> None:
    alice = exchange_of(ALICE)
    offer, due_at = alice.offer(BOB.node_id, BOB.x25519_pub, 0.0)
    wrong = b"\x02" + offer[2:6] + bytes(48)
    for _ in range(3):
        with pytest.raises(HandshakeError):
            alice.receive(BOB.node_id, BOB.x25519_pub, wrong, 0.0)
    assert not alice.is_due(BOB.node_id, due_at - 0.01)
    assert alice.is_due(BOB.node_id, due_at)


def test_an_answer_to_an_earlier_offer_leaves_the_later_one_as_it_is() -> None:
    alice, bob = exchange_of(ALICE), exchange_of(BOB)
    first, due_at = alice.offer(BOB.node_id, BOB.x25519_pub, 0.0)
    late = bob.receive(ALICE.node_id, ALICE.x25519_pub, first, 0.0)
    second, _ = alice.offer(BOB.node_id, BOB.x25519_pub, due_at)
    answer = bob.receive(ALICE.node_id, ALICE.x25519_pub, second, due_at)
    assert late is not None
    assert answer is not None
    with pytest.raises(HandshakeError):
        alice.receive(BOB.node_id, BOB.x25519_pub, late, due_at)
    assert alice.receive(BOB.node_id, BOB.x25519_pub, answer, due_at) is None


@given(st.floats(0.0, 1e6))
def test_an_offer_is_due_at_the_very_moment_that_it_named(now: float) -> None:
    alice = exchange_of(ALICE)
    for _ in range(3):
        _, due_at = alice.offer(BOB.node_id, BOB.x25519_pub, now)
        assert alice.is_due(BOB.node_id, due_at)
        now = due_at


def test_an_offer_that_could_not_be_sent_neither_waits_nor_lengthens_the_pause() -> None:
    alice = exchange_of(ALICE)
    for _ in range(5):
        alice.offer(BOB.node_id, BOB.x25519_pub, 7.0)
        alice.not_offered(BOB.node_id)
        assert alice.is_due(BOB.node_id, 7.0)
    _, due_at = alice.offer(BOB.node_id, BOB.x25519_pub, 7.0)
    assert due_at == 7.0 + FIRST_REPEAT_S


def test_the_ephemeral_key_of_an_offer_without_answer_is_forgotten_within_minutes() -> None:
    ends = Ends()
    ends.run(0.0)
    ends.confirm(0.0)
    offer, due_at = ends.alice.offer(BOB.node_id, BOB.x25519_pub, RENEW_S)
    answer = ends.bob.receive(ALICE.node_id, ALICE.x25519_pub, offer, RENEW_S)
    ends.alice.sweep(due_at + OFFER_S)
    assert answer is not None
    with pytest.raises(HandshakeError):
        ends.alice.receive(BOB.node_id, BOB.x25519_pub, answer, due_at + OFFER_S)


def test_new_keys_are_shown_once_a_second_to_a_peer_that_goes_on_with_others_and_then_renewed() -> None:
    ends = Ends()
    ends.run(5.0)
    moments = [5.0 + step / 10 for step in range(200)]
    shown = [now for now in moments if ends.alice.confirmation(BOB.node_id, now) is not None]
    assert len(shown) == CONFIRM_S / CONFIRM_EVERY_S
    renewed = [now for now in moments if ends.alice.is_due_in_spite_of_keys(BOB.node_id, now)]
    assert renewed == [now for now in moments if now >= 5.0 + CONFIRM_S]
