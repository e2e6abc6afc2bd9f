"""How long conversations keep messages: by lived time, and never what waits to be sent."""

import pytest

from pimd.contract import InvalidParams
from pimd_features.messaging.archive_models import RetentionParams, RetentionResult, SearchParams
from pimd_features.messaging.models import HistoryShortened, MarkReadParams
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.features.messaging.test_keying import bodies, pair
from tests.features.messaging.test_search import files_with

DAY_S = 86_400

pytestmark = pytest.mark.usefixtures("looks_seldom")


async def keep(at: Party, of: Party, days: int | None = None, *, forever: bool = False) -> RetentionResult:
    return await at.running.retention(RetentionParams(peer_node_id=of.id, days=days, forever=forever))


async def live(party: Party, seconds: int) -> None:
    """Let time pass in steps, so that what runs from time to time does."""
    for _ in range(seconds // 1200):
        party.clock.advance(1200)
        await settle(party.air)


async def test_messages_are_deleted_after_so_many_days(party: MakeParty) -> None:
    alice, bob = await pair(party)
    for number in range(3):
        await alice.say(bob, f"old {number}")
    await settle(alice.air)
    await live(bob, DAY_S // 2)
    await alice.say(bob, "young")
    await settle(alice.air)
    assert (await keep(bob, alice, 1)).deleted_messages == 0
    await live(bob, DAY_S // 2 + 7200)
    assert await bodies(bob, alice) == ["young"]
    (shown,) = await bob.running._store.conversations()
    assert (shown.unread, shown.received, shown.received_bytes, shown.last_preview) == (1, 1, 5, "young")
    (event,) = [one for one in bob.events if isinstance(one, HistoryShortened)]
    assert (event.peer_node_id, event.deleted_messages) == (alice.id, 3)
    assert (await bob.running.search(SearchParams(text="old"))).found == []
    assert len(await bodies(alice, bob)) == 4
    await live(bob, DAY_S + 3600)
    assert await bob.running._store.conversations() == []
    await alice.say(bob, "again")
    await settle(alice.air)
    assert (await bob.running._store.conversations())[0].unread == 1


async def test_old_messages_go_at_once_when_it_is_set_and_nothing_goes_without(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "old")
    await settle(alice.air)
    await live(alice, 3 * DAY_S)
    assert (await keep(alice, bob)).in_words == "messages are kept for all time"
    answer = await keep(alice, bob, 2)
    assert (answer.days, answer.in_words, answer.deleted_messages) == (2, "messages are deleted after 2 days", 1)
    assert (await bodies(alice, bob), await bodies(bob, alice)) == ([], ["old"])
    assert (await keep(alice, bob, forever=True)).days is None
    with pytest.raises(InvalidParams, match="one of them"):
        await keep(alice, bob, 3, forever=True)


async def test_what_waits_to_be_sent_stays_until_it_is_delivered_or_failed(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await keep(alice, bob, 1)
    await alice.say(bob, "waits")
    await alice.say(bob, "fails", expires_s=DAY_S)
    await live(alice, 3 * DAY_S)
    assert await bodies(alice, bob) == ["waits"]
    alice.mesh.connect(bob.id)
    bob.mesh.connect(alice.id)
    await settle(alice.air)
    assert await bodies(bob, alice) == ["waits"]
    await live(alice, 7200)
    assert await bodies(alice, bob) == []


async def test_it_lasts_over_restarts_and_a_deleted_conversation(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await keep(bob, alice, 1)
    await alice.say(bob, "old")
    await settle(alice.air)
    await live(bob, 3600)
    await bob.running.delete_all(None)  # type: ignore[arg-type]
    await alice.say(bob, "new")
    await settle(alice.air)
    await bob.kill()
    bob.clock.advance(DAY_S + 7200)
    await bob.start()
    await settle(bob.air)
    assert await bodies(bob, alice) == ["new"]  # no moment was noted since it came
    await live(bob, DAY_S + 7200)
    assert (await bodies(bob, alice), (await keep(bob, alice)).days) == ([], 1)


async def test_deleted_messages_are_in_no_file_and_their_copies_are_known(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await keep(bob, alice, 1)
    await alice.say(bob, "xylophone in the attic")
    await settle(alice.air)
    await bob.running.mark_read(MarkReadParams(peer_node_id=alice.id, up_to_ts_ms=2**62))
    await bob.running.search(SearchParams(text="xylo"))
    await live(bob, DAY_S + 8400)
    assert files_with(bob.directory, b"xylo") == []
    assert bob.running._database is not None
    assert len(await bob.running._database.read("SELECT 1 FROM received_ids WHERE peer = ?", (alice.id,))) >= 1


async def test_many_old_messages_go_in_small_jobs(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    for number in range(450):
        await alice.say(bob, f"number {number}")
    await alice.running._store.raise_status(bob.id, [one.id for one in await alice.messages(bob)], "delivered", 1)
    await live(alice, DAY_S + 3600)
    before = alice.running._database.transactions if alice.running._database else 0
    assert (await keep(alice, bob, 1)).deleted_messages == 450
    assert alice.running._database is not None
    assert alice.running._database.transactions - before >= 3
