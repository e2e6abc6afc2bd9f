"""Nodes that link, learn each other's cards and pass sealed payloads over real sockets."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.contract import DialError, LinkDown, LinkUp, PeerEntry, PluginPayload, RouteFound
from pimd.database import DatabaseError
from pimd.ids import NodeId
from pimd.mesh.links import LINKS, PREFERRED_PLACES
from pimd.proto.cards import parse
from pimd.proto.frames import (
    FLAG_CONTROL,
    FLAG_SEALED,
    GoodbyeReason,
    MeshData,
    PeerInfoRequest,
    RouteEntry,
    Routes,
    SeqRequest,
)
from pimd.proto.identity import Identity
from tests.limits import Lower

StartNode = Callable[..., Awaitable[Any]]
HELLO = PluginPayload("test.hello", b"hello")


async def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


async def linked(start_node: StartNode, **options: Any) -> tuple[Any, Any]:
    alice, bob = await start_node(1, **options), await start_node(2, **options)
    assert await alice.node.service.dial(bob.entry()) == bob.id
    await eventually(lambda: alice.node.service.has_route(bob.id) and bob.node.service.has_route(alice.id))
    return alice, bob


async def test_two_nodes_link_and_learn_each_others_cards(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    known = bob.keystore.get(alice.id)
    assert (known.name, known.known, known.x25519_pub) == ("node-1", "direct", alice.identity.x25519_pub)
    assert [link.peer for link in alice.node.service.links()] == [bob.id]
    assert [(route.destination, route.hops) for route in bob.node.service.routes()] == [(alice.id, 1)]


async def test_on_one_machine_the_source_of_an_identity_is_the_neighbour_that_brought_it(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    carol = await start_node(3)
    await carol.node.service.dial(bob.entry())
    await eventually(lambda: carol.keystore.get(alice.id) is not None)
    assert bob.keystore.brought_by(alice.id) == f"local:{alice.id}"
    assert carol.keystore.brought_by(alice.id) == carol.keystore.brought_by(bob.id) == f"local:{bob.id}"


async def test_who_is_linked_now_is_not_evicted_and_who_was_is(start_node: StartNode) -> None:
    bob = await start_node(2, limit=2)
    first, second, third = [await start_node(number) for number in (3, 4, 5)]
    for one in (first, second):
        await one.node.service.dial(bob.entry())
        await eventually(lambda one=one: bob.keystore.get(one.id) is not None)  # type: ignore[misc]
    await third.node.service.dial(bob.entry())
    await eventually(lambda: bob.keystore.counters["cards_without_room"] > 0)
    assert bob.keystore.get(third.id) is None
    await bob.node.service.hang_up(first.id)
    await eventually(lambda: not bob.node.service.is_linked(first.id))
    bob.keystore.learn(parse(third.node.service.own_card()), direct=True)
    assert [peer.node_id for peer in bob.keystore.list()] == sorted([second.id, third.id])


@pytest.mark.parametrize("psk", [None, bytes(range(32))], ids=["open", "private"])
async def test_a_sealed_payload_reaches_the_plugin_once_with_its_proven_source(
    start_node: StartNode, psk: bytes | None
) -> None:
    alice, bob = await linked(start_node, psk=psk)
    queue = bob.node.payloads.register("test", ["test.hello"])
    assert alice.node.send_routed(bob.id, HELLO)
    delivery = await asyncio.wait_for(queue.get(), 10)
    assert (delivery.src, delivery.kind, delivery.body) == (alice.id, "test.hello", b"hello")
    assert len(queue) == 0


async def test_a_direct_payload_names_the_links_peer_as_source(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    queue = bob.node.payloads.register("test", ["test.hello"])
    alice.node.send_direct(bob.id, HELLO)
    assert (await asyncio.wait_for(queue.get(), 10)).src == alice.id


async def test_a_stranger_to_a_private_mesh_is_refused_and_leaves_no_trace(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2, psk=bytes(32))
    with pytest.raises(DialError, match=r"127\.0\.0\.1"):
        await alice.node.service.dial(bob.entry())
    assert bob.keystore.get(alice.id) is None
    assert bob.node.service.counters()["handshakes_failed"] == 1


async def test_a_replayed_or_unsealed_frame_is_dropped_and_counted(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    bob.node.payloads.register("test", ["test.hello"])
    link = alice.node._links.best(bob.id)
    sealed = alice.node._frames._sealed.seal(bob.id, bob.identity.x25519_pub, bob.node._own.card.seq, HELLO)
    foreign = NodeId(bytes(16))
    for frame in (
        sealed,
        sealed,
        MeshData(alice.id, bob.id, 0, b"plain"),
        MeshData(bob.id, bob.id, 0x60, b"came back"),
        MeshData(alice.id, foreign, 0x60, b"for another"),
        MeshData(foreign, bob.id, 0x60, b"from nobody known"),
        MeshData(alice.id, bob.id, 0x60, bytes(100)),
    ):
        link.send(frame)
    await eventually(lambda: bob.node.service.counters().get("dropped_unopenable", 0) == 1)
    counted = bob.node.service.counters()
    for name in ("replayed", "unsealed", "returned_to_source", "no_route", "unknown_source"):
        assert counted[f"dropped_{name}"] == 1, name
    assert counted["payloads_delivered"] == 1


async def test_a_frame_sealed_before_this_start_is_dropped(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    link = alice.node._links.best(bob.id)
    link.send(alice.node._frames._sealed.seal(bob.id, bob.identity.x25519_pub, bob.node._own.card.seq - 1, HELLO))
    await eventually(lambda: bob.node.service.counters().get("dropped_before_start", 0) == 1)
    assert "payloads_opened" not in bob.node.service.counters()


async def test_a_blocked_peer_is_refused_and_told_so(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await bob.keystore.set_blocked(alice.id, blocked=True)
    with pytest.raises(DialError, match="not admitted"):
        await alice.node.service.dial(bob.entry())
    assert bob.keystore.get(alice.id) is None


async def test_an_allow_list_admits_whom_it_names(start_node: StartNode) -> None:
    alice, carol = await start_node(1), await start_node(3)
    bob = await start_node(2, policy="allow_list", authorized=(alice.id,))
    assert await alice.node.service.dial(bob.entry()) == bob.id
    with pytest.raises(DialError, match="not admitted"):
        await carol.node.service.dial(bob.entry())


async def test_another_id_at_a_known_address_is_refused(start_node: StartNode) -> None:
    alice, bob = await start_node(1, policy="trust_on_first_use"), await start_node(2)
    await alice.keystore.pin(bob.entry().endpoint, NodeId(bytes(16)))
    with pytest.raises(DialError, match="pim accept"):
        await alice.node.service.dial(bob.entry())


async def test_a_disk_that_takes_no_pin_costs_neither_the_link_nor_the_node(
    start_node: StartNode, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = await start_node(1, policy="trust_on_first_use"), await start_node(2)
    await alice.keystore._mirror._database.read("PRAGMA query_only = 1")
    alice.node.service.keep_dialling(bob.entry(), configured=True)
    await eventually(lambda: f"is not pinned to {bob.id}" in caplog.text)
    assert alice.node.is_linked(bob.id)
    await alice.keystore._mirror._database.read("PRAGMA query_only = 0")
    alice.node._links.best(bob.id).close(GoodbyeReason.SHUTDOWN)
    await eventually(lambda: alice.keystore.pinned(bob.entry().endpoint) == bob.id)


async def test_a_name_that_cannot_be_one_is_an_address_that_does_not_answer(start_node: StartNode) -> None:
    alice = await start_node(1)
    with pytest.raises(DialError, match=r"relay\.\.example\.org cannot be found: it is no host name"):
        await alice.node.service.dial(PeerEntry(Endpoint.tcp("relay..example.org", 9100)))


async def test_another_program_at_an_address_is_called_so(start_node: StartNode) -> None:
    alice = await start_node(1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(DialError, match=r"what answers there is no pimd.*is the address right\?"):
            await alice.node.service.dial(PeerEntry(Endpoint.tcp(host, port)))


@pytest.mark.limit("links")
async def test_of_two_dials_for_the_last_place_one_is_told_that_it_is_taken(
    start_node: StartNode, lower: Lower
) -> None:
    lower(LINKS, 1)
    lower(PREFERRED_PLACES, 0)
    alice, bob, carol = await start_node(1), await start_node(2), await start_node(3)

    async def outcome(entry: PeerEntry) -> NodeId | str:
        try:
            linked_with: NodeId = await alice.node.service.dial(entry)
        except DialError as error:
            return str(error)
        return linked_with

    async with asyncio.TaskGroup() as group:
        dials = [group.create_task(outcome(other.entry())) for other in (bob, carol)]
    outcomes = [dial.result() for dial in dials]
    assert [link.peer for link in alice.node.service.links()] == [one for one in outcomes if isinstance(one, NodeId)]
    [refused] = [one for one in outcomes if isinstance(one, str)]
    assert "all 1 places for links are taken" in refused


async def test_another_id_than_expected_is_refused(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    with pytest.raises(DialError, match="as expected"):
        await alice.node.service.dial(bob.entry(node_id=NodeId(bytes(16))))


async def test_a_kept_address_is_dialled_again_after_the_peer_restarts(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    port = bob.port
    with alice.node.service.subscribe() as events:
        alice.node.service.keep_dialling(bob.entry(), configured=True)
        assert isinstance(await asyncio.wait_for(anext(events), 10), LinkUp)
        assert await asyncio.wait_for(anext(events), 10) == RouteFound(bob.id)
        await bob.node.stop()
        await eventually(lambda: not alice.node.service.links())
        again = await start_node(4, port=port, identity=bob.identity)
        await eventually(lambda: [link.peer for link in alice.node.service.links()] == [again.id])


async def test_hanging_up_is_final_until_dialled_again(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    with bob.node.service.subscribe() as events:
        assert await alice.node.service.hang_up(bob.id)
        async for event in events:
            if isinstance(event, LinkDown):
                assert "removed" in event.reason
                break
    assert not await alice.node.service.hang_up(bob.id)


async def test_a_node_that_stops_says_goodbye_hangs_up_on_everybody_and_listens_no_more(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    address = ("127.0.0.1", bob.port)
    silent, writer = await asyncio.open_connection(*address)
    await eventually(lambda: len(bob.node._handshakes._links) == 2)
    with alice.node.service.subscribe() as events:
        await bob.node.stop()
        while not isinstance(event := await asyncio.wait_for(anext(events), 10), LinkDown):
            pass
    assert "shutdown" in event.reason
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(silent.read(), 10) == b""
    writer.close()
    await eventually(lambda: not bob.node._handshakes._links)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


async def test_a_bug_met_through_one_link_costs_that_link_only(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = await linked(start_node)
    carol = await start_node(3)
    await carol.node.service.dial(bob.entry())
    await eventually(lambda: bob.node.service.has_route(carol.id) and carol.node.service.has_route(bob.id))
    deliver = bob.node._frames.deliver

    def fail(src: NodeId, frame: PluginPayload) -> None:
        if src == alice.id:
            raise ZeroDivisionError
        deliver(src, frame)

    monkeypatch.setattr(bob.node._frames, "deliver", fail)
    queue = bob.node.payloads.register("test", ["test.hello"])
    alice.node.send_direct(bob.id, HELLO)
    await eventually(lambda: not alice.node.service.is_linked(bob.id))
    assert "internal error, closing it" in caplog.text
    carol.node.send_direct(bob.id, HELLO)
    assert (await asyncio.wait_for(queue.get(), 10)).src == carol.id


async def test_an_address_where_nobody_listens_is_named(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    entry = bob.entry()
    await bob.node.stop()
    with pytest.raises(DialError, match=f"{entry.endpoint.text}: Connection refused; does pimd run there"):
        await alice.node.service.dial(entry)


async def test_two_nodes_that_dial_each_other_end_with_one_link(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    results = [alice.node.service.dial(bob.entry()), bob.node.service.dial(alice.entry())]
    async with asyncio.TaskGroup() as group:
        for dial in results:
            group.create_task(dial)
    await eventually(lambda: len(alice.node._links) == len(bob.node._links) == 1)
    assert alice.node._links.best(bob.id).dialled is not bob.node._links.best(alice.id).dialled


async def test_a_link_that_says_goodbye_carries_nothing_more_from_that_moment(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    link = alice.node._links.best(bob.id)
    link.close(GoodbyeReason.REMOVED)
    assert not alice.node.service.is_linked(bob.id)
    assert alice.node.service.route(bob.id) is None
    assert not alice.node.send_routed(bob.id, HELLO)


async def test_what_a_peer_sent_before_it_knew_that_the_link_is_replaced_arrives(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    queue = alice.node.payloads.register("test", ["test.hello"])
    alice.node._links.best(bob.id).close(GoodbyeReason.DUPLICATE)
    assert bob.node.send_routed(alice.id, HELLO)
    bob.node.send_direct(alice.id, HELLO)
    for _ in range(2):
        assert (await asyncio.wait_for(queue.get(), 10)).src == bob.id


async def test_the_card_of_whoever_sent_on_a_replaced_link_is_asked_for_on_the_other(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    assert await bob.node.service.dial(alice.entry()) == alice.id
    await eventually(lambda: len(alice.node._links.of(bob.id)) == len(bob.node._links.of(alice.id)) == 2)
    replaced, newest = alice.node._links.of(bob.id)
    theirs = next(link for link in bob.node._links.of(alice.id) if link.dialled is not replaced.dialled)
    stranger = NodeId(bytes(range(16)))
    replaced.close(GoodbyeReason.DUPLICATE)
    theirs.send(MeshData(stranger, alice.id, FLAG_CONTROL | FLAG_SEALED, bytes(60)))
    theirs.driver._flush()  # it is underway before the Goodbye is heard
    await eventually(lambda: alice.node.service.counters().get("dropped_unknown_source", 0) == 1)
    assert stranger in newest.cards.asked
    assert stranger not in replaced.cards.asked


async def test_a_third_link_of_one_peer_gets_a_goodbye_and_harms_nobody(
    start_node: StartNode, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    monkeypatch.setattr(alice.node._links, "add", lambda link: link.close(GoodbyeReason.DUPLICATE) or False)
    assert await bob.node.service.dial(alice.entry()) == alice.id  # linked it is
    assert alice.node.send_routed(bob.id, HELLO)
    assert [link.dialled for link in bob.node.service.links()] == [False]
    assert "internal error" not in caplog.text


async def test_what_is_dropped_anywhere_is_counted(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    link = alice.node._links.best(bob.id)
    link.send(Routes((RouteEntry(NodeId(bytes(16)), 1, 7),), first=False, last=False))
    await eventually(lambda: bob.node.service.counters().get("dropped_routes", 0) == 1)
    link.driver.pause_writing()
    for _ in range(30):
        alice.node.send_direct(bob.id, PluginPayload("test.hello", bytes(60_000)))
    assert alice.node.service.counters()["refused_congested"] == 17
    link.close(GoodbyeReason.SHUTDOWN)
    assert (
        alice.node.service.counters()["messages_dropped"] == alice.node.service.counters()["dropped_congestion"] == 13
    )
    assert alice.node.service.counters()["refused_congested"] == 17


async def test_one_wish_for_a_newer_card_is_answered_with_one_card(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    before = bob.node._own.card.seq
    link = alice.node._links.best(bob.id)
    for id_ in range(20):
        link.send(SeqRequest(bob.id, before + 1, 255, flood=False, request_id=id_))
    await eventually(lambda: alice.keystore.get(bob.id).seq > before)
    first = bob.node._own.card.seq
    link.send(SeqRequest(bob.id, first, 255, flood=False, request_id=99))
    await eventually(lambda: bob.node.service.counters().get("links_opened", 0) == 1)
    assert not bob.node._broadcast._wanted.is_set()
    assert bob.node._own.card.seq == first


async def test_without_a_disk_for_its_number_no_card_is_issued_and_the_node_lives(
    start_node: StartNode, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)

    async def full(_: int) -> int:
        raise DatabaseError(Path("peers.db"), "write", "the disk is full")

    monkeypatch.setattr(bob.keystore, "next_own_seq", full)
    bob.node.service.set_broadcast_interval(30)
    await eventually(lambda: "no new identity card: peers.db" in caplog.text)
    assert alice.node.send_routed(bob.id, HELLO)


async def test_a_blocked_node_gets_no_payload_in_also_over_others(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    queue = bob.node.payloads.register("test", ["test.hello"])
    await bob.keystore.set_blocked(alice.id, blocked=True)
    assert alice.node.send_routed(bob.id, HELLO)
    alice.node.send_direct(bob.id, HELLO)
    await eventually(lambda: bob.node.service.counters().get("dropped_blocked", 0) == 2)
    assert len(queue) == 0


async def test_the_card_of_an_unknown_source_is_asked_of_who_brought_its_frame(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await linked(start_node)
    carol = await start_node(3)
    asked: list[PeerInfoRequest] = []
    monkeypatch.setattr(alice.node._cards, "answer", lambda _, request: asked.append(request))
    alice.node._links.best(bob.id).send(MeshData(carol.id, bob.id, 0x60, bytes(100)))
    await eventually(lambda: asked != [])
    assert asked[0].ids == (carol.id,)


def with_another_x25519_key(seed: bytes) -> Identity:
    """Only who stole a seed, or made such a pair on purpose, can prove these two together."""
    identity, other = Identity.from_seed(seed), Identity.from_seed(bytes(32))
    identity._x25519, identity.x25519_pub = other._x25519, other.x25519_pub
    return identity


async def test_a_proof_with_another_key_than_the_first_one_seen_is_refused_and_counted(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    twin = await start_node(9, identity=with_another_x25519_key(bytes([2]) * 32))
    assert twin.id == bob.id
    with pytest.raises(DialError, match="not admitted"):
        await twin.node.service.dial(alice.entry())
    assert alice.node.service.counters()["cards_of_other_keys"] == 1
    assert alice.keystore.get(bob.id).x25519_pub == bob.identity.x25519_pub


async def test_replacing_a_link_by_another_of_the_same_peer_is_told_to_nobody(start_node: StartNode) -> None:
    alice, bob = await linked(start_node)
    with alice.node.service.subscribe() as events:
        assert await bob.node.service.dial(alice.entry()) == alice.id
        await eventually(lambda: alice.node.service.counters()["links_opened"] == 2 and len(alice.node._links) == 1)
        assert events.next_waiting() is None


@pytest.mark.parametrize("other", [bytes(32), None], ids=["another secret", "an open mesh"])
async def test_both_ends_are_told_that_their_meshes_may_differ(
    start_node: StartNode, caplog: pytest.LogCaptureFixture, other: bytes | None
) -> None:
    alice, bob = await start_node(1, psk=bytes(range(32))), await start_node(2, psk=other)
    with pytest.raises(DialError, match="is it in another mesh\\? compare `pim mesh status`"):
        await alice.node.service.dial(bob.entry())
    told = [r for r in caplog.records if r.levelname == "WARNING" and "compare `pim mesh status`" in r.message]
    assert len(told) == 1


async def test_a_name_that_does_not_exist_is_not_taken_for_a_machine_without_pimd(start_node: StartNode) -> None:
    alice = await start_node(1)
    with pytest.raises(DialError, match=r"nohost\.invalid cannot be found: .*; check the name"):
        await alice.node.service.dial(PeerEntry(Endpoint.tcp("nohost.invalid", 9100)))


async def test_this_very_node_at_an_address_is_named_and_is_no_error_of_the_protocol(start_node: StartNode) -> None:
    alice = await start_node(1)
    with pytest.raises(DialError, match="another peer: the other end is this very node"):
        await alice.node.service.dial(alice.entry())
