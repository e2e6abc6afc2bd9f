"""What the keystore knows, and how it comes to know it."""

# ruff: noqa: ASYNC240 - a test may block its own loop for a look at a file

import asyncio
import contextlib
import dataclasses
import sqlite3
import stat
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract.peers import PeerDirectory
from pimd.contract.services import KeyConflict, KnownPeer
from pimd.contract.services import Keystore as KeystorePort
from pimd.database import DatabaseError
from pimd.ids import NodeId
from pimd.proto.cards import SEQ_LIMIT
from pimd.store.keystore import Keystore
from pimd.store.learned import Learned

Person = Any
KEY = bytes(range(1, 33))
OTHER_KEY = bytes(range(2, 34))
STRANGER = NodeId(b"0123456789abcdef")


def known(keystore: Keystore, node_id: NodeId) -> KnownPeer:
    peer = keystore.get(node_id)
    assert peer is not None
    return peer


async def test_it_is_what_the_contract_calls_a_keystore_and_a_peer_directory(keystore: Keystore) -> None:
    port: KeystorePort = keystore
    directory: PeerDirectory = keystore
    members = {name for protocol in (KeystorePort, PeerDirectory) for name in vars(protocol) if name[0] != "_"}
    assert members <= set(dir(port)) == set(dir(directory))
    assert len(members) == 24


async def test_a_card_is_known_at_once_and_still_after_a_restart(path: Path, clock: ManualClock, alice: Person) -> None:
    card = alice.card(7, flags=3)
    async with Keystore.open(path, clock) as keystore:
        assert keystore.learn(card, direct=False) is Learned.NEW
        before = known(keystore, alice.id)
    assert before == KnownPeer(
        node_id=alice.id,
        x25519_pub=alice.key,
        name="alice",
        known="signed",
        card=card.raw,
        seq=7,
        flags=3,
        label=None,
        contact=False,
        blocked=False,
        first_seen_ms=clock.unix_ms(),
        last_seen_ms=clock.unix_ms(),
    )
    async with Keystore.open(path, clock) as keystore:
        assert known(keystore, alice.id) == before
        assert await keystore.lookup_x25519(alice.id) == alice.key
        assert await keystore.lookup_name(alice.id) == "alice"


async def test_a_stranger_has_neither_key_nor_name_nor_anything_else(keystore: Keystore) -> None:
    assert await keystore.lookup_x25519(STRANGER) is None
    assert await keystore.lookup_name(STRANGER) is None
    assert keystore.get(STRANGER) is None
    assert keystore.learned_seq(STRANGER) == -1
    assert not keystore.is_blocked(STRANGER)
    assert not await keystore.forget(STRANGER)


async def test_the_empty_name_of_a_peer_is_not_taken_for_a_stranger(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(1, name=""), direct=False)
    assert await keystore.lookup_name(alice.id) == ""


async def test_the_list_is_in_the_order_of_the_ids(keystore: Keystore, crowd: list[Person]) -> None:
    for peer in reversed(crowd):
        keystore.learn(peer.card(1), direct=False)
    assert [peer.node_id for peer in keystore.list()] == [peer.id for peer in crowd]


async def test_a_newer_card_refreshes_and_keeps_the_first_sight(
    keystore: Keystore, clock: ManualClock, alice: Person
) -> None:
    keystore.learn(alice.card(1), direct=False)
    first = known(keystore, alice.id)
    clock.advance(5)
    assert keystore.learn(alice.card(2, name="alice the second"), direct=False) is Learned.NEW
    second = known(keystore, alice.id)
    assert (second.name, second.seq) == ("alice the second", 2)
    assert (second.first_seen_ms, second.last_seen_ms) == (first.first_seen_ms, first.first_seen_ms + 5000)


@pytest.mark.parametrize("seq", [0, 4, 5])
async def test_a_card_that_is_not_newer_is_old_news(keystore: Keystore, alice: Person, seq: int) -> None:
    keystore.learn(alice.card(5), direct=False)
    before = known(keystore, alice.id)
    assert keystore.learn(alice.card(seq, name="changed"), direct=False) is Learned.OLD
    assert known(keystore, alice.id) == before
    assert keystore.learned_seq(alice.id) == 5


