"""A node whose neighbour does everything it can at once keeps within its limits and goes on serving its contacts."""

import asyncio
import itertools
import os
import socket
from collections.abc import Iterator

import pytest

from pimd.contract import PluginPayload
from pimd.ids import NodeId
from pimd.mesh import cards, flood, payloads, sealing
from pimd.mesh.payloads import PayloadQueue
from pimd.proto import babel, deferred_routes, sealed, send_queue, seq_requests
from pimd.proto.frames import (
    METRIC_RETRACTED,
    Frame,
    MeshData,
    PeerInfoRequest,
    RouteEntry,
    Routes,
    SeqRequest,
    SignedPeerInfo,
)
from tests.limits import Lower
from tests.mesh.conftest import Running, StartNode
from tests.mesh.held import held
from tests.mesh.hostile import Hostile, Person
from tests.mesh.test_node import eventually

IDENTITIES = 100
ROUNDS = 5
CROWD = 60
"""Identities made up in each round."""
SMALL = {
    babel.DESTINATIONS: 120,
    babel.LOST: 80,
    babel.LOST_UNTOLD: 80,
    babel.ASKED: 60,
    seq_requests.IDS: 40,
    seq_requests.PASSED_ON: 40,
    cards.ASKED: 60,
    cards.RETURNED: 60,
    cards.AHEAD: 60,
    cards.HAS: 100,
    flood.ORIGINS: 50,
    flood.GATHERED: 20,
    flood.HELD_BACK: 20,
    send_queue.CARDS: 10_000,
    send_queue.ANSWERS: 200_000,
    send_queue.ROUTING: 100_000,
    sealing.COUNTERS: 10,
    sealing.WINDOWS: 50,
    sealed.SHARED_KEYS: 20,
    payloads.PAYLOADS: 40,
    payloads.BYTES: 400_000,
    payloads.OF_ONE_SOURCE: 8,
}
SMALL_BURSTS = {cards.CARDS: 150, cards.IDS: 200, cards.SEQ_REQUESTS: 50, cards.OWN_SEQ_REQUESTS: 50}
WISHES_AT_ONCE = 20
MUST_COUNT = (
    "dropped_cards_over_rate",
    "dropped_seq_requests_over_rate",
    "dropped_routes",
    "dropped_plugin_queue_full",
    "dropped_unclaimed_kind",
    "dropped_unknown_source",
    "dropped_unopenable",
    "dropped_unsealed",
    "dropped_returned_to_source",
    "cards_bad",
    "identities_evicted",
    "links_closed",
    "limit_cards_remembered_that_a_link_has",
    "limit_destinations_with_entries",
    "limit_identities",
    "limit_new_cards_of_a_link_that_it_was_not_asked_for",
    "limit_payloads_waiting_for_a_plugin",
    "limit_replay_windows_of_sources",
    "limit_seqrequests_remembered",
    "limit_shared_keys",
    "limit_unsent_answers_to_what_the_peer_asked_for",
)
MUST_FILL = (
    "identities",
    "destinations",
    "request ids",
    "requests passed on",
    "origins sent lately",
    "replay windows",
    "shared keys",
    "payloads of one source for flooded",
)


MUST_BE_SEEN = ("destinations asked about", "deferred destinations", "updates to be sent", "cards gathered")


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch, lower: Lower) -> None:
    monkeypatch.setattr(deferred_routes, "WISHES_AT_ONCE", WISHES_AT_ONCE)
    for limit, value in SMALL.items():
        lower(limit, value)
    for rate, burst in SMALL_BURSTS.items():
        lower(rate, 20, burst=burst)


