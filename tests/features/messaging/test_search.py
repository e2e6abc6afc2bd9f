"""What `messages.search` finds, and that deleted words are in no file."""

import itertools
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pimd.clock import ManualClock
from pimd.contract import InvalidParams
from pimd.database import Connection, Database
from pimd.ids import MessageId, NodeId
from pimd.limits import Bites
from pimd_features.messaging.archive_models import SearchParams
from pimd_features.messaging.excerpts import excerpt_of
from pimd_features.messaging.schema import migrations
from pimd_features.messaging.searching import Query, Search, words_of
from pimd_features.messaging.store import PAGE_BYTES, MessageStore, Outgoing
from tests.features.messaging.conftest import MakeParty
from tests.limits import Lower

ALICE, BOB = NodeId(b"a" * 16), NodeId(b"b" * 16)
LAST = 2**62
numbers = itertools.count(1)


class Shelf:
    """A store with its index."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = MessageStore(database, Bites())
        self.search = Search(database)

    async def put(self, *bodies: str, peer: NodeId = ALICE) -> None:
        for body in bodies:
            await self.store.add_sent(Outgoing(peer, MessageId(next(numbers).to_bytes(16)), 1, 10**15), body)

    async def find(self, text: str, peer: NodeId | None = None, below: int = LAST, limit: int = 100) -> list[str]:
        return [row["body"] for row in await self.search.find(Query(words_of(text), peer, below, limit))]

    async def check(self) -> None:
        """Raise if the index does not hold exactly what is stored."""
        await self.search.catch_up()
        await self.database.write("check", _check)


def _check(connection: Connection) -> None:
    connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with Database.open(tmp_path / "messages.db", migrations(0), clock=ManualClock()) as database:
        yield Shelf(database)


async def test_words_are_found_whatever_their_case_and_accents(shelf: Shelf) -> None:
    await shelf.put("Crème brûlée at Zoë's", "nothing here", unicodedata.normalize("NFD", "une crème"), "ΚΑΛΗΜΈΡΑ")
    assert await shelf.find("creme") == [unicodedata.normalize("NFD", "une crème"), "Crème brûlée at Zoë's"]
    assert await shelf.find("CRÈME zoe") == ["Crème brûlée at Zoë's"]
    assert await shelf.find("καλημέρα") == ["ΚΑΛΗΜΈΡΑ"]


@pytest.mark.parametrize("word", ["καλημέρα", "ёлка", "한국어", "Việt", "हिन्दी", "שָׁלוֹם"])
async def test_composed_and_decomposed_words_are_the_same(shelf: Shelf, word: str) -> None:
    forms = [unicodedata.normalize(form, f"{word} one") for form in ("NFC", "NFD")]
    await shelf.put(*forms)
    for form in ("NFC", "NFD"):
        assert sorted(await shelf.find(unicodedata.normalize(form, f"{word.upper()} ! on"))) == sorted(forms)


async def test_the_beginning_of_a_word_finds_it_and_its_middle_does_not(shelf: Shelf) -> None:
    await shelf.put("a lighthouse keeper", "今天天气很好")
    assert await shelf.find("light keep") == ["a lighthouse keeper"]
    assert await shelf.find("house") == []
    assert await shelf.find("今天") == ["今天天气很好"]


@pytest.mark.parametrize(
    "text",
    [
        'tea" OR "coffee',
        "tea AND NOT (coffee)",
        "tea*",
        "body:tea",
        "^tea",
        "NEAR(tea coffee, 5)",
        "tea + coffee",
        "-tea",
    ],
)
async def test_quotes_and_operators_are_text(shelf: Shelf, text: str) -> None:
    await shelf.put("coffee alone", f"this is {text} as it was typed")
    assert await shelf.find(text) == [f"this is {text} as it was typed"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80))
async def test_any_text_is_a_query(shelf: Shelf, text: str) -> None:
    await shelf.put("some words")
    assert set(await shelf.find(text)) <= {"some words"}


async def test_words_of_marks_alone_count_for_nothing(shelf: Shelf) -> None:
    await shelf.put("tea for two")
    assert await shelf.find("!!! tea ... \0 ?") == ["tea for two"]
    assert (await shelf.find("!!! ..."), await shelf.find(""), await shelf.find("\0")) == ([], [], [])


async def test_a_search_can_be_of_one_conversation(shelf: Shelf) -> None:
    await shelf.put("lunch with alice")
    await shelf.put("lunch with bob", peer=BOB)
    assert await shelf.find("lunch") == ["lunch with bob", "lunch with alice"]
    assert await shelf.find("lunch", peer=ALICE) == ["lunch with alice"]
    assert await shelf.find(f"p{ALICE.hex()}") == []


async def test_the_index_follows_what_is_stored_moved_and_deleted(shelf: Shelf) -> None:
    await shelf.put("first word", "second word")
    assert len(await shelf.find("word")) == 2
    await shelf.put("third word")
    assert len(await shelf.find("word")) == 3
    await shelf.check()
    await shelf.store.reassign(ALICE, BOB)
    assert (await shelf.find("word", ALICE), len(await shelf.find("word", BOB))) == ([], 3)
    await shelf.check()
    await shelf.put("fourth word")
    await shelf.store.delete(BOB)  # the fourth is not in the index yet
    assert await shelf.find("word") == ["fourth word"]
    await shelf.store.delete(None)
    assert await shelf.find("word") == []
    await shelf.check()
    await shelf.put("fifth word")
    assert await shelf.find("word") == ["fifth word"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["put", "find", "delete", "delete all", "move", "rewrite"]), st.sampled_from([ALICE, BOB])
        ),
        max_size=25,
    )
)
async def test_the_index_is_right_after_any_steps(shelf: Shelf, steps: list[tuple[str, NodeId]]) -> None:
    for what, peer in steps:
        if what == "put":
            await shelf.put("eins zwei", "zwei drei", peer=peer)
        elif what == "find":
            await shelf.find("zwei")
        elif what == "delete":
            await shelf.store.delete(peer)
        elif what == "delete all":
            await shelf.store.delete(None)
        elif what == "move":
            await shelf.store.reassign(ALICE, BOB)
        else:
            await shelf.search.overwrite_deleted()
    await shelf.check()
    for peer in (ALICE, BOB):
        stored, _ = await shelf.store.history(peer, None, None, 500)
        assert await shelf.find("zwei", peer) == [one.body for one in stored]


async def test_deleted_words_are_in_no_file(tmp_path: Path) -> None:
    clock = ManualClock()
    async with Database.open(tmp_path / "messages.db", migrations(0), clock=clock) as database:
        shelf = Shelf(database)
        for number in range(40):
            await shelf.put(*(f"common{n} text{n}" for n in range(30)))
            await shelf.put(f"zanzibar{number}quixotic", peer=BOB)
            await shelf.search.catch_up()  # many segments
        assert b"zanzibar" in (tmp_path / "messages.db-wal").read_bytes()
        await shelf.store.delete(BOB)
        await shelf.search.overwrite_deleted()
        await shelf.put("afterwards")
        clock.advance(60)
        while database._truncation is not None or database._truncation_is_due:
            await database.read("SELECT 1")
        await database.read("SELECT 1")  # behind the truncation
        assert files_with(tmp_path, b"zanzibar") == []
        assert len(await shelf.find("common7")) == 40
        await shelf.check()


def files_with(directory: Path, word: bytes) -> list[str]:
    """Files of a store that hold it."""
    return [file.name for file in directory.glob("messages.db*") if word in file.read_bytes()]


async def test_the_words_of_all_messages_go_at_once(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "messages.db", migrations(0), clock=ManualClock()) as database:
        shelf = Shelf(database)
        await shelf.put("zanzibar one", "zanzibar two")
        await shelf.search.catch_up()
        await shelf.store.delete(None)
    assert files_with(tmp_path, b"zanzibar") == []


async def test_a_damaged_index_is_made_again(shelf: Shelf) -> None:
    await shelf.put(*(f"number {number}" for number in range(150)))
    await shelf.search.catch_up()

    def damage(connection: Connection) -> None:
        connection.execute("UPDATE search_data SET block = x'00112233445566' WHERE id > 10")

    for _ in range(2):
        await shelf.database.write("damage", damage)
        assert await shelf.find("149") == ["number 149"]
        await shelf.check()
    await shelf.store.delete(BOB)
    await shelf.put("of bob", peer=BOB)
    await shelf.search.catch_up()
    await shelf.store.delete(BOB)
    await shelf.database.write("damage", damage)
    await shelf.search.overwrite_deleted()
    assert len(await shelf.find("number", limit=500)) == 150
    await shelf.check()


async def test_pages_of_what_is_found(party: MakeParty, lower: Lower) -> None:
    alice, bob = await party("alice"), await party("bob")
    for number in range(7):
        await alice.say(bob, f"number {number}")
    texts, before, pages = [], None, 0
    while True:
        page = await alice.running.search(SearchParams(text="number", before_position=before, limit=3))
        texts += [one.message.body for one in page.found]
        pages += 1
        if not page.has_more:
            break
        before = page.found[-1].message.position
    assert texts == [f"number {number}" for number in reversed(range(7))]
    assert (pages, page.found[0].name, page.found[0].excerpt) == (3, "bob", "number 0")
    lower(PAGE_BYTES, 30)
    page = await alice.running.search(SearchParams(text="number", limit=7))
    assert (len(page.found), page.has_more) == (3, True)


async def test_a_long_message_has_an_excerpt_with_the_word(party: MakeParty) -> None:
    alice, bob = await party("alice"), await party("bob")
    await alice.say(bob, "filler\n" * 500 + "needle " + "filler " * 500)
    (found,) = (await alice.running.search(SearchParams(text="NEEDLE"))).found
    assert "needle" in found.excerpt
    assert len(found.excerpt) <= 300
    with pytest.raises(InvalidParams, match="33 words"):
        await alice.running.search(SearchParams(text=" ".join(map(str, range(33)))))


async def test_messages_full_of_the_words_are_shown_without_work_for_each_pair_of_words(party: MakeParty) -> None:
    """SQLite's own excerpts compare all that is found in a message with each other, on the thread of the database."""
    alice, bob = await party("alice"), await party("bob")
    for _ in range(50):
        await alice.say(bob, "abcdefgh " * 900)
    words = [change("abcdefgh"[:length]) for length in range(1, 9) for change in (str.lower, str.upper, str.title)]
    # With work for each pair this takes an hour, and the limit of all tests ends it.
    found = (await alice.running.search(SearchParams(text=" ".join(words)))).found
    assert {one.excerpt for one in found} == {"abcdefgh " * 23 + "abcdefgh…"}
    assert len(found) == 50


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("needle", "…", "…"),
        ("NEEDLE", "…", "…"),
        ("nee haystack", "…", "needle haystack"),
        ("filler", "filler", "…"),
        ("öst", "…", "Öst Öst"),
        ("nowhere", "filler", "…"),
    ],
)
def test_an_excerpt_has_most_of_the_words(text: str, start: str, end: str) -> None:
    body = "filler " * 50 + "needle " + "filler\n" * 40 + "needle haystack" * (end == "needle haystack")
    body += "Öst O\u0308st" * (text == "öst")
    shown = excerpt_of(body, words_of(text))
    assert shown.startswith(start)
    assert unicodedata.normalize("NFC", shown).endswith(end)
    assert "\n" not in shown
    assert len(shown) <= 301
    if text in ("needle", "NEEDLE"):
        assert "needle" in shown


@given(st.text(), st.text())
def test_any_text_has_an_excerpt(body: str, text: str) -> None:
    assert len(excerpt_of(body, words_of(text))) <= 301
