"""Sessions between plugins: bundles asked for and given, resets, what the user sees, and stores of before."""

import shutil
from pathlib import Path

import pytest

from pimd.assembly.services import PluginIdentity
from pimd.contract import KemMissing
from pimd.ids import NodeId
from pimd.proto import mlkem
from pimd_features.messaging import FEATURE, keying
from pimd_features.messaging.archive_models import SearchParams
from pimd_features.messaging.models import SessionParams, SessionRestarted
from pimd_features.messaging.sessions.bundle import BUNDLE_KIND
from pimd_features.messaging.sessions.message import MSG_KIND, Msg2
from pimd_features.messaging.sessions.reset import RESET_KIND, Reset
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.limits import Lower

BEFORE = Path(__file__).parents[2] / "vectors" / "messages_before_sessions.db"


async def pair(party: MakeParty) -> tuple[Party, Party]:
    alice, bob = await party("alice"), await party("bob")
    alice.mesh.connect(bob.id)
    bob.mesh.connect(alice.id)
    return alice, bob


async def bodies(at: Party, of: Party) -> list[str]:
    return [message.body for message in await at.messages(of)]


async def statuses(at: Party, of: Party) -> set[str]:
    return {message.status for message in await at.messages(of)}


def restarts(party: Party) -> list[str]:
    return [event.reason for event in party.events if isinstance(event, SessionRestarted)]


async def session(at: Party, of: Party) -> dict[str, object]:
    return (await at.running.session(SessionParams(peer_node_id=of.id))).model_dump()


async def test_the_user_sees_both_directions(party: MakeParty) -> None:
    alice, bob = await pair(party)
    seen = await session(alice, bob)
    assert (seen["state"], seen["sending"], seen["receiving"]) == ("waits for a bundle", None, None)
    for text in ("one", "two"):
        await alice.say(bob, text)
        await settle(alice.air)
    alice.clock.advance(30)
    seen, at_bob = await session(alice, bob), await session(bob, alice)
    assert (seen["state"], seen["receiving"], seen["resets"]) == ("in session", None, 0)
    assert seen["sending_text"] == "3 messages in 30 s, on a one-time bundle"  # two texts and the lasting bundle
    assert (at_bob["state"], at_bob["kept"]) == ("begins with the next message", 1)
    assert at_bob["receiving_text"] == "3 messages in 30 s, on a one-time bundle"


async def test_a_node_without_sessions_is_said_to_speak_none_and_the_message_waits(party: MakeParty) -> None:
    alice, bob = await pair(party)
    take, bob.running.handle_payload = bob.running.handle_payload, ignore  # type: ignore[method-assign]
    await alice.say(bob, "hello?")
    for _ in range(6):
        await settle(alice.air)
        alice.clock.advance(10)
    assert (await session(alice, bob))["state"] == "speaks no sessions"
    assert await statuses(alice, bob) == {"pending"}
    bob.running.handle_payload = take  # type: ignore[method-assign]
    alice.clock.advance(700)
    await settle(alice.air)
    assert (await statuses(alice, bob), (await session(alice, bob))["state"]) == ({"delivered"}, "in session")


async def ignore(src: NodeId, kind: str, body: bytes) -> None:
    """Drop all payloads, as a node that does not know their kinds."""


async def test_who_lost_its_store_says_so_and_gets_all_again(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "before")
    await settle(alice.air)
    await bob.kill()
    for file in bob.directory.glob("messages.db*"):
        file.unlink()
    await bob.start()
    bob.mesh.connect(alice.id)
    for text in ("after", "and after"):
        await alice.say(bob, text)
    await settle(alice.air)
    assert sorted(await bodies(bob, alice)) == ["after", "and after"]
    assert await statuses(alice, bob) == {"delivered"}
    assert sorted(restarts(alice)) == ["account_changed", "reset"]
    assert (await session(alice, bob))["resets"] == 1


async def test_after_four_repetitions_without_an_answer_messages_are_encrypted_anew(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "heard")
    await settle(alice.air)
    sessions: set[bytes] = set()
    take = bob.running.handle_payload

    async def deaf_to_messages(src: NodeId, kind: str, body: bytes) -> None:
        if kind == MSG_KIND:
            sessions.add(Msg2.decode(body).session_id)
        else:
            await take(src, kind, body)

    bob.running.handle_payload = deaf_to_messages  # type: ignore[method-assign]
    await alice.say(bob, "unheard")
    for _ in range(60):
        await settle(alice.air)
        alice.clock.advance(10)
    assert len(sessions) >= 2
    bob.running.handle_payload = take  # type: ignore[method-assign]
    for _ in range(10):
        alice.clock.advance(120)
        await settle(alice.air)
    assert await bodies(bob, alice) == ["unheard", "heard"]


async def test_an_answer_that_was_not_asked_for_is_not_looked_at(party: MakeParty) -> None:
    alice, bob = await pair(party)
    made = await alice.running._keying.give_one_time(bob.id)
    assert made is not None
    await bob.take(alice.id, BUNDLE_KIND, made.raw)
    assert not (await bob.running._keying.look(alice.id)).has_bundle
    await bob.running._keying.ask(alice.id)
    await bob.take(alice.id, BUNDLE_KIND, b"rubbish")
    await bob.take(alice.id, BUNDLE_KIND, made.raw)
    assert (await bob.running._keying.look(alice.id)).has_bundle


