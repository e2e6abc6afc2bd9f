"""Receipts in messages of sessions, as mailboxes keep them: left again, believed of the signer alone, and owed without the words."""

from pathlib import Path

import pytest

from pimd.assembly.services import PluginIdentity
from pimd.clock import ManualClock
from pimd.contract import Database
from pimd.ids import MessageId
from pimd_features.messaging import FEATURE, absent, owing, receipt_wire, retaining
from pimd_features.messaging.receipt import digest_of
from pimd_features.messaging.receipt_wire import OwedReceipt, signed
from pimd_features.messaging.schema import migrations
from pimd_features.messaging.sessions.message import Kind, Plain
from pimd_features.messaging.sessions.sending import Draft, leave
from pimd_features.messaging.wire import KEPT_KIND, MAIL_KIND, PUT_KIND, Letter
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.features.messaging.test_mailboxes import pass_time, sent
from tests.features.messaging.test_receipts import deaf_to_receipts, hear, owed, states
from tests.features.messaging.test_retention import keep, live
from tests.features.messaging.test_search import files_with
from tests.limits import Lower


async def away(party: MakeParty) -> tuple[Party, Party, Party]:
    """Bob owes Alice, who went away before she had it, a receipt; a mailbox is named in her bundle."""
    box = await party("box")
    alice, bob = await party("alice", mailboxes=[box.id]), await party("bob", receipts=True)
    alice.mesh.connect(bob.id)
    bob.mesh.connect(alice.id)
    deaf_to_receipts(alice, what=1)
    await alice.say(bob, "unforgettable", receipt=True)
    await settle(alice.air)
    bob.mesh.disconnect(alice.id)
    bob.mesh.connect(box.id)
    await settle(alice.air)
    hear(alice)
    return alice, bob, box


async def left(bob: Party, *, is_kept: bool = False) -> list[Letter]:
    """Return the letters with receipts; one with his bundle, which may go along, is longer.

    With `is_kept` the mailbox says that it keeps all.
    """
    await pass_time(bob, 16)
    letters = [(box, Letter.decode(payload.body)) for box, payload in sent(bob, PUT_KIND)]
    for box, letter in letters if is_kept else ():
        await bob.take(box, KEPT_KIND, b"\0" + letter.other + letter.id)
    return [one for _, one in letters if len(one.body) < 1900]


async def bring(alice: Party, box: Party, letter: Letter, of: Party) -> None:
    await alice.take(box.id, MAIL_KIND, Letter(letter.sort, of.id, letter.id, letter.body).encode())


async def test_what_a_mailbox_dropped_is_left_again_later_in_the_same_place(
    party: MakeParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (absent, owing):
        monkeypatch.setattr(module, "PUT_AGAIN_MS", 5400_000)  # a day
    alice, bob, box = await away(party)
    first = (await left(bob, is_kept=True))[-1]
    await pass_time(bob, 2)
    bob.clock.advance(3600)
    assert (await left(bob), await owed(bob)) == ([], 1)
    bob.clock.advance(3600)
    (again,) = {one.id: one for one in await left(bob)}.values()
    assert again.id == first.id
    for letter in (again, first, again):
        await bring(alice, box, letter, bob)
    assert await states(alice, bob) == {"had"}
    assert [event.kind for event in alice.events].count("receipt_came") == 1  # type: ignore[attr-defined]
    bob.mesh.connect(alice.id)
    await pass_time(alice, 4)
    await settle(alice.air)
    assert await owed(bob) == 0


async def test_retention_deletes_the_words_and_leaves_the_receipt_owed(
    party: MakeParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retaining, "DAY_MS", 3600_000)
    alice, bob, _ = await away(party)
    await keep(bob, alice, 1)
    await live(bob, 3 * 3600)
    assert (await bob.messages(alice), await owed(bob)) == ([], 1)
    await bob.kill()
    assert files_with(bob.directory, b"unforgettable") == []
    await bob.start()
    bob.mesh.connect(alice.id)
    await settle(alice.air)
    assert (await states(alice, bob), await owed(bob)) == ({"had"}, 0)


async def test_a_receipt_in_a_letter_is_believed_of_the_recipient_alone(party: MakeParty, lower: Lower) -> None:
    alice, bob, box = await away(party)
    (message,) = await alice.messages(bob)
    ids = iter(range(1, 99))

    async def say(body: bytes) -> bool:
        """Let Bob say this in a session; return whether it is acknowledged."""
        id_ = MessageId(bytes((next(ids),)) * 16)
        account, moment = bob.running._keying.account, bob.running._keying.moment()
        draft = Draft(id_, Plain(1, Kind.RECEIPTS, body))
        database = bob.running._database
        assert database is not None
        leaving = await database.write("say", lambda connection: leave(connection, account, alice.id, [draft], moment))
        await bring(alice, box, Letter(0, alice.id, id_, leaving.payloads[id_]), bob)
        assert alice.running._database is not None
        return bool(await alice.running._database.read("SELECT 1 FROM owed_acks WHERE id = ?", (id_,)))

    def made(signer: Party, text: str, count: int = 1) -> bytes:
        one = OwedReceipt(message.id, digest_of(text), 5)
        return signed(PluginIdentity(FEATURE, signer.identity), alice.id, [one] * count)

    lower(receipt_wire.AT_ONCE, 2)
    good = made(bob, "unforgettable")
    for body in (made(box, "unforgettable"), made(bob, "forgettable"), good[:-1], b"", bytes(120), made(bob, "x", 3)):
        assert await say(body)
        assert await states(alice, bob) == {"asked"}
    assert await say(good)
    assert await states(alice, bob) == {"had"}


async def test_a_store_of_before_keeps_what_it_owes(tmp_path: Path) -> None:
    path = tmp_path / "before.db"
    async with Database.open(path, migrations(0)[:6], clock=ManualClock()) as database:
        for sql in (
            "INSERT INTO messages (peer, id, direction, body, timestamp_ms, status) VALUES (x'01', x'02', 'received', 'a', 1, 'read')",
            "INSERT INTO receipts_owed VALUES (x'01', x'02', x'03', 4, 5)",
        ):
            await database.write("fill", lambda connection, sql=sql: connection.execute(sql).rowcount)  # type: ignore[misc]
    async with Database.open(path, migrations(0), clock=ManualClock()) as database:
        await database.write("delete", lambda connection: connection.execute("DELETE FROM messages").rowcount)
        rows = await database.read("SELECT * FROM receipts_owed")
        assert [tuple(row) for row in rows] == [(b"\1", b"\2", b"\3", 4, 5, None, None)]
