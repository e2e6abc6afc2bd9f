"""Any series of changes, with restarts in between, leaves what a plain model of the rules says."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract.peers import Forgotten, PeerDirectoryEvent, PeerInfoSource, Seen
from pimd.contract.services import KeyConflict
from pimd.ids import NodeId
from pimd.store.keystore import Keystore

Person = Any
FOREIGN_KEY = bytes(range(1, 33))
ADDRESSES = ("a:1", "b:2")

people = st.integers(0, 2)
operations = st.one_of(
    st.tuples(st.just("learn"), people, st.integers(0, 4), st.booleans(), st.booleans()),
    st.tuples(st.just("import"), people, st.booleans()),
    st.tuples(st.just("forget"), people),
    st.tuples(st.just("label"), people, st.sampled_from([None, "x", "y"])),
    st.tuples(st.just("contact"), people, st.booleans()),
    st.tuples(st.just("block"), people, st.booleans()),
    st.tuples(st.just("pin"), st.sampled_from(ADDRESSES), people),
    st.tuples(st.just("unpin"), st.sampled_from(ADDRESSES)),
    st.tuples(st.just("own_seq"), st.integers(0, 10)),
    st.tuples(st.just("restart")),
)


@dataclass
class Model:
    """The rules of the keystore, each written down as simply as it can be."""

    people: list[Person]
    cards: dict[int, tuple[int, bytes, bool]] = field(default_factory=dict)
    """(seq, key, met on a link) of whoever has signed a card."""
    imports: dict[int, bytes] = field(default_factory=dict)
    forgotten: dict[int, int] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    contacts: set[int] = field(default_factory=set)
    blocked: set[int] = field(default_factory=set)
    pins: dict[str, int] = field(default_factory=dict)
    own_seq: int = 0
    events: list[PeerDirectoryEvent] = field(default_factory=list)

    def learn(self, who: int, seq: int, direct: bool, foreign: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        key = FOREIGN_KEY if foreign else self.people[who].key
        if who in self.cards:
            held_seq, held_key, met = self.cards[who]
            if key != held_key:
                return
            self.cards[who] = (max(seq, held_seq), key, met or direct)
            if seq <= held_seq:
                return
        elif who not in self.imports and not direct and seq <= self.forgotten.get(who, -1):
            return
        self.cards.setdefault(who, (seq, key, direct))
        self.imports.pop(who, None)
        self.forgotten.pop(who, None)
        self.seen(who, key, self.people[who].name, PeerInfoSource.DIRECT if direct else PeerInfoSource.ROUTED)

    def take_import(self, who: int, foreign: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        key = FOREIGN_KEY if foreign else self.people[who].key
        if who in self.cards:
            if self.cards[who][1] == key:
                self.contacts.add(who)
            return
        self.imports[who] = key
        self.contacts.add(who)
        self.seen(who, key, "imported", PeerInfoSource.ROUTED)

    def forget(self, who: int) -> None:
        if who in self.cards:
            self.forgotten[who] = self.cards[who][0]
        if who in self.cards or who in self.imports:
            self.events.append(Forgotten(self.people[who].id))
        self.cards.pop(who, None)
        self.imports.pop(who, None)
        self.labels.pop(who, None)
        self.contacts.discard(who)
        self.pins = {address: pinned for address, pinned in self.pins.items() if pinned != who}

    def seen(self, who: int, key: bytes, name: str, via: PeerInfoSource) -> None:
        self.events.append(Seen(self.people[who].id, key, name, via))

    def peers(self) -> dict[NodeId, tuple[Any, ...]]:
        found: dict[NodeId, tuple[Any, ...]] = {}
        for who, (seq, key, met) in self.cards.items():
            found[self.people[who].id] = (key, "direct" if met else "signed", seq, *self.notes(who))
        for who, key in self.imports.items():
            found[self.people[who].id] = (key, "imported", -1, *self.notes(who))
        return found

    def notes(self, who: int) -> tuple[Any, ...]:
        return (self.labels.get(who), who in self.contacts, who in self.blocked)


async def change(keystore: Keystore, model: Model, operation: tuple[Any, ...]) -> None:
    """Do one thing to both."""
    kind, *arguments = operation
    await CHANGES[kind](keystore, model, *arguments)


async def learn(keystore: Keystore, model: Model, who: int, seq: int, direct: bool, foreign: bool) -> None:  # noqa: FBT001
    person = model.people[who]
    keystore.learn(person.card_with_key(seq, FOREIGN_KEY) if foreign else person.card(seq), direct=direct)
    model.learn(who, seq, direct, foreign)


async def take_import(keystore: Keystore, model: Model, who: int, foreign: bool) -> None:  # noqa: FBT001
    person = model.people[who]
    key = FOREIGN_KEY if foreign else person.key
    held = model.cards.get(who)
    if held is not None and held[1] != key:
        with pytest.raises(KeyConflict):
            await keystore.import_identity(person.id, key, "imported")
    else:
        await keystore.import_identity(person.id, key, "imported")
    model.take_import(who, foreign)


async def forget(keystore: Keystore, model: Model, who: int) -> None:
    *_, label, contact, _blocked = (None, *model.notes(who))
    anything = who in model.cards or who in model.imports or label or contact or who in model.pins.values()
    assert await keystore.forget(model.people[who].id) == bool(anything)
    model.forget(who)


async def set_label(keystore: Keystore, model: Model, who: int, label: str | None) -> None:
    await keystore.set_label(model.people[who].id, label)
    if label is None:
        model.labels.pop(who, None)
    else:
        model.labels[who] = label
        model.contacts.add(who)


async def set_contact(keystore: Keystore, model: Model, who: int, contact: bool) -> None:  # noqa: FBT001
    await keystore.set_contact(model.people[who].id, contact=contact)
    (model.contacts.add if contact else model.contacts.discard)(who)


async def set_blocked(keystore: Keystore, model: Model, who: int, blocked: bool) -> None:  # noqa: FBT001
    await keystore.set_blocked(model.people[who].id, blocked=blocked)
    (model.blocked.add if blocked else model.blocked.discard)(who)


async def pin(keystore: Keystore, model: Model, address: str, who: int) -> None:
    await keystore.pin(Endpoint.parse(address), model.people[who].id)
    model.pins[address] = who


async def unpin(keystore: Keystore, model: Model, address: str) -> None:
    await keystore.unpin(endpoint=Endpoint.parse(address))
    model.pins.pop(address, None)


async def own_seq(keystore: Keystore, model: Model, now_ms: int) -> None:
    seq = await keystore.next_own_seq(now_ms)
    assert seq == max(now_ms, model.own_seq + 1)
    model.own_seq = seq


CHANGES: dict[str, Callable[..., Any]] = {
    "learn": learn,
    "import": take_import,
    "forget": forget,
    "label": set_label,
    "contact": set_contact,
    "block": set_blocked,
    "pin": pin,
    "unpin": unpin,
    "own_seq": own_seq,
}


def compare(keystore: Keystore, model: Model) -> None:
    """Everything that can be asked has the model's answer."""
    ids = [person.id for person in model.people]
    assert {
        peer.node_id: (
            peer.x25519_pub,
            peer.known,
            keystore.learned_seq(peer.node_id),
            peer.label,
            peer.contact,
            peer.blocked,
        )
        for peer in keystore.list()
    } == model.peers()
    assert keystore.labels() == {ids[who]: label for who, label in model.labels.items()}
    assert [keystore.is_blocked(node_id) for node_id in ids] == [who in model.blocked for who in range(len(ids))]
    assert {
        address: keystore.pinned(Endpoint.parse(address))
        for address in ADDRESSES
        if keystore.pinned(Endpoint.parse(address))
    } == {address: ids[who] for address, who in model.pins.items()}
    assert keystore.highest_own_seq == model.own_seq


async def live(path: Path, model: Model, lives: list[list[tuple[Any, ...]]]) -> None:
    for operations_of_one_life in lives:
        async with Keystore.open(path, ManualClock()) as keystore:
            compare(keystore, model)
            model.events.clear()
            events = keystore.subscribe()
            for operation in operations_of_one_life:
                await change(keystore, model, operation)
                compare(keystore, model)
            await keystore.durable()
            assert list(iter(events.next_waiting, None)) == model.events


def split_at_restarts(steps: list[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    lives: list[list[tuple[Any, ...]]] = [[]]
    for step in steps:
        if step == ("restart",):
            lives.append([])
        else:
            lives[-1].append(step)
    return [*lives, []]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(operations, max_size=40))
def test_any_series_of_changes_and_restarts_agrees_with_the_model(
    steps: list[tuple[Any, ...]], alice: Person, bob: Person, carol: Person
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(live(Path(directory) / "peers.db", Model([alice, bob, carol]), split_at_restarts(steps)))