async def test_a_card_with_seq_0_is_learned(keystore: Keystore, alice: Person) -> None:
    assert keystore.learn(alice.card(0), direct=False) is Learned.NEW
    assert keystore.learned_seq(alice.id) == 0


async def test_the_first_valid_pair_of_keys_stays_and_others_are_counted(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(1), direct=False)
    before = known(keystore, alice.id)
    assert keystore.learn(alice.card_with_key(2, KEY), direct=True) is Learned.OTHER_KEYS
    assert not keystore.accepts_keys(alice.id, KEY, alice.key)
    assert known(keystore, alice.id) == before
    assert keystore.counters["cards_of_other_keys"] == 2
    assert keystore.accepts_keys(alice.id, alice.identity.ed25519_pub, alice.key)
    assert keystore.accepts_keys(STRANGER, KEY, OTHER_KEY)


async def test_known_goes_from_imported_to_signed_to_direct_and_stays_there(keystore: Keystore, alice: Person) -> None:
    seen = []
    await keystore.import_identity(alice.id, alice.key, "from a card")
    seen.append(known(keystore, alice.id).known)
    for seq, direct in ((1, False), (2, True), (3, False)):
        keystore.learn(alice.card(seq), direct=direct)
        seen.append(known(keystore, alice.id).known)
    assert seen == ["imported", "signed", "direct", "direct"]


async def test_a_link_to_a_peer_whose_card_came_before_it_makes_it_direct_in_silence(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(1), direct=False)
        await keystore.durable()
        events = keystore.subscribe()
        assert keystore.learn(alice.card(1), direct=True) is Learned.OLD
        await keystore.durable()
        assert events.next_waiting() is None
    async with Keystore.open(path, clock) as keystore:
        assert known(keystore, alice.id).known == "direct"


# --- keys that the user imports


async def test_an_imported_key_is_a_contact_without_a_card(keystore: Keystore, alice: Person) -> None:
    assert await keystore.import_identity(alice.id, alice.key, "al")
    peer = known(keystore, alice.id)
    assert (peer.known, peer.card, peer.name, peer.contact) == ("imported", None, "al", True)
    assert keystore.learned_seq(alice.id) == -1


async def test_importing_again_tells_whether_the_key_was_new(keystore: Keystore, alice: Person) -> None:
    assert await keystore.import_identity(alice.id, KEY, "al")
    assert not await keystore.import_identity(alice.id, KEY, "alice")
    assert known(keystore, alice.id).name == "alice"
    assert await keystore.import_identity(alice.id, OTHER_KEY, "alice")
    assert known(keystore, alice.id).x25519_pub == OTHER_KEY


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32)], ids=["empty", "short", "long", "low order"])
async def test_a_key_that_is_none_is_refused(keystore: Keystore, key: bytes) -> None:
    with pytest.raises(ValueError, match="X25519 public key"):
        await keystore.import_identity(STRANGER, key, "x")
    assert keystore.get(STRANGER) is None


async def test_importing_again_without_a_name_keeps_the_one_given_before(keystore: Keystore) -> None:
    for name, then in (("carol", "carol"), ("", "carol"), ("caro", "caro")):
        await keystore.import_identity(STRANGER, KEY, name)
        assert known(keystore, STRANGER).name == then


async def test_an_import_that_differs_from_the_signed_key_is_a_conflict_that_names_both(
    keystore: Keystore, alice: Person
) -> None:
    keystore.learn(alice.card(1), direct=False)
    with pytest.raises(KeyConflict) as caught:
        await keystore.import_identity(alice.id, KEY, "al")
    assert (caught.value.node_id, caught.value.supplied, caught.value.existing) == (alice.id, KEY, alice.key)
    assert not known(keystore, alice.id).contact


async def test_an_import_of_the_signed_key_changes_nothing_but_the_contact(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(1), direct=False)
    before = known(keystore, alice.id)
    assert not await keystore.import_identity(alice.id, alice.key, "al")
    assert known(keystore, alice.id) == dataclasses.replace(before, contact=True)


