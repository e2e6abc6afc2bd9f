"""Restarts of sessions are lines of the conversation, in pages as messages are."""

from pimd.assembly.services import PluginIdentity
from pimd.ids import MessageId
from pimd_features.messaging import FEATURE
from pimd_features.messaging.models import HistoryParams
from pimd_features.messaging.sessions.account import issue
from pimd_features.messaging.sessions.bundle import make
from pimd_features.messaging.sessions.message import MSG_KIND, Kind, Plain
from pimd_features.messaging.sessions.sending import Draft, leave
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.features.messaging.test_keying import pair


async def lines(at: Party, of: Party, **page: object) -> list[tuple[str, int]]:
    history = await at.running.history(HistoryParams(peer_node_id=of.id, **page))  # type: ignore[arg-type]
    return [(one.reason, one.after_position) for one in history.lines]


async def lose_store(party: Party, *others: Party) -> None:
    await party.kill()
    for file in party.directory.glob("messages.db*"):
        file.unlink()
    await party.start()
    for other in others:
        party.mesh.connect(other.id)


async def test_a_reset_and_another_account_are_lines(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "before")
    await settle(alice.air)
    assert await lines(alice, bob) == []
    await lose_store(bob, alice)
    await alice.say(bob, "after")
    await settle(alice.air)
    assert sorted(await lines(alice, bob)) == [("account_changed", 2), ("reset", 2)]
    history = await alice.running.history(HistoryParams(peer_node_id=bob.id))
    assert all(one.text.startswith("secure session restarted: ") and one.times == 1 for one in history.lines)
    await alice.kill()
    await alice.start()
    assert len(await lines(alice, bob)) == 2
    await alice.running._delete(bob.id)
    await alice.say(bob, "begins anew")
    assert await lines(alice, bob) == []


async def test_each_line_is_on_one_page(party: MakeParty) -> None:
    alice, bob = await pair(party)
    for number in range(5):
        await alice.say(bob, f"number {number}")
    await settle(alice.air)
    database = alice.running._database
    assert database is not None
    rows = [(bob.id, position, "reset", 9, 1) for position in (1, 3, 5)]
    await database.write("add", lambda c: c.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?)", rows).rowcount)
    found: list[int] = []
    page: dict[str, object] = {"limit": 2}
    while True:
        history = await alice.running.history(HistoryParams(peer_node_id=bob.id, **page))  # type: ignore[arg-type]
        found += [one.after_position for one in history.lines]
        if not history.has_more:
            break
        page["before_id"] = history.messages[-1].id
    assert found == [5, 3, 1]


async def test_restarts_without_end_are_one_line(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "hello")
    await settle(alice.air)
    for _ in range(4):
        await lose_store(bob, alice)
        await bob.running._keying.load()
        await alice.running._keying.ask(bob.id)
        await settle(alice.air)
        alice.clock.advance(700)
    history = await alice.running.history(HistoryParams(peer_node_id=bob.id))
    (line,) = history.lines
    assert (line.reason, line.times) == ("account_changed", 4)


async def test_another_account_that_a_message_brings_is_a_line(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await bob.say(alice, "hello")
    await settle(alice.air)
    other = issue(PluginIdentity(FEATURE, bob.identity), 5)
    bundle = make(PluginIdentity(FEATURE, bob.identity), other, one_time=False, created_ms=2**60).bundle
    database, session = bob.running._database, bob.running._keying
    assert database is not None
    draft = Draft(MessageId(bytes(16)), Plain(1, Kind.BUNDLE, bundle.raw))
    moment = session.moment()
    left = await database.write("seal", lambda c: leave(c, session.account, alice.id, [draft], moment))
    await alice.take(bob.id, MSG_KIND, left.payloads[draft.id])
    assert await lines(alice, bob) == [("account_changed", 1)]
    assert "session_restarted" in alice.kinds()
