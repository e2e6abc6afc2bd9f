"""Datagrams between real nodes: keys on the way, packets of every size, room that ends and comes back."""

import asyncio
import os
from collections.abc import Callable

import pytest

from pimd.contract import DATAGRAM_MTU, PayloadTooLarge, PluginPayload, Sent
from pimd.ids import NodeId
from pimd.mesh import datagrams
from pimd.mesh.congestion import NOTICES
from pimd.mesh.datagrams import _FIRST, _LAST, EXCHANGE_KIND, PIECE
from pimd.mesh.peer_link import PeerLink
from pimd.proto.frames import FLAG_FRAGMENT, FLAG_SEALED, MeshData
from pimd.proto.identity import Identity
from pimd.proto.traffic import TrafficClass
from tests.limits import Lower
from tests.mesh.conftest import Running, StartNode
from tests.mesh.test_node import eventually, linked

CHANNEL = b"test"


class Receiver:
    """Keeps what comes to one node."""

    def __init__(self, node: Running) -> None:
        self.packets: list[tuple[NodeId, bytes]] = []
        node.node.datagrams.register(CHANNEL, lambda src, packet: self.packets.append((src, packet)))


async def deliver(src: Running, dst: Running, packet: bytes) -> None:
    """Send one packet, waiting for room or keys as often as it takes."""
    writable = asyncio.Event()
    while (sent := src.node.datagrams.send(CHANNEL, dst.id, packet, lambda _: writable.set())) is not Sent.SENT:
        assert sent is Sent.CONGESTED
        await asyncio.wait_for(writable.wait(), 10)
        writable.clear()


def counted(node: Running, name: str, value: int = 1) -> Callable[[], bool]:
    return lambda: node.node.service.counters().get(name, 0) == value


@pytest.mark.parametrize("size", [1, 1200, PIECE, PIECE + 1, 65_535, DATAGRAM_MTU])
async def test_a_packet_of_any_size_arrives_whole_with_its_source_proven(start_node: StartNode, size: int) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    packet = os.urandom(size)
    await deliver(alice, bob, packet)
    await eventually(lambda: at_bob.packets == [(alice.id, packet)])


async def test_the_first_packet_finds_no_keys_and_the_notice_comes_once_when_there_are_some(
    start_node: StartNode,
) -> None:
    alice, bob = await linked(start_node)
    notices: list[NodeId] = []
    assert alice.node.datagrams.send(CHANNEL, bob.id, b"x", notices.append) is Sent.CONGESTED
    await eventually(lambda: notices == [bob.id])
    assert alice.node.datagrams.send(CHANNEL, bob.id, b"x", notices.append) is Sent.SENT
    await eventually(counted(bob, "dropped_unclaimed_datagrams"))
    assert notices == [bob.id]


