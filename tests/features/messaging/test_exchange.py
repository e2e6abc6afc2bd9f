"""Messages between plugins over a bad network, through restarts and liars."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from pimd.contract import CONGESTION_MET, InvalidParams, NoParams, PluginPayload
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import strangers as limits_of_strangers
from pimd_features.messaging.acknowledged import IDS
from pimd_features.messaging.errors import MessageBodyTooLarge, MessagePeerUnknown
from pimd_features.messaging.models import (
    EXPIRES_S,
    ConversationParams,
    HistoryCleared,
    HistoryParams,
    MarkReadParams,
    MessageReceived,
    SendParams,
)
from pimd_features.messaging.path import FIRST_WINDOW
from pimd_features.messaging.sessions.message import MSG_KIND
from pimd_features.messaging.store import Outgoing
from pimd_features.messaging.wire import ACKS_KIND, AckKind, Acks
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.limits import Lower


async def pair(party: MakeParty, **settings: Any) -> tuple[Party, Party]:
    alice, bob = await party("alice"), await party("bob", **settings)
    connect(alice, bob)
    return alice, bob


def connect(one: Party, other: Party) -> None:
    one.mesh.connect(other.id)
    other.mesh.connect(one.id)


def disconnect(one: Party, other: Party) -> None:
    one.mesh.disconnect(other.id)
    other.mesh.disconnect(one.id)


async def test_a_message_is_stored_then_acknowledged_then_read(party: MakeParty) -> None:
    alice, bob = await pair(party)
    sent = await alice.say(bob, "hello")
    assert sent.status == "pending"
    await settle(alice.air)
    (at_bob,) = await bob.messages(alice)
    assert (at_bob.id, at_bob.body, at_bob.direction, at_bob.status) == (sent.id, "hello", "received", "delivered")
    (at_alice,) = await alice.messages(bob)
    assert at_alice.status == "delivered"
    left = await bob.running.mark_read(MarkReadParams(peer_node_id=alice.id, up_to_ts_ms=2**60))
    assert left.unread_count == 0
    await settle(alice.air)
    (at_alice,) = await alice.messages(bob)
    assert at_alice.status == "read"
    statuses = [event.new_status for event in alice.events if event.kind == "message_status"]  # type: ignore[attr-defined]
    assert statuses == ["sent", "delivered", "read"]
    assert bob.kinds().count("message_received") == 1


async def test_what_the_disk_does_not_take_is_not_acknowledged_and_may_come_again(party: MakeParty) -> None:
    alice, bob = await pair(party)
    body = await alice.sealed(bob, MessageId(bytes(range(16))), bob.clock.unix_ms(), b"keep this")
    assert bob.running._database is not None
    await bob.running._database.read("PRAGMA query_only = 1")
    await bob.take(alice.id, MSG_KIND, body)
    assert (bob.air.waiting, await bob.messages(alice), bob.kinds()) == ([], [], [])
    await bob.running._database.read("PRAGMA query_only = 0")
    await bob.take(alice.id, MSG_KIND, body)
    assert [message.body for message in await bob.messages(alice)] == ["keep this"]
    assert [payload.kind for _, _, payload in bob.air.waiting] == [ACKS_KIND]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_over_a_bad_network_with_restarts_every_message_arrives_once(party: MakeParty, seed: int) -> None:
    alice, bob = await pair(party)
    await bob.keystore.set_contact(alice.id, contact=True)
    air = alice.air
    air.random.seed(seed)
    air.loss, air.double = 0.3, 0.3
    bodies = [f"message {n}" for n in range(60)]
    for n, body in enumerate(bodies):
        alice.clock.advance(0.01)
        await alice.say(bob, body)
        if n % 20 == 10:
            await settle(air)
            victim = air.random.choice([alice, bob])
            await victim.kill()
            await victim.start()
            disconnect(alice, bob)
            connect(alice, bob)
    for loss in (0.3, 0.0):  # a network that stays bad may lose all nine attempts of this time
        air.loss = loss
        for _ in range(20):
            await settle(air)
            alice.clock.advance(40.0)
    await settle(air)
    received = await bob.messages(alice)
    assert sorted(message.body for message in received) == sorted(bodies)
    assert bob.kinds().count("message_received") <= len(bodies)
    told = [event.message for event in bob.events if isinstance(event, MessageReceived)]
    places = {message.id: message.position for message in received}
    assert [message.position for message in told] == sorted(places[message.id] for message in told)  # as they came
    assert {message.status for message in await alice.messages(bob)} == {"delivered"}
    assert len(alice.running._outbox) == 0


async def test_without_a_route_it_waits_and_goes_at_once_when_there_is_one(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await alice.say(bob, "later")
    await settle(alice.air)
    assert await bob.messages(alice) == []
    (waiting,) = await alice.messages(bob)
    assert waiting.status == "pending"
    connect(alice, bob)
    await settle(alice.air)
    assert len(await bob.messages(alice)) == 1


async def test_what_was_lost_in_a_break_is_sent_again_when_the_route_returns(party: MakeParty) -> None:
    alice, bob = await pair(party)
    alice.air.loss = 1.0
    await alice.say(bob, "lost")
    await settle(alice.air)
    alice.air.loss = 0.0
    disconnect(alice, bob)
    connect(alice, bob)
    await settle(alice.air)
    assert [message.body for message in await bob.messages(alice)] == ["lost"]


async def test_it_expires_and_an_acknowledgement_after_that_is_believed(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    sent = await alice.say(bob, "too late", expires_s=60)
    alice.clock.advance(70.0)
    await settle(alice.air)
    alice.clock.advance(61.0)
    await settle(alice.air)
    (message,) = await alice.messages(bob)
    assert (message.status, message.failure_reason) == ("failed", "expired")
    assert alice.kinds().count("message_status") == 1
    assert len(alice.running._outbox) == 0
    await alice.take(bob.id, ACKS_KIND, Acks(1, (sent.id,)).encode())
    (message,) = await alice.messages(bob)
    assert (message.status, message.failure_reason) == ("delivered", None)


async def test_what_expired_is_not_sent_when_a_route_comes(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await alice.say(bob, "too late", expires_s=60)
    for _ in range(2):
        alice.clock.advance(70.0)
        await settle(alice.air)
    connect(alice, bob)
    await settle(alice.air)
    assert await bob.messages(alice) == []


async def test_expiry_is_looked_for_once_a_minute_however_often_the_sender_wakes(
    party: MakeParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await pair(party)
    looks: list[int] = []
    expired = alice.running._outbox.expired

    def look(now_ms: int) -> Iterator[Outgoing]:
        looks.append(now_ms)
        return expired(now_ms)

    monkeypatch.setattr(alice.running._outbox, "expired", look)
    for number in range(24):
        alice.clock.advance(5.0)
        await alice.say(bob, str(number))
        await settle(alice.air)
    assert len(looks) == 2


async def test_the_default_is_14_days(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await alice.say(bob, "x")
    (waiting,) = await alice.running._store.waiting()
    assert waiting.expires_lived_ms - alice.clock.lived_ms() == EXPIRES_S * 1000 == 14 * 24 * 3600 * 1000


async def test_a_state_never_goes_back_and_only_the_recipient_is_believed(party: MakeParty) -> None:
    alice, bob = await pair(party)
    eve = await party("eve")
    disconnect(alice, bob)
    sent = await alice.say(bob, "secret")
    for liar, kind in ((eve, 1), (eve, 2), (bob, 3), (bob, 0), (bob, 255)):
        await alice.take(liar.id, ACKS_KIND, Acks(kind, (sent.id,)).encode())
    assert (await alice.messages(bob))[0].status == "pending"
    await alice.take(bob.id, ACKS_KIND, Acks(2, (sent.id,)).encode())
    await alice.take(bob.id, ACKS_KIND, Acks(1, (sent.id,)).encode())
    message = (await alice.messages(bob))[0]
    assert message.status == "read"
    assert message.delivered_at_ms is not None


@pytest.mark.usefixtures("looks_seldom")
async def test_duplicates_are_acknowledged_again_and_not_shown_again_also_when_deleted(party: MakeParty) -> None:
    alice, bob = await pair(party)
    id_ = MessageId(bytes(16))
    body = await alice.sealed(bob, id_, 1, b"once")
    for _ in range(3):
        await bob.take(alice.id, MSG_KIND, body)
    assert len([1 for _, dst, payload in bob.air.waiting if dst == alice.id and payload.kind == ACKS_KIND]) == 3
    assert len(await bob.messages(alice)) == 1
    await bob.running.delete_conversation(ConversationParams(peer_node_id=alice.id))
    bob.air.waiting.clear()
    await bob.take(alice.id, MSG_KIND, body)
    assert await bob.messages(alice) == []
    assert len(bob.air.waiting) == 1
    bob.clock.advance(31 * 24 * 3600.0)
    await bob.running._keying.age()
    await bob.take(alice.id, MSG_KIND, body)
    assert await bob.messages(alice) == []  # nothing is left that opens it


async def test_a_message_from_the_future_is_dated_at_its_arrival(party: MakeParty) -> None:
    alice, bob = await pair(party)
    for n, timestamp in enumerate((2**63, 5)):
        await bob.take(alice.id, MSG_KIND, await alice.sealed(bob, MessageId(bytes([n]) * 16), timestamp, b"x"))
    assert sorted(message.timestamp_ms for message in await bob.messages(alice)) == [5, bob.clock.unix_ms()]


async def test_what_cannot_be_read_is_dropped_and_not_acknowledged(party: MakeParty) -> None:
    alice, bob = await pair(party)
    id_ = MessageId(bytes(16))
    good = await alice.sealed(bob, id_, 1, b"x")
    bad = [
        b"",
        bytes(23),
        good[:-1],
        good + b"\0",
        b"\2" + good[1:],
        good[:-1] + bytes((good[-1] ^ 1,)),
        await alice.sealed(bob, id_, 1, b""),
        await alice.sealed(bob, id_, 1, b"\xff"),
    ]
    for body in bad:
        await bob.take(alice.id, MSG_KIND, body)
    for body in (b"", bytes(16), bytes(18), bytes(33)[:-1]):
        await bob.take(alice.id, ACKS_KIND, body)
    assert await bob.messages(alice) == []
    assert bob.air.waiting == []


async def test_a_key_learned_later_seals_what_waits_anew(party: MakeParty) -> None:
    alice = await party("alice")
    bob = await party("bob")
    await alice.keystore.forget(bob.id)
    await alice.keystore.import_identity(bob.id, bytes(31) + b"\x09", "wrong key")
    await alice.say(bob, "for your real key")
    alice.learn(bob)
    connect(alice, bob)
    await settle(alice.air)
    assert [message.body for message in await bob.messages(alice)] == ["for your real key"]


async def test_what_waits_for_the_card_of_its_receiver_goes_when_that_comes(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.keystore.forget(bob.id)
    await alice.keystore.import_identity(bob.id, bob.identity.x25519_pub, "bob")
    await alice.say(bob, "as soon as I have your card")
    await settle(alice.air)
    assert await bob.messages(alice) == []
    alice.learn(bob)
    await settle(alice.air)
    assert [message.body for message in await bob.messages(alice)] == ["as soon as I have your card"]


async def test_a_node_sends_nothing_to_itself(party: MakeParty) -> None:
    alice = await party("alice")
    alice.learn(alice)
    with pytest.raises(InvalidParams, match="peer_node_id: this is the node itself"):
        await alice.say(alice, "hello")
    assert await alice.messages(alice) == []


@pytest.mark.parametrize(
    ("body", "error"), [("", InvalidParams), ("x" * 8193, MessageBodyTooLarge), ("ü" * 4097, MessageBodyTooLarge)]
)
async def test_a_body_has_1_to_8192_bytes(party: MakeParty, body: str, error: type[Exception]) -> None:
    alice, bob = await pair(party)
    with pytest.raises(error, match="8192"):
        await alice.say(bob, body)
    assert await alice.messages(bob) == []
    await alice.say(bob, "ü" * 4096)


async def test_a_stranger_cannot_be_written_to(party: MakeParty) -> None:
    alice = await party("alice")
    with pytest.raises(MessagePeerUnknown):
        await alice.running.send(SendParams(peer_node_id=NodeId(bytes(16)), body="x"))


async def test_writing_to_somebody_makes_a_contact(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "x")
    known = alice.keystore.get(bob.id)
    assert known is not None
    assert known.contact


async def flood(bob: Party, src: Party, count: int, body: str, start: int = 0) -> int:
    """Send messages of a stranger; return how many were acknowledged."""
    bob.air.waiting.clear()
    for n in range(start, start + count):
        id_ = MessageId(n.to_bytes(8) + src.id[:8])
        await bob.take(src.id, MSG_KIND, await src.sealed(bob, id_, n, body.encode()))
    return len(bob.air.waiting)


@pytest.mark.limit("messages of one stranger")
async def test_a_stranger_leaves_so_many_messages_and_no_more(party: MakeParty) -> None:
    alice, bob = await pair(party)
    assert await flood(bob, alice, 60, "x") == 50
    assert len(await bob.messages(alice)) == 50
    found = await bob.running.strangers(NoParams())
    assert (found.wrote, found.refused, found.newest_refused) == (1, 1, [alice.id])
    await bob.say(alice, "who are you?")  # answered: no stranger any more
    found = await bob.running.strangers(NoParams())
    assert (found.wrote, found.refused, found.newest_refused) == (0, 0, [])
    assert await flood(bob, alice, 10, "x", start=50) >= 10


@pytest.mark.limit("bytes of messages of one stranger")
async def test_a_stranger_leaves_so_many_bytes_and_no_more(party: MakeParty) -> None:
    alice, bob = await pair(party)
    assert await flood(bob, alice, 40, "x" * 8192) == 31  # what it is padded to must fit


async def test_a_strangers_message_does_not_cost_a_look_through_all_identities(
    party: MakeParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await pair(party)
    monkeypatch.delattr(type(bob.keystore), "list")
    assert await flood(bob, alice, 3, "x") == 3


@pytest.mark.limit("messages of all strangers", "bytes of messages of all strangers")
async def test_all_strangers_together_are_limited(party: MakeParty, lower: Lower) -> None:
    lower(limits_of_strangers.STRANGERS_MESSAGES, 70)
    alice, bob = await pair(party)
    eve = await party("eve")
    connect(bob, eve)
    assert await flood(bob, alice, 60, "x") == 50
    assert await flood(bob, eve, 60, "x") == 20
    lower(limits_of_strangers.STRANGERS_MESSAGES, 10_000)
    lower(
        limits_of_strangers.STRANGERS_BYTES, 150
    )  # 70 bytes are there, and 64 is the least that a message is padded to
    assert await flood(bob, eve, 60, "x" * 8, start=60) == 3


async def test_contacts_only(party: MakeParty) -> None:
    alice, bob = await pair(party, accept="contacts")
    assert await flood(bob, alice, 3, "x") == 0
    await bob.keystore.set_contact(alice.id, contact=True)
    assert await flood(bob, alice, 3, "x") == 3


async def test_who_has_a_label_in_the_configuration_is_no_stranger(party: MakeParty) -> None:
    alice, bob = await pair(party, accept="contacts")
    bob.keystore.index.labels_configured([(alice.id, "alice")])
    assert await flood(bob, alice, 3, "x") == 3


async def test_read_receipts_are_repeated_for_a_day(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "x")
    await settle(alice.air)
    alice.air.loss = 1.0
    await bob.running.mark_read(MarkReadParams(peer_node_id=alice.id, up_to_ts_ms=2**60))
    await settle(alice.air)
    alice.air.loss = 0.0
    disconnect(alice, bob)
    connect(alice, bob)
    await settle(alice.air)
    assert (await alice.messages(bob))[0].status == "read"
    bob.clock.advance(25 * 3600.0)
    assert await bob.running._store.read_receipts(alice.id, bob.clock.lived_ms()) == []


async def test_a_message_that_was_deleted_while_it_waited_holds_up_no_other(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await alice.say(bob, "never mind")
    await alice.running._store.delete(bob.id)  # between two looks of whoever sends
    await alice.say(bob, "this one")
    await settle(alice.air)
    connect(alice, bob)
    await settle(alice.air)
    assert [message.body for message in await bob.messages(alice)] == ["this one"]
    assert len(alice.running._outbox) == 0


async def test_deleting_ends_what_waits_and_tells(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await alice.say(bob, "never mind")
    erased = await alice.running.erase(bob.id)
    assert (erased.messages, erased.conversation) == (1, True)
    connect(alice, bob)
    await settle(alice.air)
    assert await bob.messages(alice) == []
    await alice.running.delete_conversation(
        ConversationParams(peer_node_id=bob.id)
    )  # nothing is there: nothing to tell
    await alice.say(bob, "again")
    deleted = await alice.running.delete_all(NoParams())
    assert (deleted.deleted_messages, deleted.deleted_conversations) == (1, 1)
    cleared = [event for event in alice.events if isinstance(event, HistoryCleared)]
    assert [(event.peer_node_id, event.scope, event.deleted_messages) for event in cleared] == [
        (bob.id, "peer", 1),
        (None, "all", 1),
    ]


async def test_conversations_are_newest_first_with_unread_and_preview(party: MakeParty) -> None:
    alice, bob = await pair(party)
    eve = await party("eve")
    await alice.say(bob, "a\nb" + "c" * 200)
    alice.clock.advance(1.0)
    await alice.take(eve.id, MSG_KIND, await eve.sealed(alice, MessageId(bytes(16)), 2**60, b"hi"))
    first, second = (await alice.running.list_conversations(NoParams())).conversations
    assert (first.name, first.unread_count, first.is_connected, first.last_message_preview) == ("eve", 1, False, "hi")
    assert (second.name, second.unread_count, second.is_connected) == ("bob", 0, True)
    assert second.last_message_preview == "a b" + "c" * 77
    await alice.keystore.set_label(eve.id, "Eve!")
    assert (await alice.running.list_conversations(NoParams())).conversations[0].name == "Eve!"


async def test_history_limits_are_clamped(party: MakeParty) -> None:
    alice, bob = await pair(party)
    for n in range(3):
        await alice.say(bob, str(n))
    page = await alice.running.history(HistoryParams(peer_node_id=bob.id, limit=0))
    assert ([message.body for message in page.messages], page.has_more) == (["2"], True)
    assert len((await alice.running.history(HistoryParams(peer_node_id=bob.id, limit=10**9))).messages) == 3


async def test_an_unknown_kind_of_payload_harms_nobody(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await bob.take(alice.id, "messaging.other", b"x")
    assert PluginPayload("messaging.msg2", b"").kind in bob.running.payload_kinds


async def test_a_message_that_finds_no_room_stays_pending_and_leaves_when_there_is_some(party: MakeParty) -> None:
    alice, bob = await pair(party)
    alice.room.clear()
    sent = await alice.say(bob, "later")
    await settle(alice.air)
    assert [message.status for message in await alice.messages(bob)] == ["pending"]
    assert await bob.messages(alice) == []
    assert alice.running._outbox._peers[bob.id].window.size == FIRST_WINDOW // 2  # it sends less at once then
    alice.room.set()
    await settle(alice.air)
    assert [(message.id, message.status) for message in await alice.messages(bob)] == [(sent.id, "delivered")]
    assert [message.body for message in await bob.messages(alice)] == ["later"]


async def test_an_acknowledgement_tells_whether_the_message_met_congestion(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "let a session begin")
    await settle(alice.air)
    for met in (False, True, False):
        await alice.say(bob, "hello")
        while not alice.air.waiting:
            await asyncio.sleep(0)
        ((_, _, message),) = alice.air.waiting
        alice.air.waiting.clear()
        token = CONGESTION_MET.set(met)
        await bob.take(alice.id, message.kind, message.body)
        CONGESTION_MET.reset(token)
        ((_, _, ack),) = alice.air.waiting
        assert Acks.decode(ack.body).congestion_met is met
        assert Acks.decode(ack.body).kind == AckKind.DELIVERED
        await settle(alice.air)
    assert {message.status for message in await alice.messages(bob)} == {"delivered"}


@pytest.mark.limit("messages that one payload acknowledges")
async def test_a_payload_that_acknowledges_more_than_any_window_holds_is_dropped(party: MakeParty) -> None:
    alice, bob = await pair(party)
    sent = await alice.say(bob, "hello")
    too_many = (sent.id,) * (IDS.value + 1)
    await alice.take(bob.id, ACKS_KIND, Acks(AckKind.READ, too_many).encode())
    assert (await alice.messages(bob))[0].status != "read"
    await alice.take(bob.id, ACKS_KIND, Acks(AckKind.READ, too_many[1:]).encode())
    assert (await alice.messages(bob))[0].status == "read"
