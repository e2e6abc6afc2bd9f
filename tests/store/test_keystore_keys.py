"""Another key for the same person, and the own key in use elsewhere."""

from pathlib import Path

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.store.keystore import Keystore
from pimd.store.own_key import STARTS_KEPT
from tests.store.conftest import Person


async def test_a_new_key_gets_label_contact_mark_and_pins_and_the_old_one_keeps_its_block(
    path: Path, clock: ManualClock, alice: Person, bob: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(5), direct=True)
        keystore.learn(bob.card(5), direct=True)
        await keystore.set_label(alice.id, "al")
        await keystore.set_label(bob.id, "other")
        await keystore.set_blocked(alice.id, blocked=True)
        for address in ("a:1", "a:2", "a:3"):
            await keystore.pin(Endpoint.parse(address), alice.id)
        await keystore.replace_key(alice.id, bob.id, [Endpoint.parse("a:3")])
    async with Keystore.open(path, clock) as keystore:
        assert keystore.labels() == {bob.id: "al"}
        assert (keystore.is_contact(alice.id), keystore.is_contact(bob.id)) == (False, True)
        assert (keystore.is_blocked(alice.id), keystore.is_blocked(bob.id)) == (True, False)
        assert {keystore.pinned(Endpoint.parse(address)) for address in ("a:1", "a:2")} == {bob.id}
        assert keystore.pinned(Endpoint.parse("a:3")) == alice.id
        assert keystore.get(alice.id) is not None


async def test_so_many_starts_are_known(path: Path, clock: ManualClock) -> None:
    starts = [bytes([number]) * 8 for number in range(100, 100 + STARTS_KEPT + 6)]
    for half in (starts[:40], starts[40:]):
        async with Keystore.open(path, clock) as keystore:
            known = [keystore.note_start(instance) for instance in half]
            await keystore.next_own_seq(1)
            so_far = starts[: starts.index(half[-1]) + 1]
            assert known[-1] == set(so_far[-STARTS_KEPT:])


async def test_that_a_person_must_decide_is_known_after_a_restart(path: Path, clock: ManualClock) -> None:
    for waits in (True, False):
        async with Keystore.open(path, clock) as keystore:
            await keystore.set_waits_for_person(waits=waits)
        async with Keystore.open(path, clock) as keystore:
            assert keystore.waits_for_person is waits