@pytest.mark.parametrize(("imported", "warnings"), [(KEY, 1), (None, 0)], ids=["other key", "same key"])
async def test_a_signed_card_replaces_an_imported_key_and_warns_when_they_differ(
    keystore: Keystore, alice: Person, caplog: pytest.LogCaptureFixture, imported: bytes | None, warnings: int
) -> None:
    await keystore.import_identity(alice.id, imported or alice.key, "al")
    assert keystore.learn(alice.card(0), direct=False) is Learned.NEW
    peer = known(keystore, alice.id)
    assert (peer.x25519_pub, peer.name, peer.known, peer.contact) == (alice.key, "alice", "signed", True)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings


# --- what the user says


async def test_label_contact_and_block_are_kept_for_ids_never_seen(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        await keystore.set_label(alice.id, "al")
        await keystore.set_blocked(alice.id, blocked=True)
        assert keystore.get(alice.id) is None
    async with Keystore.open(path, clock) as keystore:
        assert keystore.labels() == {alice.id: "al"}
        assert keystore.is_blocked(alice.id)
        keystore.learn(alice.card(1), direct=False)
        peer = known(keystore, alice.id)
        assert (peer.label, peer.contact, peer.blocked) == ("al", True, True)


async def test_taking_the_label_away_leaves_the_contact(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(1), direct=False)
    await keystore.set_label(alice.id, "al")
    await keystore.set_label(alice.id, None)
    assert (known(keystore, alice.id).label, known(keystore, alice.id).contact) == (None, True)
    await keystore.set_contact(alice.id, contact=False)
    assert not known(keystore, alice.id).contact
    assert keystore.labels() == {}


async def test_unblocking_leaves_no_trace_in_the_file(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock) as keystore:
        await keystore.set_blocked(STRANGER, blocked=True)
        await keystore.set_blocked(STRANGER, blocked=False)
        assert not keystore.is_blocked(STRANGER)
    with contextlib.closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*) FROM notes").fetchone() == (0,)


async def test_pins_are_taken_away_by_address_or_by_id_or_both(
    path: Path, clock: ManualClock, alice: Person, bob: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        for address, peer in (("a:1", alice), ("a:2", alice), ("b:1", bob), ("b:2", bob)):
            await keystore.pin(Endpoint.parse(address), peer.id)
        await keystore.unpin(endpoint=Endpoint.tcp("b", 1))
        await keystore.unpin(node_id=alice.id)
    async with Keystore.open(path, clock) as keystore:
        assert [keystore.pinned(Endpoint.parse(address)) for address in ("a:1", "a:2", "b:1", "b:2")] == [
            None,
            None,
            None,
            bob.id,
        ]
        await keystore.pin(Endpoint.tcp("b", 2), alice.id)
        assert keystore.pinned(Endpoint.tcp("b", 2)) == alice.id
        await keystore.pin(Endpoint.tcp("c", 1), bob.id)
        await keystore.unpin(endpoint=Endpoint.tcp("b", 2), node_id=bob.id)
        assert (keystore.pinned(Endpoint.tcp("b", 2)), keystore.pinned(Endpoint.tcp("c", 1))) == (None, None)
        await keystore.unpin(endpoint=Endpoint.tcp("nowhere", 1))


# --- forgetting


async def test_forgetting_deletes_everything_but_the_block(path: Path, clock: ManualClock, alice: Person) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(5), direct=True)
        await keystore.set_label(alice.id, "al")
        await keystore.set_blocked(alice.id, blocked=True)
        await keystore.pin(Endpoint.tcp("a", 1), alice.id)
        assert await keystore.forget(alice.id)
        assert not await keystore.forget(alice.id)
    async with Keystore.open(path, clock) as keystore:
        assert (keystore.get(alice.id), keystore.labels(), keystore.pinned(Endpoint.tcp("a", 1))) == (None, {}, None)
        assert keystore.is_blocked(alice.id)


