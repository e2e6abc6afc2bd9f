"""Two processes that prove one key, seen by their neighbour and by themselves."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.clock import ManualClock
from pimd.contract import DialError
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh.contests import Contests
from pimd.mesh.first_look import TABLES
from pimd.mesh.key_questions import ANSWERS
from pimd.mesh.same_key import LASTS_S, TOLD, SameKeys
from pimd.proto.frames import Goodbye, GoodbyeReason, RouteEntry, Routes, decode_frame, encode_frame
from pimd.proto.handshake import ABILITY_ANNOUNCED
from pimd.proto.identity import Identity
from pimd.proto.same_key import ADDRESS_LIMIT, ANSWER, INSTANCE_SIZE, QUESTION, KeyInUse, SameKeyNote
from tests.limits import Lower
from tests.mesh.conftest import Running, StartNode
from tests.mesh.test_node import eventually

OWN = NodeId(bytes(16))


def kinds(running: Running) -> list[str]:
    return [problem.kind for problem in running.node.service.problems()]


@dataclass(eq=False)
class StubLink:
    """What of a link is used here."""

    sent: list[Any] = field(default_factory=list)
    abilities: int = ABILITY_ANNOUNCED
    peer_id: NodeId = field(default_factory=lambda: NodeId(bytes([9]) * 16))
    own_address: str = "here:1"

    def send(self, frame: object) -> None:
        self.sent.append(frame)


def stub_link() -> Any:
    return StubLink()


async def test_the_second_one_is_refused_while_the_first_one_answers(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await bob.node.service.dial(alice.entry())
    copy = await start_node(4, identity=bob.identity)
    with pytest.raises(DialError, match="two machines use the same key"):
        await copy.node.service.dial(alice.entry())
    assert kinds(alice) == ["same_key"]
    await eventually(lambda: kinds(bob) == ["same_key"])
    assert kinds(copy) == ["waits_for_person", "same_key"]
    (text,) = [problem.text for problem in copy.node.service.problems() if problem.kind == "same_key"]
    assert all(f"127.0.0.1:{one.port}" in text for one in (bob, copy))
    assert alice.node.is_linked(bob.id)
    with pytest.raises(DialError, match="does not announce itself"):
        await copy.node.service.dial((await start_node(3)).entry())


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_neighbour_elsewhere_who_knows_nobody_does_not_end_the_wait_for_one_who_compares(
    start_node: StartNode, *, is_announced: bool
) -> None:
    alice, bob, carol = await start_node(1), await start_node(2), await start_node(3)
    await bob.node.service.dial(alice.entry())
    if is_announced:
        carol.node.key_use.look.end()
    copy = await start_node(4, identity=bob.identity)
    for neighbour in (alice, carol):
        copy.node.service.keep_dialling(neighbour.entry(), configured=True)
    await eventually(lambda: kinds(copy) == ["waits_for_person", "same_key"])
    assert not carol.node._routing.table.selected


@pytest.mark.parametrize("own_label", [None, "Mr. Smith"])
async def test_it_is_told_of_in_the_words_of_the_user(start_node: StartNode, own_label: str | None) -> None:
    alice, bob = await start_node(1), await start_node(2)
    alice.node.service.keep_dialling(bob.entry(label="smithy"), configured=True)
    await eventually(lambda: alice.node.is_linked(bob.id))
    await alice.keystore.set_label(bob.id, own_label)
    with pytest.raises(DialError):
        await (await start_node(4, identity=bob.identity)).node.service.dial(alice.entry())
    (problem,) = alice.node.service.problems()
    assert f"that of {own_label or 'smithy'} ({bob.id})" in problem.text


async def test_one_at_another_address_of_ours_is_told_too(start_node: StartNode) -> None:
    """Alice dials both; one that runs already does not wait."""
    alice, bob, carol = await start_node(1), await start_node(2), await start_node(3)
    copy = await start_node(4, identity=bob.identity)
    await copy.node.service.dial(carol.entry())
    await alice.node.service.dial(bob.entry())
    with pytest.raises(DialError, match="two machines use the same key"):
        await alice.node.service.dial(copy.entry())
    await eventually(lambda: kinds(copy) == ["same_key"] == kinds(bob))
    assert copy.node.is_linked(carol.id)


async def test_both_ends_see_that_the_other_one_is_themselves(start_node: StartNode) -> None:
    bob = await start_node(2)
    copy = await start_node(4, identity=bob.identity)
    with pytest.raises(DialError, match="the other end has the key of this node"):
        await copy.node.service.dial(bob.entry())
    await eventually(lambda: kinds(copy) == ["same_key"] == kinds(bob))
    with pytest.raises(DialError, match="this very node"):
        await bob.node.service.dial(bob.entry())


async def test_one_that_no_longer_answers_gives_its_place_to_the_next(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: nobody answers on the old link, and nobody closes it."""
    alice, bob = await start_node(1), await start_node(2)
    await bob.node.service.dial(alice.entry())
    link = bob.node._links.best(alice.id)
    assert link is not None
    monkeypatch.setattr(link.driver.link, "_take_control", lambda *_: None)
    again = await start_node(4, identity=bob.identity)
    await again.node.service.dial(alice.entry())
    assert kinds(alice) == []
    assert not again.node.key_use.same_keys.waits


