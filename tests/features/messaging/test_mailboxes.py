"""Mailboxes as messaging sees them: limits, and what a mailbox is believed."""

import asyncio

import pytest

from pimd.contract import NoParams, PluginPayload
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import keying, receiving
from pimd_features.messaging.posting import Posting
from pimd_features.messaging.sessions.bundle import BUNDLE_KIND
from pimd_features.messaging.sessions.limits import SESSION_MESSAGES
from pimd_features.messaging.strangers import STRANGER_MESSAGES
from pimd_features.messaging.wire import (
    ACKS_KIND,
    KEPT_KIND,
    MAIL_KIND,
    PUT_KIND,
    QUESTION_KIND,
    TAKEN_KIND,
    Letter,
    Sort,
)
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.limits import Lower


async def served(party: MakeParty) -> tuple[Party, Party, Party]:
    """Alice knows Bob's bundle, which names the mailbox; Bob is away."""
    alice, box = await party("alice"), await party("box")
    bob = await party("bob", mailboxes=[box.id])
    for one, other in ((alice, bob), (bob, alice)):
        one.mesh.connect(other.id)
    await alice.say(bob, "before")
    await settle(alice.air)
    for one, other in ((alice, bob), (bob, alice)):
        one.mesh.disconnect(other.id)
    alice.mesh.connect(box.id)
    bob.mesh.connect(box.id)
    await settle(alice.air)
    return alice, bob, box


def sent(party: Party, kind: str) -> list[tuple[NodeId, PluginPayload]]:
    """Take what a party sent of a kind off the air."""
    mine = [(dst, payload) for src, dst, payload in party.air.waiting if src == party.id and payload.kind == kind]
    party.air.waiting = [one for one in party.air.waiting if (one[0], one[2].kind) != (party.id, kind)]
    return mine


async def pass_time(party: Party, seconds: float) -> None:
    """Let time pass without a delivery."""
    for _ in range(round(seconds / 2)):
        party.clock.advance(2)
        quiet = 0
        while quiet < 10:
            await asyncio.sleep(0.001)
            quiet = 0 if party.is_busy else quiet + 1


async def left_for_bob(alice: Party, bob: Party, text: str) -> list[Letter]:
    """Return what Alice leaves at the mailbox, the own bundle included."""
    await alice.say(bob, text)
    await pass_time(alice, 16)
    return [Letter.decode(payload.body) for _, payload in sent(alice, PUT_KIND)]


async def test_messages_go_to_named_mailboxes_after_ten_seconds(party: MakeParty) -> None:
    alice, bob, box = await served(party)
    await alice.say(bob, "kept")
    await pass_time(alice, 8)
    assert sent(alice, PUT_KIND) == []
    await pass_time(alice, 8)
    (dst, payload), *_ = sent(alice, PUT_KIND)
    letter = Letter.decode(payload.body)
    assert (dst, letter.sort, letter.other) == (box.id, Sort.MESSAGE, bob.id)
    for liar in (bob, alice):  # only the mailbox that was asked is believed
        await alice.take(liar.id, KEPT_KIND, b"\0" + bob.id + letter.id)
    await settle(alice.air)
    assert [one.status for one in await alice.messages(bob)] == ["pending", "delivered"]
    await alice.take(box.id, KEPT_KIND, b"\0" + bob.id + letter.id)
    await pass_time(alice, 2)
    assert [one.status for one in await alice.messages(bob)] == ["kept", "delivered"]


async def test_who_was_acknowledged_directly_and_goes_away_is_not_left_alone_for_the_pause_after_that(
    party: MakeParty,
) -> None:
    alice, bob, _ = await served(party)
    alice.mesh.connect(bob.id)
    alice.running._posting.owe(bob.id)
    await alice.say(bob, "lost on the way")
    await pass_time(alice, 4)
    alice.mesh.disconnect(bob.id)
    await pass_time(alice, 16)
    assert sent(alice, PUT_KIND)


def looks(posting: Posting) -> bool:
    return posting._next_look is not None


async def test_nobody_looks_for_mailboxes_while_nothing_waits(party: MakeParty) -> None:
    alice, bob, _ = await served(party)
    await alice.say(bob, "hello")
    await pass_time(alice, 4)
    posting = alice.running._posting
    assert looks(posting)
    await alice.running.delete_all(NoParams())
    posting._owing.clear()
    await pass_time(alice, 4)
    assert not looks(posting)
    await alice.say(bob, "hello again")
    await pass_time(alice, 16)
    assert sent(alice, PUT_KIND)