@pytest.mark.parametrize("what", ["label", "contact", "pin"])
async def test_an_id_of_which_only_a_note_was_known_is_forgotten_without_an_event(
    keystore: Keystore, what: str
) -> None:
    await {
        "label": lambda: keystore.set_label(STRANGER, "s"),
        "contact": lambda: keystore.set_contact(STRANGER, contact=True),
        "pin": lambda: keystore.pin(Endpoint.tcp("a", 1), STRANGER),
    }[what]()
    events = keystore.subscribe()
    assert await keystore.forget(STRANGER)
    assert not await keystore.forget(STRANGER)
    assert events.next_waiting() is None


async def test_a_forgotten_card_is_not_learned_again_but_a_newer_one_is(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(5), direct=False)
        await keystore.set_label(alice.id, "al")
        await keystore.forget(alice.id)
        assert keystore.learn(alice.card(5), direct=False) is Learned.FORGOTTEN
    async with Keystore.open(path, clock) as keystore:
        assert keystore.learn(alice.card(4), direct=False) is Learned.FORGOTTEN
        assert keystore.get(alice.id) is None
        assert keystore.learn(alice.card(6), direct=False) is Learned.NEW
        assert (known(keystore, alice.id).label, known(keystore, alice.id).contact) == (None, False)


async def test_a_link_makes_a_forgotten_peer_a_stranger_anew(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(5), direct=False)
    await keystore.forget(alice.id)
    assert keystore.learn(alice.card(5), direct=True) is Learned.NEW
    await keystore.forget(alice.id)
    assert keystore.learn(alice.card(5), direct=False) is Learned.FORGOTTEN


async def test_an_import_brings_a_forgotten_peer_back_with_its_old_card(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(5), direct=False)
    await keystore.forget(alice.id)
    await keystore.import_identity(alice.id, alice.key, "al")
    assert keystore.learn(alice.card(5), direct=False) is Learned.NEW


async def test_forgetting_an_import_does_not_bring_back_the_card_forgotten_before_it(
    path: Path, clock: ManualClock, alice: Person
) -> None:
    async with Keystore.open(path, clock) as keystore:
        keystore.learn(alice.card(5), direct=False)
        await keystore.forget(alice.id)
        await keystore.import_identity(alice.id, alice.key, "al")
        await keystore.forget(alice.id)
        assert keystore.learn(alice.card(5), direct=False) is Learned.FORGOTTEN
        assert keystore.learn(alice.card(6), direct=False) is Learned.NEW
    with contextlib.closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*) FROM forgotten").fetchone() == (0,)


# --- this node's own numbers


async def test_own_numbers_follow_the_clock_and_never_repeat_when_it_falls_back(path: Path, clock: ManualClock) -> None:
    async with Keystore.open(path, clock) as keystore:
        assert keystore.highest_own_seq == 0
        assert await keystore.next_own_seq(1000) == 1000
        assert await keystore.next_own_seq(1000) == 1001
        assert await keystore.next_own_seq(5) == 1002
    async with Keystore.open(path, clock) as keystore:
        assert keystore.highest_own_seq == 1002
        assert await keystore.next_own_seq(-1) == 1003


async def test_an_own_number_is_on_disk_before_it_is_used(path: Path, keystore: Keystore) -> None:
    seq = await keystore.next_own_seq(1000)
    with contextlib.closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT value FROM own").fetchone() == (seq,)


async def test_at_the_last_number_the_identity_is_used_up_and_stays_there(keystore: Keystore) -> None:
    assert await keystore.next_own_seq(SEQ_LIMIT - 2) == SEQ_LIMIT - 2
    assert await keystore.next_own_seq(0) == SEQ_LIMIT - 1
    assert await keystore.next_own_seq(0) == SEQ_LIMIT - 1
    assert await keystore.next_own_seq(SEQ_LIMIT + 5) == SEQ_LIMIT - 1


# --- the disk


async def test_cards_of_one_moment_share_a_transaction(keystore: Keystore, crowd: list[Person]) -> None:
    database = keystore._mirror._database
    before = database.transactions
    for peer in crowd:
        keystore.learn(peer.card(1), direct=False)
    await keystore.durable()
    assert database.transactions == before + 1