async def test_a_neighbour_without_the_key_makes_nobody_wait(start_node: StartNode) -> None:
    """Its word is told of; waiting takes an answer, signed by the key, to the question of this very start."""
    bob, link = await start_node(2), stub_link()
    own = bob.node.key_use.questions._own
    other_start = KeyInUse.ask(bob.identity, bytes(INSTANCE_SIZE)).answered(bob.identity, "b:2")
    forged = own.answered(Identity.from_seed(bytes([9]) * 32), "b:2")
    for said in (other_start, forged, replace(other_start, instance=own.instance), own, own.seen_at("b:2")):
        bob.node.key_use.told(link, SameKeyNote("a:1", "b:2", said.signature).encode())
        bob.node.key_use.questions.on_link(link, ANSWER, said.encode())
    bob.node.key_use.told(link, b"\xff")
    assert kinds(bob) == ["same_key"]
    bob.node.key_use.questions.on_link(link, ANSWER, own.answered(bob.identity, "b:2").encode())
    assert kinds(bob) == ["waits_for_person", "same_key"]


async def test_only_one_that_is_announced_answers_and_only_who_holds_its_key(start_node: StartNode) -> None:
    bob = await start_node(2)
    link, questions = stub_link(), bob.node.key_use.questions
    good = KeyInUse.ask(bob.identity, bytes(INSTANCE_SIZE))
    stranger = KeyInUse.ask(Identity.from_seed(bytes([9]) * 32), bytes(INSTANCE_SIZE))
    questions.on_link(link, QUESTION, good.encode())
    assert link.sent == []
    bob.node.key_use.look.end()
    for said in (stranger, replace(good, signature=b""), questions._own):
        questions.on_link(link, QUESTION, said.encode())
    questions.on_link(link, QUESTION, b"\x00")
    assert (link.sent, kinds(bob)) == ([], [])
    questions.on_link(link, QUESTION, good.encode())
    (answer,) = link.sent
    assert KeyInUse.decode(answer.body).is_answer_of(bob.identity.ed25519_pub)
    assert kinds(bob) == ["same_key"]


@pytest.mark.limit("answers that a key is in use")
async def test_so_many_questions_are_answered(start_node: StartNode, lower: Lower) -> None:
    lower(ANSWERS, 1, burst=2)
    bob = await start_node(2, clock=ManualClock())
    bob.node.key_use.look.end()
    link = stub_link()
    for number in range(5):
        question = KeyInUse.ask(bob.identity, number.to_bytes(INSTANCE_SIZE))
        bob.node.key_use.questions.on_link(link, QUESTION, question.encode())
    assert len(link.sent) == 2


async def test_a_copy_that_meets_the_other_one_itself_waits(start_node: StartNode) -> None:
    bob, carol = await start_node(2), await start_node(3)
    await bob.node.service.dial(carol.entry())
    copy = await start_node(4, identity=bob.identity)
    with pytest.raises(DialError, match="the other end has the key of this node"):
        await copy.node.service.dial(bob.entry())
    await eventually(lambda: kinds(bob) == ["same_key"] == kinds(carol))
    assert kinds(copy) == ["waits_for_person", "same_key"]


