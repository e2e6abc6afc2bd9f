"""A configured address is bound to the key that was first met there, under every policy."""

import logging
import shlex

import pytest

from pimd.addresses import Endpoint
from pimd.contract import DialError, DialInfo, OtherKey, OtherKeyError, PeerEntry
from pimd.ids import NodeId
from pimd.mesh.policy import PolicyName
from pimd.proto.identity import Identity
from tests.mesh.conftest import Running, StartNode
from tests.mesh.test_node import eventually

BOB = Identity.from_seed(bytes([2]) * 32)
STRANGER = Identity.from_seed(bytes([3]) * 32)


def dial_of(running: Running) -> DialInfo:
    (dial,) = running.node.service.dials()
    return dial


async def replaced(start_node: StartNode, alice: Running, entry: dict[str, object]) -> tuple[Running, PeerEntry]:
    """Let alice meet bob, and then somebody else at his address."""
    bob = await start_node(2)
    kept = bob.entry(**entry)
    alice.node.service.keep_dialling(kept, configured=True)
    await eventually(lambda: alice.node.is_linked(bob.id))
    await eventually(lambda: alice.keystore.pinned(kept.endpoint) == bob.id)
    await bob.node.stop()
    await eventually(lambda: not alice.node.service.links())
    return await start_node(3, port=bob.port), kept


BOTH = {"node_id": BOB.node_id, "label": "bob"}


@pytest.mark.parametrize(
    ("policy", "entry"),
    [
        ("allow_all", {}),
        ("allow_list", {"label": "bob"}),
        ("trust_on_first_use", {"label": "bob"}),
        ("allow_all", {"node_id": BOB.node_id}),
        ("trust_on_first_use", BOTH),
        ("allow_list", BOTH),
    ],
)
async def test_another_key_at_a_configured_address_is_refused_and_told_of_once(
    start_node: StartNode, policy: PolicyName, entry: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    alice = await start_node(1, policy=policy, authorized=(BOB.node_id, STRANGER.node_id))
    with alice.node.service.subscribe() as events:
        stranger, kept = await replaced(start_node, alice, entry)
        tries = alice.node.counts["links_refused"]
        await eventually(lambda: alice.node.counts["links_refused"] > tries + 1)
        dial = dial_of(alice)
        assert (dial.state, dial.node_id, dial.answers) == ("other_key", BOB.node_id, stranger.id)
        found = OtherKey(kept.endpoint, kept.label, BOB.node_id, stranger.id)
        assert dial.last_error == str(found)
        assert [record.getMessage() for record in caplog.records].count(str(found)) == 1
        told = []
        async for event in events:
            told += [event] if isinstance(event, OtherKey) else []
            if told:
                break
        assert told == [found]
    assert not alice.node.service.links()
    assert not stranger.node.service.links()


async def test_the_label_of_the_user_is_told_in_place_of_the_configured_one(start_node: StartNode) -> None:
    """It is the one by which commands find the node."""
    alice = await start_node(1)
    await alice.keystore.set_label(BOB.node_id, "Mr. Smith")
    stranger, _ = await replaced(start_node, alice, {"label": "bob"})
    await eventually(lambda: dial_of(alice).state == "other_key")
    command = shlex.join(["pim", "accept", "Mr. Smith", str(BOB.node_id), str(stranger.id)])
    assert command in (dial_of(alice).last_error or "")


async def test_a_stranger_who_dials_from_that_address_is_only_a_stranger(start_node: StartNode) -> None:
    alice = await start_node(1)
    stranger, _ = await replaced(start_node, alice, {"label": "bob"})
    await eventually(lambda: dial_of(alice).state == "other_key")
    await stranger.node.service.dial(alice.entry())
    await eventually(lambda: alice.node.is_linked(stranger.id))
    assert not alice.node.service.is_configured(stranger.id)
    assert dial_of(alice).node_id == BOB.node_id
    with pytest.raises(OtherKeyError):  # asking for it does not bring the link up as bob's either
        await alice.node.service.dial(PeerEntry(dial_of(alice).entry.endpoint))


async def test_the_one_who_comes_back_is_linked_again(start_node: StartNode) -> None:
    alice = await start_node(1)
    stranger, kept = await replaced(start_node, alice, {"label": "bob"})
    await eventually(lambda: dial_of(alice).state == "other_key")
    await stranger.node.stop()
    again = await start_node(4, port=stranger.port, identity=BOB)
    await eventually(lambda: alice.node.is_linked(again.id))
    await eventually(lambda: dial_of(alice).state == "up")
    assert (dial_of(alice).answers, dial_of(alice).last_error) == (None, None)
    assert alice.keystore.pinned(kept.endpoint) == BOB.node_id


async def test_the_key_met_before_a_restart_is_known_before_anybody_answers(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await alice.keystore.pin(bob.entry().endpoint, bob.id)
    await bob.node.stop()
    alice.node.service.keep_dialling(bob.entry(label="bob"), configured=True)
    assert dial_of(alice).node_id == bob.id
    assert alice.node.service.is_configured(bob.id)


async def test_who_answers_an_address_that_nothing_is_configured_for_binds_nothing(start_node: StartNode) -> None:
    alice, bob = await start_node(1), await start_node(2)
    await alice.node.service.dial(bob.entry())
    assert alice.keystore.pinned(bob.entry().endpoint) is None
    with pytest.raises(DialError, match="as expected"):
        await alice.node.service.dial(bob.entry(node_id=NodeId(bytes(16))))


@pytest.mark.parametrize("label", ["bob", "", "bob smith", "-x", "o'hara; rm", "b\u202eob"])
def test_the_command_that_is_shown_can_be_copied(label: str) -> None:
    found = OtherKey(Endpoint.parse("[fe80::1%eth0]:9100"), label, BOB.node_id, STRANGER.node_id)
    command = shlex.split(str(found).split("`")[1])
    name = label if label in {"bob", "bob smith", "o'hara; rm"} else "[fe80::1%eth0]:9100"
    assert command == ["pim", "accept", name, str(BOB.node_id), str(STRANGER.node_id)]