async def test_durable_writes_nothing_when_nothing_ever_changed(keystore: Keystore) -> None:
    before = keystore._mirror._database.transactions
    await keystore.durable()
    assert keystore._mirror._database.transactions == before


async def test_a_caller_that_is_cancelled_while_waiting_leaves_the_change_in_force(
    keystore: Keystore, alice: Person
) -> None:
    keystore.learn(alice.card(1), direct=False)
    waiting = keystore.durable()
    waiting.cancel()  # type: ignore[attr-defined]
    await keystore.durable()
    assert keystore.get(alice.id) is not None


async def fill_disk(keystore: Keystore) -> None:
    database = keystore._mirror._database
    [[pages]] = await database.read("PRAGMA page_count")
    await database.read(f"PRAGMA max_page_count = {pages}")


async def free_disk(keystore: Keystore) -> None:
    await keystore._mirror._database.read("PRAGMA max_page_count = 1000000")


async def test_what_the_disk_refused_is_not_known_and_not_told_and_works_once_there_is_room(
    keystore: Keystore, crowd: list[Person], alice: Person
) -> None:
    await keystore.set_label(alice.id, "al")
    await fill_disk(keystore)
    events = keystore.subscribe()
    for peer in crowd:
        keystore.learn(peer.card(1), direct=False)
    keystore.learn(alice.card(1), direct=False)
    with pytest.raises(DatabaseError, match="the disk is full"):
        await keystore.set_label(alice.id, "x" * 10_000)
    assert (keystore.list(), keystore.labels(), events.next_waiting()) == ([], {alice.id: "al"}, None)
    await free_disk(keystore)
    await keystore.unpin(node_id=alice.id)  # changes nothing: there is nothing that could fail
    assert [keystore.learn(peer.card(1), direct=False) for peer in crowd] == [Learned.NEW] * len(crowd)
    await keystore.durable()
    assert len(keystore.list()) == len(crowd)


async def test_a_forget_that_the_disk_refused_leaves_the_peer_known(keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(1), direct=False)
    await keystore.set_label(alice.id, "al")
    before = keystore.list()
    await fill_disk(keystore)
    async with asyncio.TaskGroup() as group:
        # In one transaction with something too big, so that it fails.
        label = group.create_task(fails(keystore.set_label(STRANGER, "x" * 100_000)))
        forget = group.create_task(fails(keystore.forget(alice.id)))
    assert label.result()
    assert forget.result()
    assert keystore.list() == before


async def fails(change: Coroutine[Any, Any, object]) -> bool:
    with pytest.raises(DatabaseError):
        await change
    return True


async def test_a_row_that_makes_no_sense_is_left_out_with_a_warning(
    path: Path, clock: ManualClock, alice: Person, bob: Person, carol: Person, caplog: pytest.LogCaptureFixture
) -> None:
    async with Keystore.open(path, clock) as keystore:
        for peer in (alice, bob, carol):
            keystore.learn(peer.card(1), direct=False)
    with contextlib.closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE identities SET x25519_pub = ? WHERE node_id = ?", (KEY, alice.id))
        plain.execute("UPDATE identities SET known = 'rumoured' WHERE node_id = ?", (bob.id,))
        plain.execute("INSERT INTO pins VALUES ('a:1', x'0102')")
    async with Keystore.open(path, clock) as keystore:
        assert [peer.node_id for peer in keystore.list()] == [carol.id]
        assert len(caplog.records) == 3
        assert keystore.learn(alice.card(1), direct=False) is Learned.NEW


async def test_a_damaged_file_is_reported_by_its_new_name(path: Path, clock: ManualClock) -> None:
    path.write_bytes(b"garbage" * 1000)
    async with Keystore.open(path, clock) as keystore:
        assert keystore.damaged is not None
        assert keystore.damaged.read_bytes() == b"garbage" * 1000


async def test_the_files_are_for_their_owner_alone(path: Path, keystore: Keystore, alice: Person) -> None:
    keystore.learn(alice.card(1), direct=False)
    await keystore.durable()
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}
