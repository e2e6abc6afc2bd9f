"""What a peer, or a stranger, can make a node hold: each limit is reached."""

import asyncio
import contextlib
from typing import Any

import pytest

from pimd.clock import ManualClock
from pimd.contract import DialError, PluginPayload
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh import cards as cards_module
from pimd.mesh.cards import (
    ASKED,
    CARDS,
    IDS,
    RETURNED,
    CardExchange,
    LinkCards,
    OwnCard,
)
from pimd.mesh.counters import Counters
from pimd.mesh.links import LINKS, PREFERRED_PLACES
from pimd.mesh.payloads import BYTES, OF_ONE_SOURCE, PAYLOADS, PayloadDispatch
from pimd.net.half_open import HALF_OPEN, HALF_OPEN_OF_SOURCE, HalfOpen
from pimd.net.transports.tcp import source_of
from pimd.proto.cards import Card, issue, parse
from pimd.proto.frames import PEER_INFO_REQUEST_LIMIT, PeerInfoRequest, SignedPeerInfo
from pimd.proto.identity import Identity
from pimd.store.keystore import Keystore
from tests.limits import Lower
from tests.mesh.conftest import StartNode
from tests.mesh.test_node import eventually


def identity(number: int) -> Identity:
    return Identity.from_seed(number.to_bytes(32))


def node_id(number: int) -> NodeId:
    return NodeId(number.to_bytes(16))


# --- half-open connections


@pytest.mark.limit("half-open connections of one source")
def test_one_source_has_16_half_open_connections() -> None:
    evicted: list[int] = []
    half_open: HalfOpen[int] = HalfOpen(evicted.append, Bites())
    for number in range(HALF_OPEN_OF_SOURCE.value + 3):
        half_open.add(number, "192.0.2.1")
    assert len(half_open) == HALF_OPEN_OF_SOURCE.value
    assert evicted == [0, 1, 2]


