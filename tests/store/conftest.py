"""Alice, bob and carol, with as many cards as a test needs, and a keystore to put them in."""

import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pimd.clock import ManualClock
from pimd.ids import NodeId
from pimd.proto.cards import Card, issue
from pimd.proto.identity import Identity
from pimd.store.keystore import Keystore


@dataclass(frozen=True)
class Person:
    """An identity that issues cards."""

    identity: Identity
    name: str

    @property
    def id(self) -> NodeId:
        return self.identity.node_id

    @property
    def key(self) -> bytes:
        return self.identity.x25519_pub

    def card(self, seq: int, name: str | None = None, flags: int = 0) -> Card:
        return issue(self.identity, seq, flags, self.name if name is None else name)

    def card_with_key(self, seq: int, x25519_pub: bytes) -> Card:
        """A card as its owner could sign it, with another key in it; the signature is not looked at behind `parse`."""
        card = self.card(seq)
        return dataclasses.replace(card, x25519_pub=x25519_pub, raw=card.raw[:33] + x25519_pub + card.raw[65:])


def person(name: str) -> Person:
    return Person(Identity.from_seed(name.encode().ljust(32, b".")), name)


@pytest.fixture
def alice() -> Person:
    return person("alice")


@pytest.fixture
def bob() -> Person:
    return person("bob")


@pytest.fixture
def carol() -> Person:
    return person("carol")


@pytest.fixture
def crowd() -> list[Person]:
    """Twenty others in the order of their ids."""
    return sorted((person(f"peer {number}") for number in range(20)), key=lambda peer: peer.id)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "peers.db"


@pytest.fixture
async def keystore(path: Path, clock: ManualClock) -> AsyncIterator[Keystore]:
    async with Keystore.open(path, clock) as keystore:
        yield keystore
