"""A mailbox alone: whom it serves, what it keeps within which limits, and what it hands over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pimd.contract import LOCAL_SOURCE, Database
from pimd.ids import MessageId, NodeId
from pimd.testing import Alone, virtual_time
from pimd_features.mailbox import FEATURE, plugin, room, wire
from pimd_features.mailbox.room import Item, Room
from pimd_features.mailbox.schema import MIGRATIONS
from pimd_features.mailbox.store import KEPT_MS, MailboxStore
from pimd_features.mailbox.wire import Answer, Put, Taken

Plugin = Callable[..., Alone]
Lower = Callable[..., None]

BOB = NodeId(b"bob".ljust(16))
ALICE = NodeId(b"alice".ljust(16))
SERVES_BOB = {"serve": [str(BOB)]}


def node(number: int) -> NodeId:
    return NodeId(number.to_bytes(16))


def message(number: int) -> MessageId:
    return MessageId(number.to_bytes(16))


def put(number: int = 1, body: bytes = b"sealed", recipient: NodeId = BOB) -> bytes:
    return bytes((1, 0)) + recipient + message(number) + body


async def leave(box: Alone, body: bytes, src: NodeId = ALICE) -> Answer:
    """Leave one message, and return the answer."""
    box.sent.clear()
    await box.deliver(wire.PUT_KIND, body, src)
    answers = [one for one in box.sent if one.kind == wire.KEPT_KIND]
    assert [(one.to, one.body[1:]) for one in answers] == [(src, body[2:34])]
    return Answer(answers[0].body[0])


async def friend(box: Alone) -> NodeId:
    """Link a contact that is there, and answers only what the test lets it."""
    bob = (await box.neighbour("bob")).id
    keystore = box.daemon.running_daemon.core.keystore
    await box.daemon.within("a contact", lambda: keystore.set_contact(bob, contact=True))
    return bob


# --- whom it serves


@virtual_time
async def test_without_a_list_it_serves_contacts_of_its_owner_and_nobody_else(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE) as box:
        assert await leave(box, put()) is Answer.NOT_SERVED
        await box.know(BOB)  # an import makes a contact
        assert await leave(box, put()) is Answer.KEPT
        await box.call("mailbox.status")
        status = await box.call("mailbox.status")
        assert (status["serves"], status["messages"], status["refused"]) == ("contacts", 1, 1)


@virtual_time
async def test_with_a_list_it_serves_those_alone(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        await box.know(ALICE)
        assert await leave(box, put(recipient=ALICE), BOB) is Answer.NOT_SERVED
        assert await leave(box, put()) is Answer.KEPT
        for served, answer in ((BOB, Answer.KEPT), (ALICE, Answer.NOT_SERVED)):
            box.sent.clear()
            await box.deliver(wire.BUNDLE_KIND, b"a bundle of some length", served)
            assert box.sent[0].body == bytes((answer,)) + served
        for asked, answers in ((BOB, 1), (ALICE, 0), (node(7), 0)):
            box.sent.clear()
            await box.deliver(wire.BUNDLE_KIND, asked)
            assert [one.body for one in box.sent] == [b"a bundle of some length"] * answers


@virtual_time
async def test_what_is_malformed_is_dropped(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        for body in (b"", put()[:34], b"\x02" + put()[1:]):
            await box.deliver(wire.PUT_KIND, body)
        for body in (b"", bytes(32), b"\x02" + bytes(32)):
            await box.deliver(wire.TAKEN_KIND, body, BOB)
        assert not box.sent
        assert (await box.call("mailbox.status"))["messages"] == 0


# --- keeping and handing over


@virtual_time
async def test_a_message_that_is_left_again_takes_the_place_of_the_first(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        for body in (b"sealed", b"sealed anew, and longer"):
            assert await leave(box, put(body=body)) is Answer.KEPT
        assert await leave(box, put(), node(9)) is Answer.KEPT  # of another sender, with the same id
        status = await box.call("mailbox.status")
        assert (status["messages"], status["bytes"]) == (2, 23 + 6)
        assert status["recipients"][0]["node_id"] == str(BOB)


@virtual_time
async def test_a_recipient_that_appears_gets_all_in_order_and_what_it_takes_is_deleted(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE) as box:
        bob = await friend(box)
        await leave_while_away(box, bob, 40)
        handed: list[int] = []
        for _ in range(10):
            mail = [one for one in box.sent if one.kind == wire.MAIL_KIND]
            box.sent.clear()
            for one in mail:
                assert one.body[:18] == bytes((1, 0)) + ALICE
                handed.append(int.from_bytes(one.body[18:34]))
                await box.deliver(wire.TAKEN_KIND, b"\0" + one.body[2:34], bob)
        assert handed == list(range(40))
        assert (await box.call("mailbox.status"))["messages"] == 0


async def leave_while_away(box: Alone, recipient: NodeId, count: int) -> None:
    """Leave messages in one turn, so that all are there when the first is handed over."""
    for number in range(count):
        await box.deliver(wire.PUT_KIND, put(number, recipient=recipient), ALICE)


@virtual_time
async def test_what_is_put_off_waits_until_the_recipient_appears_again(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE) as box:
        bob = await friend(box)
        await leave(box, put(1, recipient=bob))
        await box.deliver(wire.TAKEN_KIND, b"\1" + ALICE + message(1), bob)
        box.sent.clear()
        await box.sleep(3600)
        assert [one for one in box.sent if one.kind == wire.MAIL_KIND] == []
        await box.deliver(wire.BUNDLE_KIND, b"a bundle of some length", bob)
        await box.sleep(1)
        assert [one.body[18:34] for one in box.sent if one.kind == wire.MAIL_KIND] == [message(1)]


@virtual_time
async def test_what_was_put_off_and_is_taken_after_all_is_remembered_no_more(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        box_plugin: Any = box.plugin
        for number in range(3):
            await leave(box, put(number))
            for later in (b"\1", b"\0"):
                await box.deliver(wire.TAKEN_KIND, later + ALICE + message(number), BOB)
        assert not any(box_plugin._handing._later.values())


@virtual_time
async def test_a_recipient_that_does_not_answer_gets_it_three_times_and_then_every_ten_minutes(
    pimd_plugin: Plugin,
) -> None:
    async with pimd_plugin(FEATURE) as box:
        bob = await friend(box)
        await leave(box, put(recipient=bob))
        await box.sleep(300)
        mail = [one for one in box.sent if one.kind == wire.MAIL_KIND]
        assert len(mail) == 3
        await box.sleep(600)
        assert 3 < len([one for one in box.sent if one.kind == wire.MAIL_KIND]) <= 6


@virtual_time
async def test_nobody_takes_what_is_kept_for_another(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        await leave(box, put())
        for src in (ALICE, node(7)):
            await box.deliver(wire.TAKEN_KIND, b"\0" + ALICE + message(1), src)
        assert (await box.call("mailbox.status"))["messages"] == 1


@virtual_time
async def test_what_is_kept_is_there_after_a_kill_and_goes_with_who_is_forgotten(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE) as box:
        await box.know(BOB)
        await leave(box, put())
        await box.disable()
        await box.enable()
        assert (await box.call("mailbox.status"))["messages"] == 1
        await box.know(ALICE)
        await box.forget(ALICE)  # what she left is Bob's
        assert (await box.call("mailbox.status"))["messages"] == 1
        await box.forget(BOB)
        assert (await box.call("mailbox.status"))["messages"] == 0


@virtual_time
async def test_who_has_nothing_here_costs_no_write(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        box_plugin: Any = box.plugin
        before = box_plugin._database.transactions
        for later in (b"\0", b"\1"):
            await box.deliver(wire.TAKEN_KIND, later + (ALICE + message(1)) * 64, node(7))
        assert box_plugin._database.transactions == before


async def test_what_is_kept_for_28_days_goes_and_what_replaced_it_with_it(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "mailbox.db", MIGRATIONS) as database:
        store = MailboxStore(database)
        await store.load()
        await store.keep(Put(0, BOB, message(1), b"one"), ALICE, "", 0)
        await store.keep(Put(0, BOB, message(1), b"anew"), ALICE, "", KEPT_MS - 1)
        await store.keep_bundle(BOB, b"bundle", 0, 10)
        assert await store.age(KEPT_MS - 1) == 0
        assert await store.bundle(BOB) == b"bundle"
        assert await store.age(KEPT_MS) == 1
        assert (store.room.messages, store.room.bytes, await store.bundle(BOB)) == (0, 0, None)
        assert not store.room.holds_for(BOB)


# --- limits


@pytest.mark.limit("bytes of one kept message")
@virtual_time
async def test_a_message_has_a_size(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        assert await leave(box, put(1, bytes(wire.MESSAGE_BYTES.value + 1))) is Answer.NO_ROOM
        assert await leave(box, put(1, bytes(wire.MESSAGE_BYTES.value))) is Answer.KEPT


QUOTAS = [
    (room.SENDER_MESSAGES, 3, 3),
    (room.SENDER_BYTES, 3500, 3),
    (room.RECIPIENT_MESSAGES, 3, 3),
    (room.RECIPIENT_BYTES, 3500, 3),
    (room.MESSAGES, 3, 3),
    (room.BYTES, 3500, 3),
]


@pytest.mark.limit("messages kept of one sender", "bytes kept of one sender")
@pytest.mark.limit("messages kept for one recipient", "bytes kept for one recipient")
@pytest.mark.limit("messages kept for all recipients", "bytes kept for all recipients")
@virtual_time
async def test_quotas_count_of_contacts_too(pimd_plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, value, most in QUOTAS:
        with monkeypatch.context() as patch:
            patch.setattr(limit, "value", value)
            async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
                await box.know(ALICE)
                answers = [await leave(box, put(number, bytes(1000))) for number in range(most + 2)]
                assert answers == [Answer.KEPT] * most + [Answer.NO_ROOM] * 2
                assert await leave(box, put(0, bytes(1000))) is Answer.KEPT  # in its own place
                await box.deliver(wire.TAKEN_KIND, b"\0" + ALICE + message(0), BOB)
                assert await leave(box, put(99, bytes(1000))) is Answer.KEPT


def test_a_message_cannot_grow_beyond_a_quota_by_being_left_again(lower: Lower) -> None:
    lower(room.SENDER_BYTES, 1000)
    held = Room()
    small = Item(BOB, ALICE, "", 100)
    held.add(small)
    assert held.refuses(Item(BOB, ALICE, "", 1000), small) is None
    assert held.refuses(Item(BOB, ALICE, "", 1001), small) is room.SENDER_BYTES
    assert (held.messages, held.bytes) == (1, 100)


def fill(held: Room, brought_by: str, recipient: NodeId = BOB) -> int:
    """Leave as much as is taken, each of another sender; return the number."""
    for count in range(10**6):
        item = Item(recipient, node(hash((brought_by, count)) % 2**60), brought_by, 100)
        if held.refuses(item) is not None:
            return count
        held.add(item)
    raise AssertionError


def test_strangers_of_one_source_leave_room_to_others_and_all_of_them_to_contacts(lower: Lower) -> None:
    lower(room.RECIPIENT_MESSAGES, 400)
    lower(room.MESSAGES, 4000)
    held = Room()
    first = fill(held, "192.0.2.1")
    assert first == 75  # a quarter of three quarters
    shares = [fill(held, f"192.0.2.{number}") for number in range(2, 60)]
    assert shares == sorted(shares, reverse=True)
    assert min(shares) >= 1
    assert held.messages <= 300
    strangers, contact = held.messages, Item(BOB, ALICE, "", 100)
    while held.refuses(contact) is None:
        held.add(contact)
    assert held.refuses(contact) is room.RECIPIENT_MESSAGES
    assert held.messages - strangers >= 100


def test_a_source_cannot_fill_the_mailbox_by_writing_to_all_that_it_serves(lower: Lower) -> None:
    lower(room.MESSAGES, 400)
    held = Room()
    assert sum(fill(held, "192.0.2.1", node(number)) for number in range(20)) <= 75 + 20
    assert held.refuses(Item(BOB, ALICE, "192.0.2.2", 100)) is None


@virtual_time
async def test_neighbours_on_this_machine_share_one_source(pimd_plugin: Plugin) -> None:
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        box_plugin: Any = box.plugin
        assert box_plugin._source(node(7)) == str(node(7))
        box_plugin._keystore = type("Local", (), {"brought_by": lambda self, one: f"{LOCAL_SOURCE}{one}"})()
        assert box_plugin._source(node(7)) == box_plugin._source(node(8)) == LOCAL_SOURCE


@pytest.mark.limit("bundles kept for others", "bytes of a kept bundle")
@virtual_time
async def test_bundles_have_a_number_and_a_size(pimd_plugin: Plugin, lower: Lower) -> None:
    lower(plugin.BUNDLES, 2)
    served = [node(number) for number in range(1, 5)]
    async with pimd_plugin(FEATURE, settings={"serve": [str(one) for one in served]}) as box:
        for one in served:
            await box.deliver(wire.BUNDLE_KIND, b"a bundle of " + one, one)
            await box.sleep(1)
        await box.deliver(wire.BUNDLE_KIND, bytes(plugin.BUNDLE_BYTES.value + 1), served[3])
        box.sent.clear()
        for one in served:
            await box.deliver(wire.BUNDLE_KIND, one, ALICE)
        assert [one.body for one in box.sent] == [b"a bundle of " + one for one in served[2:]]


@pytest.mark.limit("messages that one payload of a recipient takes")
@virtual_time
async def test_one_payload_takes_a_number_of_messages(pimd_plugin: Plugin, lower: Lower) -> None:
    lower(wire.TAKEN_AT_ONCE, 1)
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        for number in (1, 2):
            await leave(box, put(number))
        await box.deliver(wire.TAKEN_KIND, b"\0" + b"".join(ALICE + message(number) for number in (1, 2)), BOB)
        assert (await box.call("mailbox.status"))["messages"] == 2


@pytest.mark.limit("messages that all who are no contacts leave")
@pytest.mark.limit("questions for kept bundles of all who are no contacts")
@virtual_time
async def test_strangers_have_rates_that_contacts_do_not_feel(pimd_plugin: Plugin, lower: Lower) -> None:
    lower(plugin.STRANGERS_PUTS, 1, burst=2)
    lower(plugin.QUESTIONS, 1, burst=2)
    async with pimd_plugin(FEATURE, settings=SERVES_BOB) as box:
        await box.know(ALICE)
        await box.deliver(wire.BUNDLE_KIND, b"a bundle of some length", BOB)
        for kind, body in ((wire.PUT_KIND, put()), (wire.BUNDLE_KIND, bytes(BOB))):
            box.sent.clear()
            for number in range(5):
                await box.deliver(kind, body, node(100 + number))
            assert len(box.sent) == 2
            for src in (ALICE, BOB):
                await box.deliver(kind, body, src)
            assert len(box.sent) == 4


def test_taken_is_read_as_it_is_written() -> None:
    raw = b"\1" + ALICE + message(1) + BOB + message(2)
    assert Taken.decode(raw) == Taken(later=True, keys=((ALICE, message(1)), (BOB, message(2))))
