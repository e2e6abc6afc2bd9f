"""Look-ups by name, label and id say what the tables say, whatever changed them."""

import sqlite3
from pathlib import Path

import pytest

from pimd.clock import ManualClock
from pimd.database import DatabaseError
from pimd.ids import NodeId
from pimd.proto.cards import GATEWAY
from pimd.store.keystore import Keystore
from pimd.store.peer_index import PeerIndex
from tests.store.conftest import Person, person

PEOPLE = [person(f"{number}") for number in range(20)]


def looked_up(index: PeerIndex) -> dict[str, object]:
    """Everything that the index holds, in a form that compares."""
    return {
        "ids": list(index.after(None)),
        "gateways": index.gateways,
        "labels": index._labels.group_of,
        "contacts": index._contacts.group_of,
        "met": index._met.group_of,
    }


async def test_it_is_the_same_after_changes_as_after_a_restart(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock, limit=15) as keystore:
        for number, one in enumerate(PEOPLE):
            keystore.learn(
                one.card(1, "Même" if number % 3 else "other", GATEWAY * (number % 2)), direct=number % 5 < 3
            )
        await keystore.set_label(PEOPLE[0].id, "Zoë")
        await keystore.set_label(PEOPLE[1].id, "zoe\u0308")
        await keystore.set_contact(PEOPLE[2].id, contact=True)
        await keystore.set_contact(PEOPLE[4].id, contact=True)
        keystore.learn(PEOPLE[2].card(2, "renamed"), direct=False)
        await keystore.set_label(PEOPLE[1].id, None)
        await keystore.forget(PEOPLE[5].id)
        await keystore.set_label(NodeId(bytes(16)), "nobody here")
        before = looked_up(keystore.index)
        assert before["ids"] == [known.node_id for known in keystore.list()]
        assert set(keystore.index.labelled("ZOË")) == {PEOPLE[0].id}
        assert set(keystore.index.contacts_called("Renamed")) == {PEOPLE[2].id}
    async with Keystore.open(path, clock, limit=15) as keystore:
        assert looked_up(keystore.index) == before


async def test_what_could_not_be_written_is_not_looked_up(
    path: Path, clock: ManualClock, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(1), direct=True)
        await keystore.durable()
        before = looked_up(keystore.index)

        def fail(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        with monkeypatch.context() as patched:
            patched.setattr(type(keystore._identities.table), "write", fail)
            keystore.learn(person("bob").card(1), direct=True)
            with pytest.raises(DatabaseError):
                await keystore.set_label(alice.id, "al")
        assert looked_up(keystore.index) == before


async def test_ids_are_found_by_their_first_digits_and_paged_in_order(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock) as keystore:
        for one in PEOPLE:
            keystore.learn(one.card(1), direct=False)
        ids = sorted(one.id for one in PEOPLE)
        for digits in (1, 2, 8, 31, 32):
            for node_id in ids:
                start = node_id.hex()[:digits]
                assert list(keystore.index.starting_with(start)) == [one for one in ids if one.hex().startswith(start)]
        assert list(keystore.index.starting_with("f" * 32)) == []
        assert list(keystore.index.after(ids[3])) == ids[4:]
        assert list(keystore.index.after(NodeId(b"\xff" * 16))) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Cy", "Cy"),
        ("", "{short}"),
        ("deadbeef", "deadbeef ({short})"),
        ("c\u200by", "c\\u200by ({short})"),
        ("ZOË", "ZOË ({short})"),  # alice's label
    ],
)
async def test_a_name_that_cannot_stand_for_its_node_is_shown_with_the_id(
    path: Path, clock: ManualClock, alice: Person, name: str, shown: str
) -> None:
    async with Keystore.open(path, clock) as keystore:
        await keystore.set_label(alice.id, "Zoë")
        one = person("cy")
        keystore.learn(one.card(1, name), direct=True)
        assert keystore.index.shown(one.id) == shown.format(short=one.id.short)
        assert keystore.index.shown(alice.id) == "Zoë"


async def test_a_label_of_a_configured_address_is_nobody_elses_name(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock) as keystore:
        bob, stranger = person("bob"), person("stranger")
        keystore.learn(stranger.card(1, "BOB"), direct=True)
        keystore.learn(bob.card(1, "laptop"), direct=True)
        keystore.index.labels_configured([(None, "bob"), (None, "")])
        assert keystore.index.shown(stranger.id) == f"BOB ({stranger.id.short})"
        keystore.index.labels_configured([(bob.id, "bob")])
        assert keystore.index.shown(bob.id) == "bob"
        assert keystore.index.shown(stranger.id) == f"BOB ({stranger.id.short})"
        await keystore.set_label(bob.id, "robert")
        assert keystore.index.shown(bob.id) == "robert"
        keystore.index.labels_configured([])
        assert keystore.index.shown(stranger.id) == "BOB"


async def test_a_name_that_means_another_or_several_is_shown_with_the_id(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock) as keystore:
        one, other, heard_of = person("one"), person("other"), person("heard of")
        keystore.learn(one.card(1, "bob"), direct=True)
        assert keystore.index.shown(one.id) == "bob"
        for stranger, direct in ((other, True), (heard_of, False)):
            keystore.learn(stranger.card(1, "Bob"), direct=direct)
        for who, name in ((one, "bob"), (other, "Bob"), (heard_of, "Bob")):
            assert keystore.index.shown(who.id) == f"{name} ({who.id.short})"
        await keystore.set_contact(one.id, contact=True)
        assert keystore.index.shown(one.id) == "bob"
        assert keystore.index.shown(other.id) == f"Bob ({other.id.short})"
