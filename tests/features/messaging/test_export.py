"""Messages that leave in a file and come back: each once, unchanged, and none of them sent."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pimd.contract import InvalidParams, NoParams, PluginPayload
from pimd.ids import NodeId
from pimd_features.messaging import exporting
from pimd_features.messaging.archive_models import ExportParams, ImportParams, ImportResult, SearchParams
from pimd_features.messaging.export_line import LINE_LIMIT, parse, written
from pimd_features.messaging.models import MarkReadParams
from pimd_features.messaging.wire import ACKS_KIND
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.features.messaging.test_keying import bodies, pair


async def exported(at: Party, of: Party | None = None) -> list[str]:
    lines: list[str] = []
    cursor = None
    while True:
        params = ExportParams(peer_node_id=of.id if of is not None else None, cursor=cursor)
        page = await at.running.export(params)
        lines += page.lines
        cursor = page.cursor
        if cursor is None:
            return lines


async def imported(at: Party, lines: Sequence[str], at_once: int = 1000) -> ImportResult:
    """Import in several calls; the sum of their answers."""
    total = ImportResult(added=0, known=0, bad=[], cursor="", complete=False)
    cursor = None
    for start in range(0, len(lines), at_once):
        one = await at.running.import_(ImportParams(lines=list(lines[start : start + at_once]), cursor=cursor))
        cursor = one.cursor
        sums = {"added": total.added + one.added, "known": total.known + one.known, "bad": [*total.bad, *one.bad]}
        total = one.model_copy(update=sums)
    return total


def reasons(answer: ImportResult) -> dict[int, str]:
    return {one.line: one.reason for one in answer.bad}


def changed(line: str, **fields: object) -> str:
    """The line with other fields, and the hash that fits."""
    old = json.loads(line)
    del old["sha256"]
    return written({**old, **fields})[0]


async def conversation(party: MakeParty) -> tuple[Party, Party]:
    """Alice and Bob wrote each other; one of Alice's messages waits, and Bob's last one is not read."""
    alice, bob = await pair(party)
    for text in ("one", "two\nlines, \u2028 and \0", "\U0001f600 drei"):
        await alice.say(bob, text)
    await settle(alice.air)
    await bob.say(alice, "read")
    await settle(alice.air)
    await alice.running.mark_read(MarkReadParams(peer_node_id=bob.id, up_to_ts_ms=2**62))
    await bob.say(alice, "unread")
    await settle(alice.air)
    alice.mesh.disconnect(bob.id)
    await alice.say(bob, "waits")
    return alice, bob


async def forget_all(party: Party) -> None:
    """Begin with an empty store."""
    await party.kill()
    for file in party.directory.glob("messages.db*"):
        file.unlink()
    await party.start()


async def test_what_was_exported_is_imported_once_in_its_order(party: MakeParty) -> None:
    alice, bob = await conversation(party)
    before, lines = await alice.messages(bob), await exported(alice)
    await forget_all(alice)
    first = await imported(alice, lines, at_once=2)
    assert (first.added, first.known, first.bad, first.complete) == (6, 0, [], True)
    after = await alice.messages(bob)
    assert [(one.id, one.body, one.direction, one.timestamp_ms) for one in after] == [
        (one.id, one.body, one.direction, one.timestamp_ms) for one in before
    ]
    assert all(one.imported for one in after)
    again = await imported(alice, lines)
    assert (again.added, again.known, again.bad) == (0, 6, [])
    (shown,) = (await alice.running.list_conversations(NoParams())).conversations
    assert (shown.unread_count, shown.last_message_preview) == (1, "waits")
    assert len((await alice.running.search(SearchParams(text="drei"))).found) == 1
    assert await exported(alice, bob) != lines  # now they are imported, and the one that waited failed


async def test_a_file_that_an_editor_gave_a_byte_order_mark_and_other_ends_of_lines_is_imported(
    party: MakeParty,
) -> None:
    alice, _ = await conversation(party)
    lines = [f"{line}\r" for line in await exported(alice)]
    await forget_all(alice)
    done = await imported(alice, ["\ufeff" + lines[0], *lines[1:]], at_once=1)
    assert (done.added, done.bad, done.complete) == (6, [], True)
    done = await imported(alice, [lines[0], "\ufeff" + lines[1], *lines[2:]])
    assert reasons(done)[2] == "it is no JSON"  # in the middle it is no mark


async def test_imported_messages_are_never_sent_and_fake_no_delivery(party: MakeParty) -> None:
    alice, bob = await conversation(party)
    lines = await exported(alice)
    await forget_all(alice)
    await imported(alice, lines)
    waited = next(one for one in await alice.messages(bob) if one.body == "waits")
    assert (waited.status, waited.failure_reason, waited.delivered_at_ms) == ("failed", "imported", None)
    assert await alice.running._store.waiting() == []
    before = await bodies(bob, alice)
    alice.mesh.connect(bob.id)
    await settle(alice.air)
    await alice.kill()
    await alice.start()
    await settle(alice.air)
    assert await bodies(bob, alice) == before


async def test_a_copy_of_an_imported_message_is_acknowledged_and_not_shown_twice(party: MakeParty) -> None:
    alice, bob = await pair(party)
    await alice.say(bob, "once")
    take = bob.air.send

    def without_acknowledgements(src: NodeId, dst: NodeId, payload: PluginPayload) -> None:
        if payload.kind != ACKS_KIND:
            take(src, dst, payload)

    bob.air.send = without_acknowledgements  # type: ignore[method-assign]
    await settle(alice.air)
    lines = await exported(bob)
    await forget_all(bob)
    bob.air.send = take  # type: ignore[method-assign]
    await imported(bob, lines)
    alice.clock.advance(5)
    await settle(alice.air)
    assert (await bodies(bob, alice), {one.status for one in await alice.messages(bob)}) == (["once"], {"delivered"})


async def test_imported_messages_of_strangers_take_none_of_their_room(party: MakeParty) -> None:
    alice, bob = await conversation(party)
    lines = await exported(bob)
    await forget_all(bob)
    await imported(bob, lines)
    (row,) = await bob.running._store.conversations()
    assert (row.received, row.received_bytes, row.unread) == (0, 0, 3)
    assert alice.id in bob.running._with_messages


async def test_bad_lines_are_named_by_number_and_cost_no_other(party: MakeParty) -> None:
    alice, _ = await conversation(party)
    lines = await exported(alice)
    own = changed(lines[5], peer_node_id=str(alice.id))
    faults = {
        "no JSON": "{",
        "no JSON object": "[1]",
        "its hash does not fit": lines[1].replace("one", "won"),
        "body": changed(lines[1], body=""),
        "a body has 1 to 8192 bytes": changed(lines[1], body="é" * 4097),
        "characters": " " * LINE_LIMIT + "x",
        "status": changed(lines[1], status="seen"),
        "a received message is delivered or read": changed(lines[4], status="pending"),
        "Extra inputs": changed(lines[1], more=1),
        "timestamp_ms": changed(lines[1], timestamp_ms=2**63),
        "valid integer": changed(lines[1], timestamp_ms=True),
        "this is the node itself": own,
        "an export begins": lines[0],
        "half of a surrogate pair": json.dumps({**json.loads(lines[1]), "body": "\ud800", "sha256": ""}),
        "deep": "[" * 5000,
    }
    await forget_all(alice)
    answer = await imported(alice, [lines[0], *faults.values(), "", *lines[1:]], at_once=4)
    assert (answer.added, answer.complete) == (6, True)
    assert len(answer.bad) == len(faults) + 1
    for number, (reason, found) in enumerate(zip(faults, answer.bad, strict=False), 2):
        assert found.line == number
        assert reason in found.reason or reason == "deep"
    assert "lines are missing, changed or out of order" in answer.bad[-1].reason


@pytest.mark.parametrize("harm", ["missing", "doubled", "swapped", "cut short", "more behind"])
async def test_a_file_that_is_not_whole_is_told(party: MakeParty, harm: str) -> None:
    alice, _ = await conversation(party)
    lines = await exported(alice)
    harmed = {
        "missing": [*lines[:2], *lines[3:]],
        "doubled": [*lines[:2], lines[1], *lines[2:]],
        "swapped": [lines[0], lines[2], lines[1], *lines[3:]],
        "cut short": lines[:-1],
        "more behind": [*lines, lines[1]],
    }[harm]
    await forget_all(alice)
    answer = await imported(alice, harmed, at_once=3)
    assert answer.added == 6 - (harm == "missing")
    assert answer.complete == (harm != "cut short")
    assert bool(answer.bad) == (harm != "cut short")


async def test_a_message_with_a_known_id_and_another_body_changes_nothing(party: MakeParty) -> None:
    alice, bob = await conversation(party)
    lines = await exported(alice)
    answer = await imported(alice, [changed(lines[1], body="another")])
    assert "another body" in reasons(answer)[1]
    assert "another" not in await bodies(alice, bob)


async def test_pages_hold_so_much_and_what_comes_meanwhile_is_left_out(
    party: MakeParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await conversation(party)
    monkeypatch.setattr(exporting, "PAGE_LINES", 2)
    first = await alice.running.export(ExportParams())
    await alice.say(bob, "meanwhile")
    lines, cursor = list(first.lines), first.cursor
    while cursor is not None:
        page = await alice.running.export(ExportParams(cursor=cursor))
        lines, cursor = lines + page.lines, page.cursor
    assert (len(lines), "meanwhile" in "".join(lines)) == (8, False)
    monkeypatch.setattr(exporting, "PAGE_BYTES", 1)
    assert len((await alice.running.export(ExportParams())).lines) == 2
    assert len(await exported(alice)) == 9


@pytest.mark.parametrize(
    "cursor", ["", "x", "1.2.3", "a.b.c.", "1.2.3.4", "9223372036854775808.1.1.", "-1.1.1.", "\u0967.1.1.", "1.1..END"]
)
async def test_a_cursor_of_nobody_is_refused(party: MakeParty, cursor: str) -> None:
    alice = await party("alice")
    with pytest.raises(InvalidParams, match="begin again"):
        await alice.running.export(ExportParams(cursor=cursor))
    with pytest.raises(InvalidParams, match="begin again"):
        await alice.running.import_(ImportParams(lines=[], cursor=cursor))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), to=st.characters())
def test_a_changed_character_is_found(at: int, to: str) -> None:
    fields = {
        "kind": "message",
        "peer_node_id": "ab" * 16,
        "id": "cd" * 16,
        "direction": "sent",
        "body": "höre, was ich sage",
        "timestamp_ms": 1,
        "status": "read",
        "failure_reason": None,
        "delivered_at_ms": 2,
        "read_at_ms": 3,
        "imported": False,
        "receipt": None,
    }
    line = written(fields)[0]
    at %= len(line)
    other = line[:at] + to + line[at + 1 :]
    try:
        parsed = parse(other)
    except ValueError:
        return
    assert parsed == parse(line)  # the same in other letters: a space, or \u-notation