async def test_a_key_that_a_person_keeps_is_announced(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await bob.node.service.dial(alice.entry())
    copy = await start_node(4, identity=bob.identity)
    with pytest.raises(DialError):
        await copy.node.service.dial(alice.entry())
    await eventually(lambda: copy.keystore.waits_for_person)
    await bob.node.stop()
    await copy.node.key_use.keep()
    assert not copy.keystore.waits_for_person
    await copy.node.service.dial(alice.entry())


def test_a_process_without_an_instance_has_no_rival() -> None:
    contests = Contests(None, ManualClock())  # type: ignore[arg-type]
    peer = type("Peer", (), {"instance": None, "node_id": OWN})()
    assert contests.rival(peer) is None


@pytest.mark.limit("nodes remembered of which two machines have the key")
def test_so_many_doubled_keys_are_remembered_and_for_so_long() -> None:
    clock, bites = ManualClock(), Bites()
    same_keys = SameKeys(OWN, clock, lambda _: None, bites)
    for number in range(1, TOLD.value + 2):
        same_keys.note(NodeId(number.to_bytes(16)), ("a:1", "b:2"))
    assert len(same_keys.problems()) == TOLD.value
    clock.advance(LASTS_S)
    assert same_keys.problems() == []


def test_the_same_is_told_of_once_until_both_addresses_are_known() -> None:
    told: list[object] = []
    same_keys = SameKeys(OWN, ManualClock(), lambda _: None, Bites())
    same_keys.publish = told.append
    for addresses in ((), (), ("a:1",), ("a:1", "b:2"), ("a:1", "c:3")):
        same_keys.note(NodeId(bytes([1]) * 16), addresses)
    assert [len(one.addresses) for one in told] == [0, 1, 2]  # type: ignore[attr-defined]


@pytest.mark.limit("routes records kept of a link during the first look")
async def test_of_a_table_that_never_ends_so_much_is_kept(start_node: StartNode, lower: Lower) -> None:
    lower(TABLES, 3)
    bob = await start_node(2)
    look, link = bob.node.key_use.look, stub_link()
    kept: list[int] = []
    look._announce = lambda _, routes: kept.append(len(routes))
    assert look.holds(link)
    record = Routes((RouteEntry(bob.id, 2**43, 256),), first=True, last=False)
    assert [look.routes(link, record) for _ in range(5)] == [True] * 5
    look.nobody(link)
    assert (look.is_over, kept) == (True, [3])


@given(st.text(), st.text(), st.binary(max_size=300))
def test_a_note_is_read_as_it_was_written_or_made_harmless(one: str, other: str, signature: bytes) -> None:
    note = SameKeyNote.decode(SameKeyNote(one, other, signature).encode())
    assert note.signature == signature
    for text, before in ((note.linked_at, one), (note.other_at, other)):
        assert len(text) <= ADDRESS_LIMIT
        assert text.isascii()
        assert text == before or not (before.isascii() and before.isprintable() and len(before) <= ADDRESS_LIMIT)


@given(st.binary(max_size=400))
def test_a_goodbye_about_a_key_carries_what_it_was_given(detail: bytes) -> None:
    goodbye = Goodbye(OWN, GoodbyeReason.KEY_IN_USE, detail)
    assert decode_frame(encode_frame(goodbye)) == goodbye


@given(st.binary(min_size=8, max_size=8), st.text(), st.sampled_from([b"", bytes(64)]))
def test_a_question_is_read_as_it_was_written(instance: bytes, address: str, signature: bytes) -> None:
    said = KeyInUse.decode(KeyInUse(instance, address, signature).encode())
    assert (said.instance, said.signature) == (instance, signature)
    assert said.address.isascii()


@given(st.binary(max_size=200))
def test_a_question_of_another_form_is_refused(data: bytes) -> None:
    try:
        said = KeyInUse.decode(data)
    except ValueError:
        return
    assert len(said.signature) in {0, 64}
