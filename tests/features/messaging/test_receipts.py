"""Signed receipts between plugins: asked for, given, repeated until they are had, and believed of the recipient alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.assembly.services import PluginIdentity
from pimd.cli.receipt import verify
from pimd.contract import InvalidParams, PluginPayload
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import FEATURE, owing, receipt_wire
from pimd_features.messaging.archive_models import ExportParams, ImportParams, ProofParams
from pimd_features.messaging.export_line import written
from pimd_features.messaging.models import ReceiptCame
from pimd_features.messaging.receipt import Receipt, Received, digest_of
from pimd_features.messaging.receipts import RECEIPTS_KIND
from pimd_features.messaging.sessions.message import BODY_LIMIT, Plain
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.limits import Lower


async def friends(party: MakeParty, *, gives: bool = True) -> tuple[Party, Party]:
    """Alice asks, Bob gives or not."""
    alice, bob = await party("alice"), await party("bob", receipts=gives)
    alice.mesh.connect(bob.id)
    bob.mesh.connect(alice.id)
    return alice, bob


async def proof(at: Party, id_: MessageId) -> str:
    return (await at.running.proof(ProofParams(message_id=id_))).file


async def owed(at: Party) -> int:
    assert at.running._database is not None
    return int((await at.running._database.read("SELECT count(*) FROM receipts_owed"))[0][0])


async def states(at: Party, of: Party) -> set[str | None]:
    return {message.receipt for message in await at.messages(of)}


def deaf_to_receipts(air_of: Party, *, what: int) -> None:
    """Lose receipts (1), or the word that they were had (2), until `send` is put back."""
    take = type(air_of.air).send

    def send(src: NodeId, dst: NodeId, payload: PluginPayload) -> None:
        if payload.kind != RECEIPTS_KIND or payload.body[0] != what:
            take(air_of.air, src, dst, payload)

    air_of.air.send = send  # type: ignore[method-assign]


def hear(air_of: Party) -> None:
    air_of.air.send = type(air_of.air).send.__get__(air_of.air)  # type: ignore[method-assign]


@given(body=st.binary(max_size=BODY_LIMIT), kind=st.integers(0, 255), asks=st.booleans())
def test_that_it_is_asked_for_costs_no_byte(body: bytes, kind: int, asks: bool) -> None:  # noqa: FBT001
    plain = Plain(7, kind, body, asks)
    assert Plain.decode(plain.encode()) == plain
    assert len(plain.encode()) == len(Plain(7, kind, body).encode())


async def test_a_receipt_that_was_asked_for_comes_and_holds_by_itself(party: MakeParty) -> None:
    alice, bob = await friends(party)
    sent = await alice.say(bob, "höre \U0001f600\n\0", receipt=True)
    await settle(alice.air)
    found = verify((await proof(alice, sent.id)).encode())
    assert (found["body"], found["sender"], found["recipient"]) == ("höre \U0001f600\n\0", str(alice.id), str(bob.id))
    assert found["message_id"] == str(sent.id)
    (event,) = [one for one in alice.events if isinstance(one, ReceiptCame)]
    assert (event.message_id, event.peer_node_id, await owed(bob)) == (sent.id, bob.id, 0)
    assert await states(alice, bob) == {"had"}


@pytest.mark.parametrize(("asks", "gives"), [(True, False), (False, True)])
async def test_without_the_word_of_both_there_is_none(party: MakeParty, *, asks: bool, gives: bool) -> None:
    alice, bob = await friends(party, gives=gives)
    sent = await alice.say(bob, "hello", receipt=asks)
    await settle(alice.air)
    assert {message.status for message in await alice.messages(bob)} == {"delivered"}
    with pytest.raises(InvalidParams, match=r"receipts.*features\.messaging"):
        await proof(alice, sent.id)
    assert (await owed(bob), await states(alice, bob)) == (0, {"asked" if asks else None})


@pytest.mark.parametrize("what", [1, 2])
async def test_a_lost_receipt_is_repeated_over_restarts_until_it_is_had(party: MakeParty, what: int) -> None:
    alice, bob = await friends(party)
    deaf_to_receipts(alice, what=what)
    sent = await alice.say(bob, "hello", receipt=True)
    for _ in range(3):
        await settle(alice.air)
        alice.clock.advance(30)
    assert await owed(bob) == 1
    await bob.kill()
    await alice.kill()
    await alice.start()
    await bob.start()
    hear(alice)
    for _ in range(2):
        await settle(alice.air)
        alice.clock.advance(30)
    assert (await owed(bob), await states(alice, bob)) == (0, {"had"})
    verify((await proof(alice, sent.id)).encode())
    assert len([one for one in alice.events if isinstance(one, ReceiptCame)]) == 1
    await settle(alice.air)
    alice.clock.advance(3600)
    await settle(alice.air)
    assert not any(payload.kind == RECEIPTS_KIND for _, _, payload in alice.air.waiting)


@pytest.mark.usefixtures("looks_seldom")
async def test_who_was_away_gets_its_receipts_when_there_is_a_way(party: MakeParty) -> None:
    alice, bob = await friends(party)
    deaf_to_receipts(alice, what=1)
    await alice.say(bob, "hello", receipt=True)
    await settle(alice.air)
    bob.mesh.disconnect(alice.id)
    hear(alice)
    alice.clock.advance(20 * 24 * 3600)
    await settle(alice.air)
    assert await states(alice, bob) == {"asked"}
    bob.mesh.connect(alice.id)
    await settle(alice.air)
    assert await states(alice, bob) == {"had"}


@pytest.mark.usefixtures("looks_seldom")
async def test_a_receipt_is_repeated_for_28_days(party: MakeParty) -> None:
    alice, bob = await friends(party)
    deaf_to_receipts(alice, what=1)
    await alice.say(bob, "hello", receipt=True)
    await settle(alice.air)
    for _ in range(3):
        alice.clock.advance(28 * 24 * 1200 + 3600)
        await settle(alice.air)
    assert await owed(bob) == 0


async def test_many_receipts_go_in_few_payloads(party: MakeParty) -> None:
    alice, bob = await friends(party)
    await bob.keystore.set_contact(alice.id, contact=True)
    deaf_to_receipts(alice, what=1)
    for number in range(120):
        await alice.say(bob, f"number {number}", receipt=True)
    for _ in range(4):
        await settle(alice.air)
        alice.clock.advance(1)
    assert await owed(bob) == 120
    hear(alice)
    bob.mesh.connect(alice.id)
    for _ in range(6):
        await settle(alice.air)
        alice.clock.advance(1)
    assert (await owed(bob), await states(alice, bob)) == (0, {"had"})


async def test_receipts_of_others_and_false_ones_are_not_believed(party: MakeParty) -> None:
    alice, bob = await friends(party, gives=False)
    eve = await party("eve")
    sent = await alice.say(bob, "hello", receipt=True)
    await settle(alice.air)

    def made(signer: Party, recipient: Party, body: str, *, time_ms: int = 5, sender: Party = alice) -> bytes:
        identity = PluginIdentity(FEATURE, signer.identity)
        about = Received(sent.id, digest_of(body), sender.id, recipient.id, time_ms)
        parts: tuple[bytes, ...] = (b"\1", identity.ed25519_pub, sent.id, time_ms.to_bytes(8))
        return b"".join((*parts, Receipt.issue(identity, about).signature))

    good = made(bob, bob, "hello")
    for src, body in (
        (eve, made(eve, eve, "hello")),  # she was not written to
        (eve, good),  # nor is it hers to bring
        (bob, made(eve, bob, "hello")),
        (bob, made(eve, eve, "hello")),
        (bob, made(bob, bob, "hullo")),
        (bob, made(bob, bob, "hello", sender=eve)),
        (bob, made(bob, bob, "hello", time_ms=2**63)),
        (bob, good[:-1]),
        (bob, good[:33]),
        (bob, good + bytes(87)),
        (bob, b""),
        (bob, b"\3" + good[1:]),
    ):
        await alice.take(src.id, RECEIPTS_KIND, body)
        assert await states(alice, bob) == {"asked"}
    for at in range(1, len(good)):
        await alice.take(bob.id, RECEIPTS_KIND, good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :])
    assert await states(alice, bob) == {"asked"}
    await alice.take(bob.id, RECEIPTS_KIND, good)
    await alice.take(bob.id, RECEIPTS_KIND, made(bob, bob, "hello", time_ms=9))
    assert json.loads(await proof(alice, sent.id))["time_ms"] == 5  # the first one stays


async def test_nobody_else_ends_what_is_owed(party: MakeParty) -> None:
    alice, bob = await friends(party)
    eve = await party("eve")
    deaf_to_receipts(alice, what=1)
    sent = await alice.say(bob, "hello", receipt=True)
    await settle(alice.air)
    for body in (b"\2" + sent.id, b"\2" + sent.id[:15], b"\2" + sent.id * 51):
        await bob.take(eve.id, RECEIPTS_KIND, body)
    await bob.take(alice.id, RECEIPTS_KIND, b"\2" + sent.id * 51)
    assert await owed(bob) == 1
    await bob.take(alice.id, RECEIPTS_KIND, b"\2" + sent.id)
    assert await owed(bob) == 0


@pytest.mark.limit("receipts owed to one peer", "receipts in one payload")
async def test_so_many_receipts_are_owed_and_taken_at_once(party: MakeParty, lower: Lower) -> None:
    alice, bob = await friends(party)
    lower(owing.OWED, 3)
    deaf_to_receipts(alice, what=1)
    for number in range(5):
        await alice.say(bob, f"number {number}", receipt=True)
        await settle(alice.air)
        alice.clock.advance(1)
    assert await owed(bob) == 3
    lower(receipt_wire.AT_ONCE, 2)
    many = b"\1" + bytes(32) + bytes(88) * 3
    await alice.take(bob.id, RECEIPTS_KIND, many)
    hear(alice)
    bob.mesh.connect(alice.id)
    for _ in range(4):
        await settle(alice.air)
        alice.clock.advance(1)
    newest = [message.receipt for message in await alice.messages(bob)]
    assert (await owed(bob), newest) == (0, ["had", "had", "had", "asked", "asked"])


async def test_a_receipt_goes_with_its_message(party: MakeParty) -> None:
    alice, bob = await friends(party)
    deaf_to_receipts(alice, what=1)
    sent = await alice.say(bob, "hello", receipt=True)
    await settle(alice.air)
    await bob.running._delete(alice.id)
    assert await owed(bob) == 0
    hear(alice)
    again = await alice.say(bob, "again", receipt=True)
    await settle(alice.air)
    await alice.running._delete(bob.id)
    for id_ in (sent.id, again.id):
        with pytest.raises(InvalidParams):
            await proof(alice, id_)


async def test_a_receipt_is_exported_and_imported_by_a_node_with_another_key_too(party: MakeParty) -> None:
    alice, bob = await friends(party)
    sent = await alice.say(bob, "hello", receipt=True)
    await settle(alice.air)
    lines = (await alice.running.export(ExportParams())).lines
    before = await proof(alice, sent.id)
    carol = await party("carol")
    answer = await carol.running.import_(ImportParams(lines=lines))
    assert (answer.added, answer.bad, await proof(carol, sent.id)) == (1, [], before)
    assert await states(carol, bob) == {"had"}


async def test_a_false_receipt_in_a_file_is_named(party: MakeParty) -> None:
    alice, bob = await friends(party)
    await alice.say(bob, "hello", receipt=True)
    await settle(alice.air)
    lines = (await alice.running.export(ExportParams())).lines
    fields = json.loads(lines[1])
    del fields["sha256"]
    carol = await party("carol")
    answer = await carol.running.import_(ImportParams(lines=[written({**fields, "body": "hullo"})[0]]))
    assert (answer.added, [one.reason for one in answer.bad]) == (0, ["the recipient did not sign this receipt"])
