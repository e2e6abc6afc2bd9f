"""Identities that are held leave the garbage collector nothing to visit, or strangers could stop everything with it."""

import gc
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pimd.clock import ManualClock
from pimd.proto.cards import GATEWAY, Card
from pimd.store.identities import KEPT_UNPACKED
from pimd.store.keystore import Keystore

MANY = 2 * KEPT_UNPACKED


def card(number: int, name: str) -> Card:
    """A card as `parse` would give it; its signature is not looked at again."""
    ed25519_pub = hashlib.sha256(b"%d" % number).digest()
    x25519_pub = hashlib.sha256(ed25519_pub).digest()
    return Card(ed25519_pub, x25519_pub, 1, GATEWAY, name, b"", b"\1" + ed25519_pub + x25519_pub + bytes(120))


async def tracked(keystore: Keystore) -> int:
    """How many references a full collection follows once the keystore is at rest: big containers count in full."""
    await keystore.durable()
    await keystore.keep_lived_time()  # the callbacks of the last transaction are gone
    gc.collect()
    return sum(len(gc.get_referents(one)) for one in gc.get_objects())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "source"), [("one", "one"), ("of {}", "one"), ("one", "of {}"), ("of {}", "of {}")], ids=str
)
async def test_an_identity_adds_nothing_that_a_collection_follows(
    path: Path, clock: ManualClock, name: str, source: str
) -> None:
    async with Keystore.open(path, clock) as keystore:

        def arrive(first: int) -> None:
            for number in range(first, first + MANY):
                keystore.learn(card(number, name.format(number)), direct=True, brought_by=source.format(number))

        assert await growth(keystore, arrive) < MANY + MANY // 8  # the ids in their order are one list


@pytest.mark.slow
async def test_a_mark_adds_nothing_but_its_place(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock) as keystore:

        def leave(first: int) -> None:
            for number in range(first, first + MANY):
                keystore.learn(card(number, ""), direct=False)
            clock.advance(1)
            keystore.age_out(clock.lived_ms(), MANY)

        assert await growth(keystore, leave) < MANY // 8
        assert keystore.counters["identities_aged_out"] == 2 * MANY


async def growth(keystore: Keystore, happen: Callable[[int], None]) -> int:
    """What a second crowd adds: what is made once, and what is kept for a few, is there before."""
    happen(0)
    before = await tracked(keystore)
    happen(MANY)
    return await tracked(keystore) - before