@pytest.mark.parametrize("is_reached_before", [False, True])
async def test_a_mailbox_that_comes_back_is_asked_for_a_bundle_at_once(
    party: MakeParty,
    is_reached_before: bool,  # noqa: FBT001
) -> None:
    box = await party("box")
    alice, bob = await party("alice", mailboxes=[box.id]), await party("bob", mailboxes=[box.id])
    if is_reached_before:  # and dies before it answers
        alice.mesh.connect(box.id)
    await alice.say(bob, "hello")
    await pass_time(alice, 16)
    questions = [payload.body for _, payload in sent(alice, QUESTION_KIND) if payload.body == bob.id]
    assert len(questions) == is_reached_before
    alice.mesh.disconnect(box.id)
    await pass_time(alice, 4)
    alice.mesh.connect(box.id)
    await pass_time(alice, 4)
    assert (box.id, bob.id) in [(dst, payload.body) for dst, payload in sent(alice, QUESTION_KIND)]


async def test_one_whose_message_came_without_its_bundle_can_be_answered(party: MakeParty) -> None:
    """Both go to a mailbox, which may keep one of them alone: the own mailbox may know the bundle, and is asked."""
    box = await party("box")
    alice, bob = await party("alice", mailboxes=[box.id]), await party("bob", mailboxes=[box.id])
    for one, other in ((alice, bob), (bob, alice)):
        one.mesh.connect(other.id)
    await bob.say(alice, "hello")
    await settle(alice.air)
    alice.mesh.disconnect(bob.id)
    database = alice.running._database
    assert database is not None
    for sql in ("DELETE FROM peer_bundles", "DELETE FROM sessions_out", "UPDATE correspondents SET mailboxes = x''"):
        await database.write("lose", lambda connection, sql=sql: connection.execute(sql).rowcount)  # type: ignore[misc]
    alice.mesh.connect(box.id)
    await alice.say(bob, "hello back")
    await pass_time(alice, 16)
    assert (box.id, bob.id) in [(dst, payload.body) for dst, payload in sent(alice, QUESTION_KIND)]


async def test_a_mailbox_that_does_not_serve_this_node_is_asked_again_after_ten_minutes(party: MakeParty) -> None:
    _, bob, box = await served(party)

    async def bundles_after(seconds: float) -> list[NodeId]:
        bob.clock.advance(seconds)
        await pass_time(bob, 2)
        return [dst for dst, payload in sent(bob, QUESTION_KIND) if len(payload.body) > NodeId.SIZE]

    await bundles_after(2)
    await bob.take(box.id, KEPT_KIND, b"\2" + bob.id)
    assert await bundles_after(560) == []
    assert await bundles_after(100) == [box.id]
    await bob.take(box.id, KEPT_KIND, b"\0" + bob.id)
    assert await bundles_after(700) == []


@pytest.mark.parametrize(("answer", "pause_s"), [(1, 600), (2, 6 * 3600)])
async def test_a_mailbox_that_refuses_is_left_alone_for_a_while(party: MakeParty, answer: int, pause_s: int) -> None:
    alice, bob, box = await served(party)
    letters = await left_for_bob(alice, bob, "refused")
    for letter in letters:
        await alice.take(box.id, KEPT_KIND, bytes((answer,)) + bob.id + letter.id)
    await pass_time(alice, 2)
    alice.clock.advance(pause_s - 60)
    await pass_time(alice, 4)
    assert sent(alice, PUT_KIND) == []
    alice.clock.advance(60 + 600)  # the longest pause between two looks at one peer
    await pass_time(alice, 4)
    assert sent(alice, PUT_KIND)
    assert [one.status for one in await alice.messages(bob)] == ["pending", "delivered"]


async def test_letters_of_nodes_that_are_no_mailbox_of_this_node_are_not_opened(party: MakeParty) -> None:
    alice, bob, box = await served(party)
    (letter,) = [one for one in await left_for_bob(alice, bob, "hello") if len(one.body) < 1500][:1]
    mail = Letter(letter.sort, alice.id, letter.id, letter.body).encode()
    await bob.take(alice.id, MAIL_KIND, mail)
    await settle(bob.air)
    assert [one.body for one in await bob.messages(alice)] == ["before"]
    await bob.take(box.id, MAIL_KIND, mail)
    assert [payload.body for _, payload in sent(bob, TAKEN_KIND)] == [b"\0" + alice.id + letter.id]


