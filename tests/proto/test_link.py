"""Two links in memory under a clock moved by hand, and an independent Noise implementation at the other end."""

import hashlib
import itertools
import os
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noise.connection import Keypair, NoiseConnection

from pimd.ids import NodeId
from pimd.proto.cards import issue
from pimd.proto.control import Goodbye, GoodbyeReason, PluginPayload, SeqRequest
from pimd.proto.frames import MeshData, SignedPeerInfo, decode_frame, encode_frame
from pimd.proto.handshake import ABILITIES, ABILITY_CLASSES, ABILITY_HOPS, LinkConfig, preamble
from pimd.proto.identity import LINK_PROOF_DOMAIN, Identity
from pimd.proto.link import Link, Role
from pimd.proto.link_events import (
    Authenticated,
    Closed,
    FrameReceived,
    Leaving,
    LinkEvent,
    PeerSaidGoodbye,
    RecordTaken,
    Up,
)
from pimd.proto.link_states import TRANSITIONS, CloseReason, RekeyLimits, State

ALICE = Identity.from_seed(bytes(range(32)))
BOB = Identity.from_seed(bytes(range(32, 64)))
PSK = bytes(range(32))
HELLO = PluginPayload("test.hello", b"hello")


def counting_random() -> Callable[[int], bytes]:
    numbers = itertools.count()
    return lambda size: hashlib.shake_256(b"test" + next(numbers).to_bytes(8)).digest(size)


def link(role: Role, identity: Identity, config: LinkConfig | None = None) -> Link:
    return Link(role, identity, config or LinkConfig(agent="test/1"), counting_random(), 0.0)


def events(side: Link) -> list[LinkEvent]:
    found: list[LinkEvent] = list(iter(side.next_event, None))
    return [event for event in found if not isinstance(event, RecordTaken)]


class Pair:
    """A dialler (alice) and an acceptor (bob) joined by two wires."""

    def __init__(self, alice: LinkConfig | None = None, bob: LinkConfig | None = None, chunk: int = 1 << 20) -> None:
        self.alice = link(Role.DIALLER, ALICE, alice)
        self.bob = link(Role.ACCEPTOR, BOB, bob)
        self.chunk = chunk
        self.now = 0.0
        self.seen: dict[str, list[LinkEvent]] = {"alice": [], "bob": []}

    def _carry(self, sender: Link, receiver: Link) -> bool:
        data = sender.data_to_send(0.0)
        for start in range(0, len(data), self.chunk):
            receiver.receive(data[start : start + self.chunk], self.now)
        return bool(data)

    def _decide(self) -> bool:
        before = sum(map(len, self.seen.values()))
        for name, side in (("alice", self.alice), ("bob", self.bob)):
            for event in events(side):
                self.seen[name].append(event)
                if isinstance(event, Authenticated):
                    side.accept(self.now)
                if isinstance(event, Up):
                    side.send(HELLO, self.now)
        return sum(map(len, self.seen.values())) > before

    def run(self) -> "Pair":
        while self._carry(self.alice, self.bob) | self._carry(self.bob, self.alice) | self._decide():
            pass
        return self


def closed(side: Link) -> Closed:
    last = events(side)[-1]
    assert isinstance(last, Closed)
    return last


@given(st.integers(1, 200), st.sampled_from(["AESGCM", "ChaChaPoly"]), st.sampled_from([None, PSK]))
@settings(max_examples=30, deadline=None)
def test_any_slicing_of_the_stream_brings_both_up(chunk: int, cipher: str, psk: bytes | None) -> None:
    config = LinkConfig(cipher="AESGCM" if cipher == "AESGCM" else "ChaChaPoly", psk=psk, agent="test/1")
    pair = Pair(config, LinkConfig(psk=psk), chunk).run()
    for name, peer in (("alice", BOB), ("bob", ALICE)):
        authenticated, up, frame = pair.seen[name]
        assert isinstance(authenticated, Authenticated)
        assert authenticated.peer.node_id == peer.node_id
        assert isinstance(up, Up)
        assert frame == FrameReceived(HELLO)