async def test_a_question_for_the_bundle_of_another_is_not_answered(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await bob.take(alice.id, BUNDLE_KIND, alice.id)
    assert bob.air.waiting == []


@pytest.mark.limit("resets that were sent remembered")
async def test_a_reset_goes_once_a_minute_for_a_session(party: MakeParty, lower: Lower) -> None:
    lower(keying.LOST_SAID, 2)
    alice, bob = await pair(party)
    await bob.keystore.set_contact(alice.id, contact=True)

    async def said(number: int) -> int:
        bob.air.waiting.clear()
        await bob.running._keying.say_lost(alice.id, bytes([number]) * 16)
        return len(bob.air.waiting)

    assert [await said(number) for number in (1, 1, 2, 1, 3, 1)] == [1, 0, 1, 0, 1, 1]
    bob.clock.advance(60)
    assert await said(3) == 1
    assert {payload.kind for _, _, payload in bob.air.waiting} == {RESET_KIND}


@pytest.mark.limit("contacts whose questions for bundles are counted", "one-time bundles to a contact")
async def test_a_contact_gets_so_many_one_time_bundles_a_second(party: MakeParty, lower: Lower) -> None:
    lower(keying.CONTACTS_ASKING, 1)
    alice, bob = await pair(party)
    eve = await party("eve")
    for one in (alice, eve):
        await bob.keystore.set_contact(one.id, contact=True)
        bob.mesh.connect(one.id)

    async def given(to: Party) -> int:
        bob.air.waiting.clear()
        await bob.take(to.id, BUNDLE_KIND, bob.id)
        ((_, _, payload),) = bob.air.waiting
        return len(payload.body) // 1354

    assert [await given(alice) for _ in range(22)] == [2] * 20 + [1] * 2
    assert [await given(eve), await given(alice)] == [2, 2]


@pytest.mark.limit("peers asked for a bundle at a time")
async def test_so_many_peers_are_asked_at_a_time(party: MakeParty, lower: Lower) -> None:
    lower(keying.BUNDLES_ASKED, 1)
    alice, bob = await pair(party)
    eve = await party("eve")
    alice.mesh.connect(eve.id)
    for one in (bob, eve, bob):
        await alice.running._keying.ask(one.id)
    assert len(alice.air.waiting) == 3


async def test_a_reset_of_somebody_else_changes_nothing(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "hello")
    await settle(alice.air)
    for body in (b"", bytes(88), Reset.issue(PluginIdentity(FEATURE, bob.identity), bytes(16), 1).raw):
        await alice.take(bob.id, RESET_KIND, body)
    assert (restarts(alice), (await session(alice, bob))["resets"]) == ([], 0)


async def test_a_store_of_before_is_migrated_and_what_waits_is_encrypted_anew(party: MakeParty) -> None:
    alice, bob = await pair(party)
    carol = await party("carol")
    await alice.kill()
    for file in alice.directory.glob("messages.db*"):
        file.unlink()
    shutil.copy(BEFORE, alice.directory / "messages.db")
    await alice.start()
    before = [(message.body, message.status) for message in await alice.messages(bob)]
    assert before == [
        ("sent, but its acknowledgement is missing", "sent"),
        ("waits for a route", "sent"),
        ("an answer", "read"),
        ("delivered", "delivered"),
    ]
    found = (await alice.running.search(SearchParams(text="answer"))).found
    assert [(one.message.body, one.message.receipt, one.message.imported) for one in found] == [
        ("an answer", None, False)
    ]
    alice.mesh.connect(bob.id)
    await settle(alice.air)
    assert sorted(await bodies(bob, alice)) == ["sent, but its acknowledgement is missing", "waits for a route"]
    assert await statuses(alice, bob) == {"delivered", "read"}
    assert await bodies(alice, carol) == []
    assert alice.running._database is not None
    ids = await alice.running._database.read("SELECT peer, count(*) FROM received_ids GROUP BY peer")
    assert {NodeId(row[0]): row[1] for row in ids} == {bob.id: 1, carol.id: 1}


async def test_without_ml_kem_the_feature_says_what_to_install(
    party: MakeParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await party("alice")
    await alice.kill()
    monkeypatch.setattr(mlkem, "decapsulate", lambda *_: bytes(32))
    with pytest.raises(KemMissing, match="install its wheel of version 48"):
        await alice.start()
    monkeypatch.undo()
    await alice.start()


@pytest.mark.limit("questions for bundles of all who are no contacts", "resets to all who are no contacts")
async def test_strangers_get_so_many_answers_and_resets_a_second(party: MakeParty) -> None:
    alice, bob = await pair(party)
    for _ in range(30):
        await bob.take(alice.id, BUNDLE_KIND, bob.id)
    assert len(bob.air.waiting) == 20
    for number in range(30):
        await bob.running._keying.say_lost(alice.id, bytes([number]) * 16)
    assert len(bob.air.waiting) == 40
    bob.clock.advance(1)
    await bob.take(alice.id, BUNDLE_KIND, bob.id)
    assert len(bob.air.waiting) == 41


async def test_the_store_of_another_node_is_not_written_with_its_keys(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "from alice")
    await settle(alice.air)
    eve = await party("eve")
    await eve.kill()
    await alice.kill()
    for file in eve.directory.glob("messages.db*"):
        file.unlink()
    shutil.copy(alice.directory / "messages.db", eve.directory / "messages.db")
    await eve.start()
    eve.mesh.connect(bob.id)
    bob.mesh.connect(eve.id)
    await eve.say(bob, "from eve")
    await settle(bob.air)
    assert await bodies(bob, eve) == ["from eve"]