async def test_a_former_mailbox_is_heard_and_gets_no_bundle(party: MakeParty) -> None:
    alice, bob, box = await served(party)
    (letter, *_) = await left_for_bob(alice, bob, "hello")
    await bob.kill()
    sent(bob, QUESTION_KIND)
    bob.settings = type(bob.settings)()
    await bob.start()
    await settle(bob.air)
    bob.mesh.disconnect(box.id)
    bob.mesh.connect(box.id)
    await settle(bob.air)
    assert sent(bob, QUESTION_KIND) == []
    await bob.take(box.id, MAIL_KIND, Letter(letter.sort, alice.id, letter.id, letter.body).encode())
    assert sent(bob, TAKEN_KIND)


@pytest.mark.limit("headers that mailboxes bring")
async def test_headers_that_mailboxes_bring_have_a_rate(party: MakeParty, lower: Lower) -> None:
    lower(receiving.LETTERS_HEADERS, 1, burst=2)
    _, bob, box = await served(party)
    carol = await party("carol")
    answers: list[bytes] = []
    for number in range(4):
        carol.written.clear()  # a session of its own
        id_ = MessageId(bytes((number,)) * 16)
        body = await carol.sealed(bob, id_, 1, b"hello")
        await bob.take(box.id, MAIL_KIND, Letter(Sort.MESSAGE, carol.id, id_, body).encode())
        answers += [payload.body[:1] for _, payload in sent(bob, TAKEN_KIND)]
    assert answers == [b"\0", b"\0", b"\1", b"\1"]
    assert len(await bob.messages(carol)) == 2


@pytest.mark.limit("resets left at mailboxes")
async def test_resets_are_left_at_mailboxes_at_a_rate(party: MakeParty, lower: Lower) -> None:
    lower(keying.RESETS_LEFT, 1, burst=2)
    alice, bob, box = await served(party)
    for number in range(5):
        await alice.running._keying.say_lost(bob.id, bytes((number,)) * 16)
    await pass_time(alice, 2)
    letters = [Letter.decode(payload.body) for dst, payload in sent(alice, PUT_KIND) if dst == box.id]
    assert [(one.sort, one.other) for one in letters] == [(Sort.RESET, bob.id)] * 2


@pytest.mark.limit("questions for bundles that mailboxes have not answered")
async def test_only_answers_to_questions_are_taken_of_mailboxes(party: MakeParty, lower: Lower) -> None:
    lower(keying.ASKED_AT_MAILBOXES, 1)
    alice, bob, box = await served(party)
    carol = await party("carol")
    lasting = {one.id: (await one.running._keying.lasting()).raw for one in (bob, carol)}
    for one in (carol, bob):
        await alice.running._keying.ask_at(box.id, one.id)

    async def has(peer: Party) -> bool:
        return await alice.running._keying.is_correspondent(peer.id)

    await alice.take(box.id, BUNDLE_KIND, lasting[carol.id])  # that question is forgotten
    assert not await has(carol)
    await alice.running._keying.ask_at(box.id, carol.id)
    one_time = await carol.running._keying.give_one_time(alice.id)
    assert one_time is not None
    await alice.take(bob.id, BUNDLE_KIND, lasting[carol.id])
    await alice.take(box.id, BUNDLE_KIND, one_time.raw + lasting[carol.id])
    assert not await has(carol)
    await alice.take(box.id, BUNDLE_KIND, lasting[carol.id])
    assert await has(carol)


async def test_other_mailboxes_are_named_in_a_new_lasting_bundle_at_once(party: MakeParty) -> None:
    alice, bob, box = await served(party)
    before = await bob.running._keying.lasting()
    assert (before.mailboxes, await bob.running._keying.lasting()) == ((box.id,), before)
    await bob.kill()
    bob.settings = type(bob.settings)(mailboxes=[alice.id, bob.id, alice.id])
    await bob.start()
    assert (await bob.running._keying.lasting()).mailboxes == (alice.id,)


