"""Whoever takes every file of two plugins reads nothing from before the last minute."""

from pathlib import Path

import pytest

from pimd.contract import NoParams
from pimd.ids import NodeId
from pimd_features.messaging.sessions.message import MSG_KIND, Msg2
from tests.features.messaging.conftest import MakeParty, Party, settle
from tests.features.messaging.sessions.attack import opened

Payload = tuple[NodeId, NodeId, str, bytes]


def recorded_of(*parties: Party) -> list[Payload]:
    """Record all that these send from now on."""
    recorded: list[Payload] = []
    send = parties[0].air.send

    def recording(src: NodeId, dst: NodeId, payload: object) -> None:
        recorded.append((src, dst, payload.kind, payload.body))  # type: ignore[attr-defined]
        send(src, dst, payload)  # type: ignore[arg-type]

    parties[0].air.send = recording  # type: ignore[method-assign]
    return recorded


def files_of(*parties: Party) -> list[bytes]:
    return [path.read_bytes() for party in parties for path in sorted(Path(party.directory).glob("messages.db*"))]


@pytest.mark.slow
async def test_after_a_minute_the_files_of_both_open_nothing_of_before(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    alice.mesh.connect(bob.id)
    bob.mesh.connect(alice.id)
    recorded = recorded_of(alice, bob)
    for number in range(3):
        await alice.say(bob, f"to bob {number}")
        await bob.say(alice, f"to alice {number}")
        await settle(alice.air)
        alice.clock.advance(40)
    assert len({Msg2.decode(body).session_id for *_, kind, body in recorded if kind == MSG_KIND}) > 2
    before = opened(files_of(alice, bob), recorded)
    assert before  # keys of the last minute are in the logs of both
    for one in (alice, bob):
        await one.running.delete_all(NoParams())
    alice.clock.advance(60)
    await settle(alice.air)
    assert opened(files_of(alice, bob), recorded) == set()