@pytest.mark.limit("half-open connections")
def test_128_in_all_and_the_busiest_source_pays() -> None:
    evicted: list[int] = []
    half_open: HalfOpen[int] = HalfOpen(evicted.append, Bites())
    for number in range(10):
        half_open.add(number, "192.0.2.1")
    for number in range(10, HALF_OPEN.value):
        half_open.add(number, f"198.51.100.{number}")
    assert evicted == []
    half_open.add(1000, "203.0.113.1")
    assert evicted == [0]
    assert len(half_open) == HALF_OPEN.value
    half_open.discard(1000)
    half_open.discard(1000)
    assert len(half_open) == HALF_OPEN.value - 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_what_counts_as_one_source(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    assert (source_of(one) == source_of(other)) is same


# --- cards


class CardLinkDouble:
    """Collects what is sent on a link."""

    def __init__(self, peer: NodeId, clock: ManualClock) -> None:
        self.peer_id = peer
        self.source = str(peer)
        self.cards = LinkCards(clock.now(), Bites())
        self.sent: list[Any] = []
        self.answered: list[Any] = []

    def send(self, frame: Any) -> None:
        self.sent.append(frame)

    def answer(self, frame: Any) -> None:
        self.answered.append(frame)


class Cards:
    """A card exchange on a real keystore."""

    def __init__(self, keystore: Keystore, clock: ManualClock) -> None:
        self.clock = clock
        self.counts = Counters()
        self.keystore = keystore
        self.seen: list[int] = []
        self.own = OwnCard(identity(1), keystore, clock, "me", 0)
        self.exchange = CardExchange(self.own, keystore, clock, self.counts, self.seen.append)
        self.link = CardLinkDouble(node_id(9), clock)

    def bring(self, first: int, count: int) -> int:
        """Let the link bring cards nobody asked for; return how many were learned."""
        learned = 0
        for number in range(first, first + count):
            frame = SignedPeerInfo((issue(identity(number), 1, 0, "x").raw,))
            learned += len(self.exchange.receive(self.link, frame))
        return learned


@pytest.fixture
async def cards(tmp_path: Any) -> Any:
    clock = ManualClock()
    async with Keystore.open(tmp_path / "peers.db", clock) as keystore:
        made = Cards(keystore, clock)
        await made.own.reissue()
        yield made


@pytest.mark.limit("new cards of a link that it was not asked for")
async def test_new_cards_that_nobody_asked_for_are_limited(cards: Cards) -> None:
    assert cards.bring(100, CARDS.burst + 50) == CARDS.burst
    assert cards.counts.snapshot()["dropped_cards_over_rate"] == 50
    cards.clock.advance(1.0)
    assert cards.bring(2000, CARDS.value + 10) == CARDS.value
    assert cards.bring(100, 10) == 0  # old news costs nothing
    assert cards.counts.snapshot()["dropped_cards_over_rate"] == 60


async def test_cards_that_were_asked_for_are_not_counted(cards: Cards) -> None:
    cards.bring(100, CARDS.burst)
    wanted = issue(identity(5000), 1, 0, "x")
    cards.exchange.ask(cards.link, [wanted.node_id])
    assert [card.node_id for card in cards.exchange.receive(cards.link, SignedPeerInfo((wanted.raw,)))] == [
        wanted.node_id
    ]


@pytest.mark.limit("ids asked for on a link")
async def test_ids_asked_for_are_limited_and_asked_in_portions(cards: Cards) -> None:
    cards.exchange.ask(cards.link, [node_id(n) for n in range(IDS.burst + 20)])
    assert sum(len(frame.ids) for frame in cards.link.sent) == IDS.burst
    assert max(len(frame.ids) for frame in cards.link.sent) == PEER_INFO_REQUEST_LIMIT
    assert cards.counts.snapshot()["dropped_ids_over_rate"] == 20
    cards.clock.advance(1.0)
    cards.link.sent.clear()
    cards.exchange.ask(cards.link, [node_id(n) for n in range(IDS.value + 20)])
    assert sum(len(frame.ids) for frame in cards.link.sent) == IDS.value


@pytest.mark.limit("cards remembered that a link was asked for", "newer cards remembered that a link was sent back")
def test_what_was_asked_is_remembered_within_a_limit() -> None:
    link = LinkCards(0.0, Bites())
    for number in range(ASKED.value + 10):
        link.asked.add(node_id(number))
        link.note_returned(node_id(number), 1)
    assert (len(link.asked), len(link.returned)) == (ASKED.value, RETURNED.value)


async def test_a_request_is_answered_with_each_card_once(cards: Cards) -> None:
    cards.bring(100, 1)
    held, own = identity(100).node_id, identity(1).node_id
    cards.exchange.answer(cards.link, PeerInfoRequest((held, own, held, node_id(77))))
    (answer,) = cards.link.answered
    assert len(answer.cards) == 2


async def test_a_bad_card_is_dropped_and_a_clock_far_ahead_is_logged_once(
    cards: Cards, caplog: pytest.LogCaptureFixture
) -> None:
    good = issue(identity(100), 1, 0, "x").raw
    learned = cards.exchange.receive(cards.link, SignedPeerInfo((good[:-1] + bytes([good[-1] ^ 1]), good)))
    assert [card.node_id for card in learned] == [identity(100).node_id]
    assert cards.counts.snapshot()["cards_bad"] == 1
    for ahead in (1, 2):
        raw = issue(identity(100), cards.clock.unix_ms() + 700_000 + ahead, 0, "x").raw
        assert cards.exchange.receive(cards.link, SignedPeerInfo((raw,)))
    assert caplog.text.count("more than 10 minutes ahead") == 1


async def test_an_older_card_is_answered_with_the_newer_once(cards: Cards) -> None:
    newer, older = (issue(identity(100), seq, 0, "x").raw for seq in (5, 4))
    cards.exchange.receive(cards.link, SignedPeerInfo((newer,)))
    for _ in range(3):
        cards.exchange.receive(cards.link, SignedPeerInfo((older,)))
    assert cards.link.sent == [SignedPeerInfo((newer,))]


async def test_ones_own_card_with_a_higher_number_is_taken_as_the_highest(cards: Cards) -> None:
    seq = cards.own.card.seq + 1000
    cards.exchange.receive(cards.link, SignedPeerInfo((issue(identity(1), seq, 0, "me").raw,)))
    assert cards.seen == [seq]
    assert (await cards.own.reissue(seq)).seq == seq + 1


# --- payloads


@pytest.mark.limit(
    "payloads waiting for a plugin",
    "bytes of payloads waiting for a plugin",
    "payloads of one source waiting for a plugin",
)
def test_payloads_of_one_source_for_one_plugin_and_in_bytes_are_limited() -> None:
    counts = Counters()
    friends = {node_id(1)} | {node_id(number) for number in range(200, 300)}
    dispatch = PayloadDispatch(counts, friends.__contains__)
    queue = dispatch.register("p", ["p.x"])
    for _ in range(OF_ONE_SOURCE.value + 5):
        dispatch.deliver(node_id(1), PluginPayload("p.x", b""))
    assert len(queue) == OF_ONE_SOURCE.value
    for number in range(200, 300):
        for _ in range(OF_ONE_SOURCE.value):
            dispatch.deliver(node_id(number), PluginPayload("p.x", b""))
    assert len(queue) == PAYLOADS.value
    assert queue.clear() == PAYLOADS.value
    for number in range(200, 300):
        for _ in range(10):
            dispatch.deliver(node_id(number), PluginPayload("p.x", bytes(60_000)))
    assert len(queue) == BYTES.value // 60_000
    assert counts.snapshot()["dropped_plugin_queue_full"] > 0
    dispatch.deliver(node_id(1), PluginPayload("q.x", b""))
    assert counts.snapshot()["dropped_unclaimed_kind"] == 1


@pytest.mark.parametrize(("size", "room"), [(0, PAYLOADS.value * 3 // 4), (60_000, BYTES.value * 3 // 4 // 60_000)])
async def test_however_many_strangers_send_a_friend_has_room_and_comes_first(size: int, room: int) -> None:
    dispatch = PayloadDispatch(Counters(), {node_id(1)}.__contains__)
    queue = dispatch.register("p", ["p.x"])
    for number in range(2, PAYLOADS.value + 50):
        dispatch.deliver(node_id(number), PluginPayload("p.x", bytes(size)))
    assert len(queue) == room
    for number in range(OF_ONE_SOURCE.value):
        dispatch.deliver(node_id(1), PluginPayload("p.x", bytes([number])))
    sources = [(await queue.get()).src for _ in range(len(queue))]
    assert sources[: OF_ONE_SOURCE.value + 1] == [*[node_id(1)] * OF_ONE_SOURCE.value, node_id(2)]


async def test_who_becomes_a_friend_does_not_overtake_what_it_sent_before() -> None:
    friends: set[NodeId] = set()
    dispatch = PayloadDispatch(Counters(), friends.__contains__)
    queue = dispatch.register("p", ["p.x"])
    for source in (1, 2):
        dispatch.deliver(node_id(source), PluginPayload("p.x", b"1"))
    friends.add(node_id(2))
    dispatch.deliver(node_id(2), PluginPayload("p.x", b"2"))
    friends.add(node_id(3))
    dispatch.deliver(node_id(3), PluginPayload("p.x", b"1"))
    taken = [await queue.get() for _ in range(4)]
    assert [(one.src, one.body) for one in taken] == [
        (node_id(3), b"1"),
        (node_id(1), b"1"),
        (node_id(2), b"1"),
        (node_id(2), b"2"),
    ]


async def test_the_queue_gives_room_again_and_keeps_the_order() -> None:
    dispatch = PayloadDispatch(Counters(), lambda _: False)
    queue = dispatch.register("p", ["p.x"])
    for number in range(OF_ONE_SOURCE.value):
        dispatch.deliver(node_id(1), PluginPayload("p.x", bytes([number])))
    assert (await queue.get()).body == b"\0"
    dispatch.deliver(node_id(1), PluginPayload("p.x", b"last"))
    bodies = [(await queue.get()).body for _ in range(OF_ONE_SOURCE.value)]
    assert bodies[-1] == b"last"
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(queue.get())
        await asyncio.sleep(0)
        dispatch.deliver(node_id(2), PluginPayload("p.x", b"woken"))
    assert waiting.result().body == b"woken"


async def test_the_peers_own_first_card_is_free_and_its_further_ones_are_not(cards: Cards) -> None:
    own = identity(9)
    cards.link = CardLinkDouble(own.node_id, cards.clock)
    for seq in range(1, CARDS.burst + 20):
        cards.exchange.receive(cards.link, SignedPeerInfo((issue(own, seq, 0, "x").raw,)))
    assert cards.counts.snapshot()["cards_learned"] == CARDS.burst + 1
    assert cards.counts.snapshot()["dropped_cards_over_rate"] == 18


def verifying(cards: Cards) -> list[bytes]:
    """Which cards are verified from now on."""
    verified: list[bytes] = []

    def counting(raw: bytes) -> Card:
        verified.append(raw)
        return parse(raw)

    cards.exchange = CardExchange(
        cards.own, cards.keystore, cards.clock, cards.counts, cards.seen.append, parse_card=counting
    )
    return verified


async def test_copies_of_what_is_held_are_not_verified_again(cards: Cards) -> None:
    verified = verifying(cards)
    newer, older = (issue(identity(100), seq, 0, "x").raw for seq in (5, 4))
    forged = older[:-1] + bytes([older[-1] ^ 1])
    for raw in (newer, newer, older, forged):
        cards.exchange.receive(cards.link, SignedPeerInfo((raw,)))
    assert verified == [newer]


async def test_false_cards_are_verified_within_the_rate_alone(cards: Cards) -> None:
    verified = verifying(cards)
    real = issue(identity(100), 1, 0, "x").raw
    false_ones = [real[:-8] + number.to_bytes(8) for number in range(CARDS.burst + 50)]
    cards.exchange.receive(cards.link, SignedPeerInfo(tuple(false_ones)))
    assert len(verified) == CARDS.burst
    counted = cards.counts.snapshot()
    assert (counted["cards_bad"], counted["dropped_cards_over_rate"]) == (CARDS.burst, 50)


async def test_old_cards_of_this_very_node_are_not_verified(cards: Cards) -> None:
    verified = verifying(cards)
    own = cards.own.card
    older = issue(identity(1), own.seq - 1, 0, "me").raw
    cards.exchange.receive(cards.link, SignedPeerInfo((own.raw, older)))
    assert verified == []


@pytest.mark.limit("peers remembered whose clock is ahead")
async def test_whose_clock_was_logged_is_remembered_within_a_limit(cards: Cards, lower: Lower) -> None:
    lower(cards_module.AHEAD, 3)
    far = cards.clock.unix_ms() + 700_000
    for number in range(100, 110):
        cards.exchange.receive(cards.link, SignedPeerInfo((issue(identity(number), far, 0, "x").raw,)))
    assert len(cards.exchange._ahead_logged) == 3


async def test_an_older_card_of_this_very_node_is_answered_with_the_newer_once(cards: Cards) -> None:
    older = issue(identity(1), cards.own.card.seq - 1, 0, "me").raw
    for _ in range(3):
        cards.exchange.receive(cards.link, SignedPeerInfo((older,)))
    assert cards.link.sent == [SignedPeerInfo((cards.own.card.raw,))]


# --- links of whole nodes


@pytest.mark.limit("links", "links kept for configured peers and contacts")
async def test_when_the_places_are_taken_a_stranger_gets_a_goodbye_and_friends_get_in(
    start_node: StartNode, lower: Lower
) -> None:
    alice, first, stranger, contact, kept = [await start_node(number) for number in range(1, 6)]
    lower(LINKS, 3)
    lower(PREFERRED_PLACES, 2)
    assert await first.node.service.dial(alice.entry()) == alice.id
    with pytest.raises(DialError, match="limit"):
        await stranger.node.service.dial(alice.entry())
    assert alice.node.service.counters()["links_refused"] == 1
    await alice.keystore.import_identity(contact.id, contact.identity.x25519_pub, "contact")
    assert await contact.node.service.dial(alice.entry()) == alice.id
    alice.node.service.keep_dialling(kept.entry(), configured=True)
    await eventually(lambda: alice.node.is_linked(kept.id))
    await alice.keystore.set_contact(stranger.id, contact=True)
    with pytest.raises(DialError, match="limit"):  # now the friends' places are taken, too
        await stranger.node.service.dial(alice.entry())
    assert {link.peer for link in alice.node.service.links()} == {first.id, contact.id, kept.id}  # nobody had to go


@pytest.mark.limit("half-open connections of one source")
async def test_connections_that_say_nothing_push_out_each_other_and_no_link(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await bob.node.service.dial(alice.entry())
    silent = [await asyncio.open_connection("127.0.0.1", alice.port) for _ in range(HALF_OPEN_OF_SOURCE.value + 4)]
    half_open = alice.node._handshakes._half_open
    for reader, _ in silent[:4]:
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
    assert len(half_open) == HALF_OPEN_OF_SOURCE.value
    assert await (await start_node(3)).node.service.dial(alice.entry()) == alice.id
    assert alice.node.is_linked(bob.id)
    for _, writer in silent:
        writer.close()
    await eventually(lambda: len(half_open) == 0)


@pytest.mark.limit("new cards of a link that it was not asked for", "ids asked for on a link")
async def test_cards_and_ids_over_their_rates_come_later_because_routes_need_them(
    start_node: StartNode, lower: Lower
) -> None:
    lower(CARDS, 0, burst=0)
    lower(IDS, 1, burst=2)
    alice, bob, last, *others = [await start_node(number) for number in range(1, 7)]
    for other in others:
        await other.node.service.dial(bob.entry())
    await alice.node.service.dial(bob.entry())
    await eventually(lambda: alice.node.service.counters().get("dropped_ids_over_rate", 0) > 0)
    await last.node.service.dial(bob.entry())
    await eventually(lambda: alice.node.service.counters().get("dropped_cards_over_rate", 0) > 0)
    await eventually(lambda: all(alice.node.service.has_route(other.id) for other in (last, *others)))