async def test_a_bundle_of_no_use_is_not_asked_for_at_once_again(party: MakeParty) -> None:
    alice, box, carol = await party("alice"), await party("box"), await party("carol")
    alice.mesh.connect(box.id)
    lasting = (await carol.running._keying.lasting()).raw
    alice.clock.set_unix_ms(alice.clock.unix_ms() + 40 * 24 * 3600 * 1000)  # it is too old now
    await alice.say(carol, "hello", mailbox=box.id)
    asked = 0
    for _ in range(60):
        await pass_time(alice, 2)
        asked += len(sent(alice, QUESTION_KIND))
        await alice.take(box.id, BUNDLE_KIND, lasting)
    assert 1 <= asked <= 4


async def test_a_fellows_text_without_room_is_handed_over_again_and_opens_then(party: MakeParty, lower: Lower) -> None:
    lower(STRANGER_MESSAGES, 1)
    _, bob, box = await served(party)
    carol = await party("carol")
    await bob.running.parcels.set_fellows([carol.id])
    letters = []
    for number in range(2):
        id_ = MessageId(bytes((number,)) * 16)
        body = await carol.sealed(bob, id_, 1, b"text %d" % number)
        letters.append(Letter(Sort.MESSAGE, carol.id, id_, body).encode())
    for letter, answer in ((letters[0], b"\0"), (letters[1], b"\1")):
        await bob.take(box.id, MAIL_KIND, letter)
        assert [payload.body[:1] for _, payload in sent(bob, TAKEN_KIND)] == [answer]
    await bob.keystore.set_contact(carol.id, contact=True)
    await bob.take(box.id, MAIL_KIND, letters[1])
    assert [payload.body[:1] for _, payload in sent(bob, TAKEN_KIND)] == [b"\0"]
    assert [one.body for one in await bob.messages(carol)] == ["text 1", "text 0"]


async def test_a_letter_with_a_number_that_no_session_has_is_not_asked_for_again(party: MakeParty) -> None:
    alice, bob, box = await served(party)
    (letter, *_) = await left_for_bob(alice, bob, "hello")
    body = letter.body[:34] + (SESSION_MESSAGES.value).to_bytes(4) + letter.body[38:]
    await bob.take(box.id, MAIL_KIND, Letter(letter.sort, alice.id, letter.id, body).encode())
    assert [payload.body[:1] for _, payload in sent(bob, TAKEN_KIND)] == [b"\0"]


async def mails_for_bob(alice: Party, bob: Party, *texts: str) -> list[bytes]:
    """What a mailbox hands to Bob; then Alice is there, too."""
    mails = []
    for text in texts:
        letters = await left_for_bob(alice, bob, text)
        mails.append(Letter(Sort.MESSAGE, alice.id, letters[-1].id, letters[-1].body).encode())
        alice.clock.advance(60)
    bob.mesh.connect(alice.id)
    await settle(bob.air)
    sent(bob, ACKS_KIND)
    return mails


async def test_an_acknowledgement_that_finds_no_room_is_sent_again(party: MakeParty) -> None:
    alice, bob, box = await served(party)
    (mail,) = await mails_for_bob(alice, bob, "hello")
    bob.room.clear()
    await bob.take(box.id, MAIL_KIND, mail)
    await pass_time(bob, 10)
    assert sent(bob, ACKS_KIND) == []
    bob.room.set()
    await pass_time(bob, 60)
    assert [payload.body[1:] for _, payload in sent(bob, ACKS_KIND)] == [mail[18:34]]


async def test_what_comes_while_others_are_acknowledged_is_acknowledged_next(
    party: MakeParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob, box = await served(party)
    mails = await mails_for_bob(alice, bob, "first", "second")
    keying, later = bob.running._keying, mails[1:]
    true = keying.send_lasting

    async def send_lasting(peer: NodeId) -> None:
        if later:
            await bob.take(box.id, MAIL_KIND, later.pop())
        await true(peer)

    monkeypatch.setattr(keying, "send_lasting", send_lasting)
    await bob.take(box.id, MAIL_KIND, mails[0])
    await pass_time(bob, 60)
    assert [one.body for one in await bob.messages(alice)] == ["second", "first", "before"]
    assert {payload.body[1:] for _, payload in sent(bob, ACKS_KIND)} == {mail[18:34] for mail in mails}