class Attack:
    """Frames of one round; each round has identities of its own, and what it said before is still known."""

    def __init__(self, victim: Running, contact: Running) -> None:
        self.victim = victim
        self.contact = contact
        self.numbers = itertools.count(10_000)
        self.before: list[Person] = []
        self.crowd: list[Person] = []

    def round(self) -> Iterator[Frame]:
        self.before, self.crowd = self.crowd, [Person(next(self.numbers)) for _ in range(CROWD)]
        for part in (self.cards(), self.routes(), self.requests(), self.data(), self.questions()):
            yield from part

    def cards(self) -> Iterator[Frame]:
        forged = self.crowd[0].card(2**43 + 1)
        yield SignedPeerInfo((forged[:-1] + bytes([forged[-1] ^ 1]), self.crowd[1].card(1)))
        for seq in (1, 2, 2**43):  # the second is held back, the third is of a clock far ahead
            yield SignedPeerInfo(tuple(person.card(seq) for person in self.crowd))

    def routes(self) -> Iterator[Frame]:
        known = [person.id for person in self.crowd]
        unknown = [NodeId(os.urandom(16)) for _ in range(200)]
        yield _told(known, 256)
        # Worse than what the victim told of them: no ways, but questions.
        yield _told([person.id for person in self.before], 1024)
        yield _told(known[:40], METRIC_RETRACTED)
        yield _told([*unknown, *known], 256, first=True)  # and never the last record
        yield _told(unknown, 7)  # too good to be true
        yield _told([self.contact.id], 256, seq=2**43)
        yield _told([self.victim.id], 256)

    def requests(self) -> Iterator[Frame]:
        for person in self.crowd:
            yield SeqRequest(person.id, 2**43 + 1, 255, flood=True, request_id=next(self.numbers))
            yield SeqRequest(NodeId(os.urandom(16)), 5, 255, flood=True, request_id=next(self.numbers))
        yield SeqRequest(self.victim.id, self.victim.node._own.card.seq + 1, 255, flood=False, request_id=1)
        yield SeqRequest(self.contact.id, 2**43, 255, flood=False, request_id=2)

    def data(self) -> Iterator[Frame]:
        victim, seq = self.victim.id, self.victim.node._own.card.seq
        for person in self.crowd[:20]:
            yield person.seal(self.victim.identity, seq, PluginPayload("flooded.x", bytes(1000)))
            yield MeshData(person.id, victim, 0x60, os.urandom(500))
            yield MeshData(NodeId(os.urandom(16)), victim, 0x60, os.urandom(500))
            yield MeshData(person.id, self.contact.id, 0x60, os.urandom(5000))
        for kind in ("flooded.x", "nobody.x"):
            for _ in range(20):
                yield PluginPayload(kind, bytes(20_000))
        yield MeshData(self.crowd[0].id, victim, 0, b"plain")
        yield MeshData(victim, self.contact.id, 0x60, b"not from there")

    def questions(self) -> Iterator[Frame]:
        """Answers that are never read; last, because they end the link."""
        ids = tuple(person.id for person in self.crowd)
        for _ in range(150):
            yield PeerInfoRequest(ids)


def _told(ids: list[NodeId], metric: int, *, seq: int = 1, first: bool = False) -> Routes:
    return Routes(tuple(RouteEntry(node_id, seq, metric) for node_id in ids), first=first, last=False)


def measure(running: Running, most: dict[str, int]) -> None:
    """Hold everything against its limit, and note the most of each."""
    for name, (size, limit) in held(running).items():
        assert size <= limit, f"{name}: {size} of {limit}"
        most[name] = max(size, most.get(name, 0))


async def delivered(src: Running, dst: Running, queue: PayloadQueue, body: bytes) -> None:
    """Send until it arrives, as `messaging` does."""
    async with asyncio.timeout(20):
        while True:
            src.node.send_routed(dst.id, PluginPayload("contacts.x", body))
            try:
                async with asyncio.timeout(0.2):
                    while (delivery := await queue.get()).body != body:
                        pass
            except TimeoutError:
                continue
            assert delivery.src == src.id
            return


def _keep_little(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # else the kernel swallows much first


@pytest.mark.usefixtures("small_limits")
async def test_a_hostile_neighbour_fills_nothing_beyond_its_limit_and_contacts_are_served(
    start_node: StartNode,
) -> None:
    victim = await start_node(1, limit=IDENTITIES, on_socket=_keep_little)
    contact, far = await start_node(2), await start_node(3)
    await victim.node.service.dial(contact.entry())
    await contact.node.service.dial(far.entry())
    await eventually(lambda: victim.node.service.has_route(far.id) and far.node.service.has_route(victim.id))
    for one in (contact, far):
        await victim.keystore.set_contact(one.id, contact=True)
    queues = {one.id: one.node.payloads.register("contacts", ["contacts.x"]) for one in (victim, contact, far)}
    victim.node.payloads.register("flooded", ["flooded.x"])  # a plugin that takes nothing
    hostile, attack = Hostile(Person(9), victim.port), Attack(victim, contact)
    most: dict[str, int] = {}
    for number in range(ROUNDS):
        if not victim.node.is_linked(hostile.person.id):
            hostile.close()
        for frame in attack.round():
            await hostile.send(frame)
            measure(victim, most)
        for src, dst in ((contact, victim), (victim, contact), (far, victim), (victim, far)):
            await delivered(src, dst, queues[dst.id], number.to_bytes(4))
        measure(victim, most)
    hostile.close()
    limits = {name: limit for name, (_, limit) in held(victim).items()}
    assert [name for name in MUST_BE_SEEN if not most[name]] == []
    assert {name: most[name] for name in MUST_FILL} == {name: limits[name] for name in MUST_FILL}
    assert most["lost destinations"] >= babel.LOST.value  # from there on only what is kept can still be lost
    counted = victim.node.service.counters()
    assert [name for name in MUST_COUNT if not counted.get(name)] == []
    assert hostile.links > 1  # it never read, so it was thrown out
    assert {contact.id, far.id} <= {peer.node_id for peer in victim.keystore.list()}