def test_the_agent_and_port_of_the_proof_are_told() -> None:
    pair = Pair(LinkConfig(agent="pimd/0.1.0", listen_port=9100)).run()
    assert pair.bob.peer is not None
    assert (pair.bob.peer.agent, pair.bob.peer.listen_port) == ("pimd/0.1.0", 9100)


def test_each_end_is_told_the_abilities_of_the_other_unknown_ones_included() -> None:
    pair = Pair(LinkConfig(abilities=ABILITY_HOPS | 1 << 31)).run()
    assert pair.bob.peer is not None
    assert pair.alice.peer is not None
    assert pair.bob.peer.abilities == ABILITY_HOPS | 1 << 31
    assert pair.alice.peer.abilities == ABILITIES


@pytest.mark.parametrize("handshake", [b"GET ", b"PIM\x01", b"PIM\x00", b"PIN\x02"])
def test_a_wrong_preamble_is_closed_without_a_byte_in_answer(handshake: bytes) -> None:
    bob = link(Role.ACCEPTOR, BOB)
    bob.receive(handshake + bytes(100), 0.0)
    assert bob.data_to_send(0.0) == b""
    assert closed(bob).reason is CloseReason.PROTOCOL


@pytest.mark.parametrize(("alice", "bob"), [(PSK, bytes(32)), (None, PSK), (PSK, None)])
def test_a_stranger_to_the_mesh_is_refused_at_message_1(alice: bytes | None, bob: bytes | None) -> None:
    pair = Pair(LinkConfig(psk=alice), LinkConfig(psk=bob))
    pair.bob.receive(pair.alice.data_to_send(0.0), 0.0)
    assert pair.bob.data_to_send(0.0) == b""
    end = closed(pair.bob)
    assert end.reason is CloseReason.OTHER_MESH
    assert "compare `pim mesh status`" in end.detail


def test_a_link_to_oneself_is_refused() -> None:
    pair = Pair()
    pair.bob = link(Role.ACCEPTOR, ALICE)
    pair.run()
    assert "this very node" in str(pair.seen["alice"][-1])


def test_a_dialler_refuses_another_id_than_expected_before_showing_its_own() -> None:
    pair = Pair(LinkConfig(expected=NodeId(bytes(16)))).run()
    assert "as expected" in str(pair.seen["alice"][-1])
    assert pair.seen["bob"] == []