async def test_answers_use_the_same_keys_without_another_exchange(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    at_alice, at_bob = Receiver(alice), Receiver(bob)
    await deliver(alice, bob, b"there")
    await eventually(lambda: len(at_bob.packets) == 1)
    assert bob.node.datagrams.send(CHANNEL, alice.id, b"back", None) is Sent.SENT
    await eventually(lambda: at_alice.packets == [(bob.id, b"back")])
    assert bob.node.service.counters()["payloads_sealed"] == 1  # the answer to the offer


async def test_what_cannot_be_sent_is_refused_before_anything_is(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    with pytest.raises(PayloadTooLarge):
        alice.node.datagrams.send(CHANNEL, bob.id, bytes(DATAGRAM_MTU + 1), None)
    with pytest.raises(ValueError, match="at least one byte"):
        alice.node.datagrams.send(CHANNEL, bob.id, b"", None)
    nobody = Identity.from_seed(bytes([99]) * 32).node_id
    assert alice.node.datagrams.send(CHANNEL, nobody, b"x", None) is Sent.NO_ROUTE
    assert "payloads_sealed" not in alice.node.service.counters()


async def test_a_notice_is_given_when_a_route_is_found(start_node: StartNode) -> None:
    alice, bob, carol = [await start_node(number) for number in (1, 2, 3)]
    await alice.node.service.dial(bob.entry())
    notices: list[NodeId] = []
    assert alice.node.datagrams.send(CHANNEL, carol.id, b"x", notices.append) is Sent.NO_ROUTE
    await bob.node.service.dial(carol.entry())
    await eventually(lambda: carol.id in notices)


async def test_over_a_relay_nothing_but_ends_and_size_can_be_seen(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob, carol = [await start_node(number) for number in (1, 2, 3)]
    await alice.node.service.dial(bob.entry())
    await bob.node.service.dial(carol.entry())
    await eventually(lambda: alice.node.service.has_route(carol.id) and carol.node.service.has_route(alice.id))
    seen: list[MeshData] = []
    receive = bob.node._frames.receive

    def overhear(link: PeerLink, frame: MeshData) -> None:
        seen.append(frame)
        receive(link, frame)

    monkeypatch.setattr(bob.node._frames, "receive", overhear)
    at_carol = Receiver(carol)
    packet = b"all quiet " * 6_000 + b"on the western front"
    await deliver(alice, carol, packet)
    await eventually(lambda: at_carol.packets == [(alice.id, packet)])
    assert all(b"quiet" not in frame.payload and CHANNEL not in frame.payload for frame in seen)


async def test_a_node_that_was_started_again_gets_new_keys_by_itself(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    await deliver(alice, bob, b"one")
    await eventually(lambda: len(at_bob.packets) == 1)
    bob.node.datagrams._exchange._pairs.clear()  # as after a start
    assert alice.node.datagrams.send(CHANNEL, bob.id, b"lost", None) is Sent.SENT
    await eventually(counted(bob, "dropped_without_keys"))
    await eventually(lambda: bob.node.datagrams._exchange.sealing(alice.id, bob.node._clock.now()) is not None)
    async with asyncio.timeout(10):
        while len(at_bob.packets) == 1:  # what is under way while the keys change is lost, too
            await deliver(alice, bob, b"two")
            await asyncio.sleep(0.01)
    assert {packet for _, packet in at_bob.packets} == {b"one", b"two"}


async def test_a_peer_that_does_not_answer_the_exchange_gets_no_datagrams_and_is_asked_again(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pimd.proto.key_exchange.FIRST_REPEAT_S", 0.01)
    alice, bob = await linked(start_node)
    offers: list[bytes] = []
    monkeypatch.setitem(bob.node._frames.own_kinds, EXCHANGE_KIND, lambda _, message: offers.append(message))
    assert alice.node.datagrams.send(CHANNEL, bob.id, b"x", lambda _: None) is Sent.CONGESTED
    await eventually(lambda: len(offers) >= 3)
    assert len(set(offers)) == len(offers)  # each with an ephemeral key of its own
    assert alice.node.datagrams.send(CHANNEL, bob.id, b"x", None) is Sent.CONGESTED


async def test_a_queue_that_is_full_refuses_and_says_when_there_is_room_again(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    await deliver(alice, bob, b"keys")
    link = alice.node._links.best(bob.id)
    assert link is not None
    link.driver.pause_writing()
    notices: list[NodeId] = []
    sent = 0
    while alice.node.datagrams.send(CHANNEL, bob.id, bytes(10_000), notices.append) is Sent.SENT:
        sent += 1
    assert sent == link.driver.link._send_queue.data.by_class[TrafficClass.DATAGRAM].waiting.size // 10_000
    assert notices == []
    link.driver.resume_writing()
    await eventually(lambda: notices == [bob.id])
    await eventually(lambda: len(at_bob.packets) == sent + 1)
    assert "datagrams_dropped" not in alice.node.service.counters()


async def test_frames_are_taken_once_and_forged_ones_never(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    seen: list[MeshData] = []
    receive = bob.node.datagrams.receive

    def overhear(frame: MeshData) -> None:
        seen.append(frame)
        receive(frame)

    monkeypatch.setattr(bob.node.datagrams, "receive", overhear)
    await deliver(alice, bob, b"once")
    await eventually(lambda: len(at_bob.packets) == 1)
    frame = seen[-1]
    receive(frame)
    await eventually(counted(bob, "dropped_replayed"))
    receive(MeshData(frame.src, frame.dst, frame.flags | FLAG_FRAGMENT, frame.payload))
    await eventually(counted(bob, "dropped_unopenable"))
    assert len(at_bob.packets) == 1


async def test_a_blocked_peer_sends_nothing_and_gets_no_keys(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    await deliver(alice, bob, b"before")
    await eventually(lambda: len(at_bob.packets) == 1)
    await bob.keystore.set_blocked(alice.id, blocked=True)
    assert alice.node.datagrams.send(CHANNEL, bob.id, b"after", None) is Sent.SENT
    await eventually(counted(bob, "dropped_blocked"))
    alice.node.send_routed(bob.id, PluginPayload(EXCHANGE_KIND, b"\x01offer"))
    await eventually(counted(bob, "dropped_key_exchanges"))
    assert len(at_bob.packets) == 1


@pytest.mark.limit("exchanges of keys with strangers")
async def test_strangers_make_a_node_take_part_in_so_many_exchanges_and_contacts_still_can(
    start_node: StartNode, lower: Lower
) -> None:
    lower(datagrams.EXCHANGES, 0, burst=3)
    alice, bob = await linked(start_node)
    for _ in range(5):
        alice.node.send_routed(bob.id, PluginPayload(EXCHANGE_KIND, b"\x01rubbish"))
    await eventually(counted(bob, "dropped_key_exchanges", 5))
    assert not bob.node.datagrams._may_exchange(alice.id)
    await bob.keystore.set_contact(alice.id, contact=True)
    at_bob = Receiver(bob)
    await deliver(alice, bob, b"let in")
    await eventually(lambda: len(at_bob.packets) == 1)


@pytest.mark.limit(
    "sources of which one half of a datagram is kept", "time that one half of a datagram waits for the other"
)
async def test_halves_of_packets_are_kept_for_a_second_and_of_64_sources(start_node: StartNode) -> None:
    assert (datagrams.HALVES.value, datagrams.HALF_AGE.value) == (64, 1)
    _, bob = await linked(start_node)
    at_bob = Receiver(bob)
    traffic = bob.node.datagrams
    src = [NodeId(number.to_bytes(16)) for number in range(65)]
    for id_ in src:
        traffic._join(id_, 0, CHANNEL + b"first", 0.0, is_last=False)
    assert bob.node.service.counters()["dropped_fragments"] == 1
    traffic._join(src[0], 1, CHANNEL + b"last", 0.0, is_last=True)  # its first half went
    traffic._join(src[64], 1, CHANNEL + b"last", 1.0, is_last=True)
    traffic._join(src[63], 1, CHANNEL + b"last", 1.1, is_last=True)  # too late
    traffic._join(src[62], 3, CHANNEL + b"last", 0.0, is_last=True)  # of another packet
    assert at_bob.packets == [(src[64], b"firstlast")]
    traffic._join(src[5], 8, CHANNEL + b"last", 1.1, is_last=True)
    traffic._join(src[5], 7, CHANNEL + b"first", 1.1, is_last=False)  # the halves may come in either order
    assert at_bob.packets[1:] == [(src[5], b"firstlast")]
    dropped, held = bob.node.service.counters()["dropped_fragments"], len(traffic._halves)
    traffic._sweep()
    assert not traffic._halves
    assert bob.node.service.counters()["dropped_fragments"] == dropped + held > dropped


async def test_keys_go_with_the_identity(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    await deliver(alice, bob, b"x")
    alice.node.datagrams.forget(bob.id)
    assert alice.node.datagrams._exchange.sealing(bob.id, 0.0) is None
    assert alice.node.datagrams.send(CHANNEL, bob.id, b"x", None) is Sent.CONGESTED


async def test_of_a_packet_in_two_halves_both_are_queued_or_none(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    await deliver(alice, bob, b"keys")
    link = alice.node._links.best(bob.id)
    assert link is not None
    link.driver.pause_writing()
    resume = link.driver.resume_writing
    monkeypatch.setattr(link.driver, "resume_writing", lambda: None)
    waiting = link.driver.link._send_queue.data.by_class[TrafficClass.DATAGRAM].waiting
    sent = 1
    for size in range(1000, 40_000, 1111):
        before = waiting.size
        what = alice.node.datagrams.send(CHANNEL, bob.id, bytes(DATAGRAM_MTU if size % 2 else size), None)
        assert (what is Sent.SENT) == (waiting.size > before)
        assert what is Sent.SENT or waiting.size == before
        sent += what is Sent.SENT
    resume()
    await eventually(lambda: len(at_bob.packets) == sent)


@pytest.mark.limit("destinations owed a notice of room")
async def test_a_notice_that_sends_again_is_not_called_within_the_sending(start_node: StartNode, lower: Lower) -> None:
    lower(NOTICES, 10)
    alice = await start_node(1)
    depth = deepest = calls = 0

    def again(dst: NodeId) -> None:
        nonlocal depth, deepest, calls
        calls += 1
        depth += 1
        deepest = max(deepest, depth)
        if calls < 100:
            alice.node.datagrams.send(CHANNEL, dst, b"x", again)
        depth -= 1

    for number in range(11):
        alice.node.datagrams.send(CHANNEL, NodeId(number.to_bytes(16)), b"x", again)
    while calls < 100:
        await asyncio.sleep(0)
    assert deepest == 1


async def test_one_lost_confirmation_costs_a_second_and_not_the_life_of_the_keys(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pimd.proto.key_exchange.CONFIRM_EVERY_S", 0.0)
    monkeypatch.setattr("pimd.proto.key_exchange.CONFIRM_S", 3600.0)  # no new offer comes to help
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    await deliver(alice, bob, b"before")
    await eventually(lambda: len(at_bob.packets) == 1)
    at = bob.node.datagrams
    at._exchange._pairs.clear()  # as after a start
    with monkeypatch.context() as lossy:
        lossy.setattr(at, "_confirm", lambda *_: None)
        alice.node.datagrams.send(CHANNEL, bob.id, b"lost", None)
        await eventually(lambda: at._exchange.sealing(alice.id, bob.node._clock.now()) is not None)

    def arrives() -> bool:
        alice.node.datagrams.send(CHANNEL, bob.id, b"after", None)
        return len(at_bob.packets) > 1

    await eventually(arrives)
    assert at_bob.packets == [(alice.id, b"before"), (alice.id, b"after")]


async def test_rubbish_for_answers_from_far_away_costs_the_relay_nothing(start_node: StartNode) -> None:
    victim, relay, mallory = [await start_node(number) for number in (1, 2, 3)]
    await victim.node.service.dial(relay.entry())
    await mallory.node.service.dial(relay.entry())
    await eventually(lambda: victim.node.service.has_route(mallory.id) and mallory.node.service.has_route(victim.id))
    offers: list[bytes] = []
    mallory.node._frames.own_kinds[EXCHANGE_KIND] = lambda _, message: offers.append(message)

    def poke() -> bool:
        hop = mallory.node._next_hop(victim.id)
        assert hop is not None
        hop.send(MeshData(mallory.id, victim.id, FLAG_SEALED, bytes(40)))
        return bool(offers)

    await eventually(poke)
    for _ in range(2):
        answer = PluginPayload(EXCHANGE_KIND, b"\x02" + offers[-1][2:6] + bytes(48))
        assert mallory.node.send_routed(victim.id, answer) is Sent.SENT
    await eventually(lambda: victim.node.service.counters().get("dropped_key_exchanges", 0) >= 2)
    assert victim.node.service.counters().get("links_closed", 0) == 0


@pytest.mark.parametrize("pieces", [(b"",), (bytes(PIECE), bytes(PIECE))], ids=["empty", "too long"])
async def test_a_proven_peer_cannot_hand_a_plugin_what_no_plugin_can_send(
    start_node: StartNode, pieces: tuple[bytes, ...]
) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    await deliver(alice, bob, b"honest")
    send_pieces(alice, bob, [CHANNEL + piece for piece in pieces])
    await eventually(counted(bob, "dropped_malformed_datagrams"))
    assert at_bob.packets == [(alice.id, b"honest")]


async def test_halves_of_two_channels_are_not_joined(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    await deliver(alice, bob, b"honest")
    send_pieces(alice, bob, [b"othrfirst", CHANNEL + b"last"])
    await eventually(counted(bob, "dropped_fragments"))
    assert at_bob.packets == [(alice.id, b"honest")]


def send_pieces(src: Running, dst: Running, pieces: list[bytes]) -> None:
    """Seal one frame, or two halves, by hand."""
    keys = src.node.datagrams._exchange.sealing(dst.id, src.node._clock.now())
    link = src.node._next_hop(dst.id)
    assert keys is not None
    assert link is not None
    flags = [FLAG_SEALED] if len(pieces) == 1 else [_FIRST, _LAST]
    for flag, piece in zip(flags, pieces, strict=True):
        link.send_encoded(TrafficClass.DATAGRAM, keys.datagram_sealing.seal(flag, piece), b"")


async def test_datagrams_of_a_blocked_peer_are_dropped_unread_and_start_no_exchange(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    await bob.keystore.set_blocked(alice.id, blocked=True)
    bob.node.datagrams.receive(MeshData(alice.id, bob.id, FLAG_SEALED, bytes(40)))
    assert bob.node.service.counters()["dropped_blocked"] == 1
    assert len(bob.node.datagrams._exchange) == 0


async def test_who_waits_for_keys_hears_that_the_peer_was_forgotten(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    monkeypatch.setitem(bob.node._frames.own_kinds, EXCHANGE_KIND, lambda *_: None)
    notices: list[NodeId] = []
    assert alice.node.datagrams.send(CHANNEL, bob.id, b"x", notices.append) is Sent.CONGESTED
    await alice.keystore.forget(bob.id)
    assert notices == [bob.id]


async def test_an_offer_that_found_no_room_is_made_when_there_is_some(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pimd.proto.key_exchange.FIRST_REPEAT_S", 3600.0)
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    datagrams_of_alice = alice.node.datagrams
    refused: list[PluginPayload] = []

    def refuse_once(dst: NodeId, payload: PluginPayload) -> Sent:
        if not refused:
            refused.append(payload)
            return Sent.CONGESTED
        sent: Sent = alice.node._frames.send(dst, payload)
        return sent

    monkeypatch.setattr(datagrams_of_alice, "_send_payload", refuse_once)
    assert datagrams_of_alice.send(CHANNEL, bob.id, b"x", lambda _: None) is Sent.CONGESTED
    alice.node._congestion.give(bob.id, (TrafficClass.MESSAGE,))
    await deliver(alice, bob, b"arrives")
    await eventually(lambda: at_bob.packets == [(alice.id, b"arrives")])


async def test_while_messages_find_no_room_no_keys_are_made(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    at_bob = Receiver(bob)
    link = alice.node._links.best(bob.id)
    assert link is not None
    offers: list[NodeId] = []
    offer = alice.node.datagrams._exchange.offer

    def counted_offer(peer: NodeId, key: bytes, now: float) -> tuple[bytes, float]:
        offers.append(peer)
        made: tuple[bytes, float] = offer(peer, key, now)
        return made

    monkeypatch.setattr(alice.node.datagrams._exchange, "offer", counted_offer)
    link.driver.pause_writing()
    while alice.node._frames.send(bob.id, PluginPayload("test.filler", bytes(50_000))) is Sent.SENT:
        pass
    for _ in range(100):
        assert alice.node.datagrams.send(CHANNEL, bob.id, b"x", lambda _: None) is Sent.CONGESTED
    assert offers == []
    link.driver.resume_writing()
    await eventually(lambda: bool(offers))
    await deliver(alice, bob, b"arrives")
    await eventually(lambda: at_bob.packets == [(alice.id, b"arrives")])
