"""What is told of identities, and what a thousand nodes that come and go cost somebody who writes to none of them."""

from typing import Any

import pytest

from pimd.contract import BroadcastConfig, PeerInfoSource, RouteFound, Seen
from pimd.events import SUBSCRIBER_QUEUE, Topic
from pimd.ids import NodeId
from pimd.proto.cards import issue, parse
from pimd.proto.identity import Identity
from pimd_features.messaging import sightings
from pimd_features.messaging.models import MarkReadParams
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.limits import Lower

FAR = Identity.from_seed(b"far".ljust(32, b"\0"))


def quiet(watch_incoming: bool = True, min_peer_interval_s: int = 60) -> BroadcastConfig:  # noqa: FBT001, FBT002
    return BroadcastConfig(None, watch_incoming, min_peer_interval_s)


async def told(alice: Party) -> list[tuple[str, str, bool]]:
    """Name, way and whether known of each sighting told since the last call."""
    await alice.keystore.durable()
    await settle(alice.air)
    found = [event for event in alice.events if event.kind == "peer_seen"]  # type: ignore[attr-defined]
    alice.events.clear()
    return [(event.name, event.via, event.x25519_known) for event in found]  # type: ignore[attr-defined]


async def meet(alice: Party, seq: int, who: Identity = FAR, *, direct: bool = False) -> list[tuple[str, str, bool]]:
    alice.keystore.learn(parse(issue(who, seq, 0, f"card {seq}").raw), direct=direct)
    return await told(alice)


async def test_of_one_origin_a_routed_sighting_is_told_once_an_interval(party: MakeParty) -> None:
    alice = await party("alice")
    assert await meet(alice, 1) == [("card 1", "routed", True)]
    assert await meet(alice, 2) == []
    alice.clock.advance(59.0)
    assert await meet(alice, 3) == []
    assert await meet(alice, 1, Identity.from_seed(bytes(32))) == [("card 1", "routed", True)]
    alice.clock.advance(1.0)
    assert await meet(alice, 4) == [("card 4", "routed", True)]
    alice.config.in_force = quiet(min_peer_interval_s=5)  # in force at once
    alice.clock.advance(5.0)
    assert await meet(alice, 5) == [("card 5", "routed", True)]


async def test_without_watching_no_routed_sighting_is_told_and_the_key_is_kept(party: MakeParty) -> None:
    alice = await party("alice")
    alice.config.in_force = quiet(watch_incoming=False)
    assert await meet(alice, 1) == []
    assert alice.keystore.get(FAR.node_id) is not None
    alice.config.in_force = quiet()
    assert await meet(alice, 2) == [("card 2", "routed", True)]


async def test_direct_imported_and_forgotten_ones_are_always_told(party: MakeParty) -> None:
    alice = await party("alice")
    alice.config.in_force = quiet(watch_incoming=False, min_peer_interval_s=1000)
    assert await meet(alice, 1, direct=True) == [("card 1", "direct", True)]
    assert await meet(alice, 2, direct=True) == [("card 2", "direct", True)]
    await alice.keystore.forget(FAR.node_id)
    assert await told(alice) == [("", "direct", False)]
    await alice.keystore.import_identity(FAR.node_id, FAR.x25519_pub, "by hand")
    assert await told(alice) == [("by hand", "routed", True)]


async def test_who_was_told_as_gone_is_told_when_it_comes_back(party: MakeParty) -> None:
    alice = await party("alice")
    assert len(await meet(alice, 1)) == 1
    await alice.keystore.forget(FAR.node_id)
    assert len(await told(alice)) == 1
    assert await meet(alice, 2) == [("card 2", "routed", True)]


@pytest.mark.limit("identities remembered as told of")
async def test_only_so_many_origins_are_remembered(party: MakeParty, lower: Lower) -> None:
    lower(sightings.ORIGINS, 3)
    alice = await party("alice")
    crowd = [Identity.from_seed(bytes([n]) * 32) for n in range(1, 6)]
    for who in crowd:
        assert len(await meet(alice, 1, who)) == 1
    assert list(alice.running._sightings._told_at) == [who.node_id for who in crowd[2:]]
    assert await meet(alice, 2, crowd[4]) == []


def wakes(alice: Party) -> bool:
    """Whether the sender is to look again; it has not run since."""
    return alice.running._sender._wake.is_set()


async def test_the_sender_sleeps_while_nobody_it_writes_to_appears(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await settle(alice.air)
    alice.running._reached(NodeId(bytes(16)))
    alice.running._sender.appeared(bob.id, anew=False)
    assert not wakes(alice)
    await alice.say(bob, "x")
    await settle(alice.air)
    alice.running._reached(NodeId(bytes(16)))
    assert not wakes(alice)
    alice.running._reached(bob.id)
    assert wakes(alice)


def counted(alice: Party, monkeypatch: pytest.MonkeyPatch) -> list[NodeId]:
    """Whose receipts were looked up on disk."""
    looked_up: list[NodeId] = []
    store = alice.running._store
    read_receipts = store.read_receipts

    async def counting(peer: NodeId, now_ms: int) -> list[Any]:
        looked_up.append(peer)
        return await read_receipts(peer, now_ms)

    monkeypatch.setattr(store, "read_receipts", counting)
    return looked_up


async def test_the_disk_is_asked_for_receipts_only_of_those_who_are_owed_some(
    party: MakeParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await party("alice"), await party("bob")
    bob.mesh.connect(alice.id)
    alice.mesh.connect(bob.id)
    await bob.say(alice, "read me")
    await settle(alice.air)
    await alice.running.mark_read(MarkReadParams(peer_node_id=bob.id, up_to_ts_ms=2**60))
    await settle(alice.air)
    await alice.kill()
    await alice.start()  # what is owed is known after a restart, too
    looked_up = counted(alice, monkeypatch)
    for number in range(1000):
        alice.mesh.topic.publish(RouteFound(NodeId(number.to_bytes(16))))
    alice.mesh.connect(bob.id)
    await settle(alice.air)
    assert looked_up == [bob.id]
    for _ in range(10):
        alice.mesh.connect(bob.id)  # the route comes and goes faster than receipts are sent
    await settle(alice.air)
    assert looked_up == [bob.id, bob.id]
    alice.clock.advance(25 * 3600.0)  # over, so this is the last look
    for _ in range(3):
        alice.mesh.connect(bob.id)
        await settle(alice.air)
    assert looked_up == [bob.id] * 3


async def test_when_sightings_were_missed_what_waits_is_tried(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    alice.mesh.routed.add(bob.id)
    bob.mesh.routed.add(alice.id)
    await alice.keystore.forget(bob.id)
    await alice.keystore.import_identity(bob.id, bob.identity.x25519_pub, "bob")
    await alice.say(bob, "waits for a card")
    await settle(alice.air)
    heard, alice.keystore._topic = alice.keystore._topic, Topic()
    alice.keystore.learn(parse(issue(bob.identity, 5, 0, "bob").raw), direct=False)
    await alice.keystore.durable()
    await settle(alice.air)
    assert await bob.messages(alice) == []
    for number in range(SUBSCRIBER_QUEUE.value + 1):
        heard.publish(Seen(NodeId(number.to_bytes(16)), bytes(32), "", PeerInfoSource.ROUTED))
    await settle(alice.air)
    assert [message.body for message in await bob.messages(alice)] == ["waits for a card"]
    assert alice.told.missing == 1