@given(st.integers(0, 400), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_a_flipped_byte_anywhere_in_the_handshake_never_brings_both_up(position: int, flip: int) -> None:
    pair = Pair()
    offset = 0
    for _ in range(3):
        for sender, receiver in ((pair.alice, pair.bob), (pair.bob, pair.alice)):
            data = bytearray(sender.data_to_send(0.0))
            if offset <= position < offset + len(data):
                data[position - offset] ^= flip
            offset += len(data)
            receiver.receive(bytes(data), 0.0)
            pair._decide()
    if position < offset:
        assert not any(isinstance(event, FrameReceived) for event in pair.seen["alice"] + pair.seen["bob"])


@pytest.mark.parametrize("length", [0, 31, 1025, 65535])
def test_a_first_message_of_a_wrong_size_is_refused(length: int) -> None:
    bob = link(Role.ACCEPTOR, BOB)
    bob.receive(preamble("AESGCM") + struct.pack(">H", length) + bytes(length), 0.0)
    assert bob.data_to_send(0.0) == b""
    assert closed(bob).reason is CloseReason.PROTOCOL


def test_the_keys_of_the_handshake_are_let_go_when_it_is_done() -> None:
    pair = Pair().run()
    assert (pair.alice.state, pair.bob.state) == (State.UP, State.UP)
    assert (pair.alice._handshake, pair.bob._handshake) == (None, None)


def test_an_handshake_ends_by_itself_after_5_and_10_seconds() -> None:
    silent, slow = link(Role.ACCEPTOR, BOB), link(Role.ACCEPTOR, BOB)
    slow.receive(preamble("AESGCM"), 4.9)
    assert (silent.deadline(), slow.deadline()) == (5.0, 10.0)
    silent.tick(5.0)
    slow.tick(9.99)
    assert closed(silent).reason is CloseReason.TIMED_OUT
    assert events(slow) == []
    slow.tick(10.0)
    assert closed(slow).reason is CloseReason.TIMED_OUT


@pytest.mark.parametrize("record", [b"\0\0", b"\0\x10" + bytes(16), b"\0\x11" + bytes(17)])
def test_a_record_too_short_or_not_authentic_closes(record: bytes) -> None:
    pair = Pair().run()
    pair.bob.receive(record, 0.0)
    assert [type(event) for event in events(pair.bob)] == [Leaving]
    assert pair.bob.state is State.LEAVING
    pair.bob.eof_received(0.0)
    assert closed(pair.bob).reason is CloseReason.PROTOCOL


def test_a_replayed_record_closes() -> None:
    pair = Pair().run()
    pair.alice.send(HELLO, 0.0)
    record = pair.alice.data_to_send(0.0)
    pair.bob.receive(record, 0.0)
    pair.bob.receive(record, 0.0)
    assert [type(event) for event in events(pair.bob)] == [FrameReceived, Leaving]
    assert pair.bob.state is State.LEAVING


def test_whole_cards_before_one_cut_short_are_taken_and_then_the_link_ends() -> None:
    pair = Pair().run()
    card = issue(ALICE, 1, 0, "alice").raw
    assert pair.alice._writer is not None
    pair.bob.receive(pair.alice._writer.write(b"\x05\x09" + card + card[:-1]), 0.0)
    taken, *_ = events(pair.bob)
    assert taken == FrameReceived(SignedPeerInfo((card,)))
    assert pair.bob.state is State.LEAVING
    pair.bob.eof_received(0.0)
    assert closed(pair.bob).reason is CloseReason.PROTOCOL


def test_heartbeats_and_pings_keep_an_idle_link_up_and_measure_it() -> None:
    pair = Pair().run()
    while pair.now < 60:
        pair.now += 1.0
        pair.alice.tick(pair.now)
        pair.bob.tick(pair.now)
        pair.run()
    assert pair.alice.state is pair.bob.state is State.UP
    assert pair.alice.pings.rtt_s == 0.0


def test_fifteen_seconds_of_silence_end_a_link() -> None:
    pair = Pair().run()
    pair.alice.tick(14.9)
    assert pair.alice.state is State.UP
    pair.alice.tick(15.0)
    assert closed(pair.alice).reason is CloseReason.TIMED_OUT


def test_goodbye_is_told_with_its_reason_and_both_ends_close() -> None:
    pair = Pair().run()
    pair.alice.close(GoodbyeReason.REMOVED, 0.0)
    pair.run()
    leaving = Leaving("said goodbye: the peer: removed")
    assert pair.seen["bob"][-2:] == [PeerSaidGoodbye(GoodbyeReason.REMOVED), leaving]
    assert pair.seen["alice"][-1] == Leaving("said goodbye: removed")
    assert pair.alice.wants_half_close
    assert pair.bob.wants_half_close
    pair.alice.eof_received(0.1)
    pair.bob.tick(1.0)
    assert closed(pair.alice).reason is closed(pair.bob).reason is CloseReason.GOODBYE


@pytest.mark.parametrize("reason", list(GoodbyeReason))
def test_only_a_replaced_link_still_brings_data_and_nothing_else(reason: GoodbyeReason) -> None:
    pair = Pair(alice=LinkConfig(rekey=RekeyLimits(records=3))).run()
    pair.bob.close(reason, 0.0)
    for number in range(10):
        pair.alice.send(PluginPayload("test.late", bytes([number])), 0.0)
        pair.alice.send(SeqRequest(BOB.node_id, 1, 1, flood=True, request_id=number), 0.0)
    heard = len(pair.seen["bob"])
    pair.run()
    late = [PluginPayload("test.late", bytes([number])) for number in range(10)]
    expected = [FrameReceived(frame) for frame in late] if reason is GoodbyeReason.DUPLICATE else []
    assert [event for event in pair.seen["bob"][heard:] if isinstance(event, FrameReceived)] == expected
    pair.bob.eof_received(0.1)
    assert closed(pair.bob).reason is CloseReason.GOODBYE


def test_two_that_replace_the_same_link_both_end() -> None:
    pair = Pair().run()
    pair.alice.close(GoodbyeReason.DUPLICATE, 0.0)
    pair.bob.close(GoodbyeReason.DUPLICATE, 0.0)
    pair.run()
    assert pair.alice.wants_half_close
    assert pair.bob.wants_half_close
    pair.alice.eof_received(0.1)
    pair.bob.tick(1.0)
    assert closed(pair.alice).reason is closed(pair.bob).reason is CloseReason.GOODBYE


def test_rubbish_on_a_replaced_link_ends_it() -> None:
    pair = Pair().run()
    pair.bob.close(GoodbyeReason.DUPLICATE, 0.0)
    pair.bob.receive(b"\x00\x20" + bytes(32), 0.0)
    assert closed(pair.bob).reason is CloseReason.PROTOCOL


def test_a_goodbye_in_somebody_elses_name_is_ignored() -> None:
    pair = Pair().run()
    pair.alice.answer(Goodbye(BOB.node_id, GoodbyeReason.SHUTDOWN), 0.0)
    pair.run()
    assert pair.bob.state is State.UP


def test_an_acceptor_that_refuses_says_why_and_the_dialler_never_comes_up() -> None:
    pair = Pair()
    pair.bob.receive(pair.alice.data_to_send(0.0), 0.0)
    pair.alice.receive(pair.bob.data_to_send(0.0), 0.0)
    pair._decide()
    pair.bob.receive(pair.alice.data_to_send(0.0), 0.0)
    assert isinstance(pair.bob.next_event(), Authenticated)
    pair.bob.refuse(GoodbyeReason.NOT_ADMITTED, 0.0)
    pair.alice.receive(pair.bob.data_to_send(0.0), 0.0)
    assert events(pair.alice) == [PeerSaidGoodbye(GoodbyeReason.NOT_ADMITTED)]


@pytest.mark.parametrize("limits", [RekeyLimits(records=3), RekeyLimits(plaintext_bytes=50), RekeyLimits(seconds=0.0)])
def test_keys_change_at_each_limit_and_frames_go_on(limits: RekeyLimits) -> None:
    pair = Pair(LinkConfig(rekey=limits), LinkConfig(rekey=limits)).run()
    for _ in range(20):
        pair.alice.send(HELLO, 0.0)
        pair.bob.send(HELLO, 0.0)
        pair.run()
    assert pair.alice.records_out > 21
    assert pair.seen["bob"].count(FrameReceived(HELLO)) == pair.seen["alice"].count(FrameReceived(HELLO)) == 21


def test_unknown_frames_are_counted_and_the_link_stays() -> None:
    pair = Pair().run()
    assert pair.alice._writer is not None
    for plaintext in (b"\x01old", b"\x06old", b"\x05\xff", b"\xff"):
        pair.bob.receive(pair.alice._writer.write(plaintext), 0.0)
    assert events(pair.bob) == []
    assert pair.bob.unknown_frames == 4
    assert pair.bob.state is State.UP


@given(st.binary(min_size=1, max_size=80))
@settings(max_examples=200, deadline=None)
def test_garbage_from_an_authenticated_peer_never_raises(plaintext: bytes) -> None:
    pair = Pair().run()
    assert pair.alice._writer is not None
    pair.bob.receive(pair.alice._writer.write(plaintext), 0.0)
    assert len(events(pair.bob)) <= 2
    assert pair.bob.state in {State.UP, State.LEAVING}


@given(st.binary(max_size=3000), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_garbage_before_the_proof_never_raises_and_proves_nothing(data: bytes, good_start: bool, private: bool) -> None:  # noqa: FBT001
    bob = link(Role.ACCEPTOR, BOB, LinkConfig(psk=PSK if private else None))
    bob.receive((preamble("AESGCM") if good_start else b"") + data, 0.0)
    bob.tick(10.0)
    assert isinstance(closed(bob), Closed)


def test_a_peer_that_does_not_read_costs_data_frames_not_the_link() -> None:
    pair = Pair().run()
    frame = MeshData(ALICE.node_id, BOB.node_id, 0x60, bytes(60_000))
    queued = [pair.alice.send(frame, 0.0) for _ in range(40)]
    assert queued.count(True) == 3 * (1 << 20) // 4 // len(encode_frame(frame))
    assert pair.alice.counts[0].refused == queued.count(False)
    assert pair.alice.state is State.UP


def test_every_state_reaches_closed() -> None:
    assert all(State.CLOSED in after or state is State.CLOSED for state, after in TRANSITIONS.items())


def foreign(*, initiator: bool, cipher: str, psk: bytes | None, identity: Identity) -> NoiseConnection:
    noise = NoiseConnection.from_name(f"Noise_XX{'psk0' if psk else ''}_25519_{cipher}_SHA256".encode())
    noise.set_as_initiator() if initiator else noise.set_as_responder()
    noise.set_keypair_from_private_bytes(Keypair.STATIC, identity.x25519_secret())
    noise.set_prologue(preamble("AESGCM" if cipher == "AESGCM" else "ChaChaPoly"))
    if psk:
        noise.set_psks(psk)
    noise.start_handshake()
    return noise


def proof(identity: Identity) -> bytes:
    return identity.ed25519_pub + identity.sign(LINK_PROOF_DOMAIN + identity.x25519_pub)


def unframe(data: bytes) -> bytes:
    assert struct.unpack(">H", data[:2])[0] == len(data) - 2
    return data[2:]


def framed(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


@pytest.mark.parametrize("cipher", ["AESGCM", "ChaChaPoly"])
@pytest.mark.parametrize("psk", [None, PSK])
def test_a_foreign_dialler_completes_the_handshake(cipher: str, psk: bytes | None) -> None:
    bob = link(Role.ACCEPTOR, BOB, LinkConfig(psk=psk))
    noise = foreign(initiator=True, cipher=cipher, psk=psk, identity=ALICE)
    bob.receive(
        preamble("AESGCM" if cipher == "AESGCM" else "ChaChaPoly") + framed(bytes(noise.write_message(b""))), 0.0
    )
    assert noise.read_message(unframe(bytes(bob.data_to_send(0.0))))[:32] == BOB.ed25519_pub
    bob.receive(framed(bytes(noise.write_message(proof(ALICE)))), 0.0)
    assert isinstance(bob.next_event(), Authenticated)
    bob.accept(0.0)
    bob.send(HELLO, 0.0)
    assert decode_frame(bytes(noise.decrypt(unframe(bytes(bob.data_to_send(0.0)))))) == HELLO


@pytest.mark.parametrize("psk", [None, PSK])
def test_a_foreign_acceptor_completes_the_handshake(psk: bytes | None) -> None:
    alice = link(Role.DIALLER, ALICE, LinkConfig(psk=psk))
    noise = foreign(initiator=False, cipher="AESGCM", psk=psk, identity=BOB)
    noise.read_message(unframe(bytes(alice.data_to_send(0.0))[4:]))
    alice.receive(framed(bytes(noise.write_message(proof(BOB)))), 0.0)
    assert isinstance(alice.next_event(), Authenticated)
    alice.accept(0.0)
    assert noise.read_message(unframe(bytes(alice.data_to_send(0.0))))[:32] == ALICE.ed25519_pub
    alice.receive(framed(bytes(noise.encrypt(encode_frame(HELLO)))), 0.0)
    assert events(alice) == [Up(), FrameReceived(HELLO)]


WITHOUT_ABILITIES = [b"", b"\x03\x00\x02\xff\xff", b"\x03\x00\x05\xff\xff\xff\xff\xff", b"\x04\x00\x04\x00\x00\x00\x03"]
"""No item of type 3, too short a one, too long a one, one of a type that nobody knows."""


@pytest.mark.parametrize("ext", WITHOUT_ABILITIES)
def test_a_dialler_that_announces_nothing_has_no_abilities_and_its_link_comes_up(ext: bytes) -> None:
    bob = link(Role.ACCEPTOR, BOB)
    noise = foreign(initiator=True, cipher="AESGCM", psk=None, identity=ALICE)
    bob.receive(preamble("AESGCM") + framed(bytes(noise.write_message(b""))), 0.0)
    noise.read_message(unframe(bytes(bob.data_to_send(0.0))))
    bob.receive(framed(bytes(noise.write_message(proof(ALICE) + ext))), 0.0)
    authenticated = bob.next_event()
    assert isinstance(authenticated, Authenticated)
    assert authenticated.peer.abilities == 0
    bob.accept(0.0)
    assert bob.state is State.UP


@pytest.mark.parametrize("ext", WITHOUT_ABILITIES)
def test_an_acceptor_that_announces_nothing_has_no_abilities_and_its_link_comes_up(ext: bytes) -> None:
    alice = link(Role.DIALLER, ALICE)
    noise = foreign(initiator=False, cipher="AESGCM", psk=None, identity=BOB)
    noise.read_message(unframe(bytes(alice.data_to_send(0.0))[4:]))
    alice.receive(framed(bytes(noise.write_message(proof(BOB) + ext))), 0.0)
    authenticated = alice.next_event()
    assert isinstance(authenticated, Authenticated)
    assert authenticated.peer.abilities == 0
    alice.accept(0.0)
    noise.read_message(unframe(bytes(alice.data_to_send(0.0))))
    alice.receive(framed(bytes(noise.encrypt(encode_frame(HELLO)))), 0.0)
    assert alice.state is State.UP


def test_who_has_no_abilities_says_nothing_of_them() -> None:
    for abilities, item in ((0, b""), (ABILITY_CLASSES | ABILITY_HOPS, b"\x03\x00\x04\x00\x00\x00\x03")):
        bob = link(Role.ACCEPTOR, BOB, LinkConfig(abilities=abilities))
        noise = foreign(initiator=True, cipher="AESGCM", psk=None, identity=ALICE)
        bob.receive(preamble("AESGCM") + framed(bytes(noise.write_message(b""))), 0.0)
        assert noise.read_message(unframe(bytes(bob.data_to_send(0.0))))[96:] == b"\x01\x00\x00" + item


def test_a_payload_in_message_1_is_refused() -> None:
    bob = link(Role.ACCEPTOR, BOB)
    noise = foreign(initiator=True, cipher="AESGCM", psk=None, identity=ALICE)
    bob.receive(preamble("AESGCM") + framed(bytes(noise.write_message(b"x"))), 0.0)
    assert bob.data_to_send(0.0) == b""
    assert closed(bob) == Closed(CloseReason.OTHER_MESH, "is the peer in a private mesh? compare `pim mesh status`")


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        proof(ALICE)[:95],
        ALICE.ed25519_pub + bytes(64),
        proof(BOB),
        proof(ALICE) + b"\x01\x00\x05abc",
        os.urandom(96),
    ],
    ids=["empty", "short", "zero signature", "of another node", "overrunning extension", "random"],
)
def test_a_wrong_proof_is_refused(bad: bytes) -> None:
    bob = link(Role.ACCEPTOR, BOB)
    noise = foreign(initiator=True, cipher="AESGCM", psk=None, identity=ALICE)
    bob.receive(preamble("AESGCM") + framed(bytes(noise.write_message(b""))), 0.0)
    noise.read_message(unframe(bytes(bob.data_to_send(0.0))))
    bob.receive(framed(bytes(noise.write_message(bad))), 0.0)
    assert bob.data_to_send(0.0) == b""
    assert "proof" in closed(bob).detail
