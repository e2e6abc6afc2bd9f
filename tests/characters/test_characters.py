"""Real names pass, and what is not seen in them is found."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.characters import INVISIBLE, UNICODE, check_plain, folded, hidden, is_refused, reads_as_id

REAL = [
    "Anna \U0001f1ed\U0001f1f0",
    "\u26a1\ufe0f van",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 home",
    "\U0001f469\U0001f3fd\u200d\U0001f4bb",
    "\u2764\ufe0f\u200d\U0001f525",
    "\U0001f3f4\u200d\u2620\ufe0f",
    "\U0001f642\u200d\u2194\ufe0f",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "1\ufe0f\u20e3",
    "\U0001faea \U0001f6d8",  # of Unicode 17
    "نیم\u200cفاصله",
    "كُ\u200cن",
    "ஜீவா",
    "ಕರ\u200d\u0ccdಕ",
    "අක්\u200dෂ",
    "അവന്\u200d",
    "က\u1039\u200cက",
    "葛\U000e0100",
    "ᠮᠣᠩᠭᠣᠯ\u180b",
    unicodedata.normalize("NFD", "Zoë Ångström"),
    "O\u2019Brien-\u00c5",
]
UNSEEN = [
    "bob\u200b",
    "bo\u200db",
    "bob\u200c",
    "\u200dbob",
    "bob\ufe0f",
    "b\u034fob",
    "bob\u3164",
    "\u2800",
    "\uffa0",
    "bob\u00ad",
    "bob\u2060",
    "bob\ufeff",
    "bob\u200e",
    "bob\U000e0062",
    "\u115fbob",
    "1\ufe0f",
    "Ж\u200dЖ",
]


@pytest.mark.parametrize("name", REAL)
def test_a_name_that_people_have_is_plain_and_shows_all_its_letters(name: str) -> None:
    check_plain(name)
    assert not hidden(name)


@pytest.mark.parametrize("name", UNSEEN)
def test_letters_that_are_not_seen_are_found(name: str) -> None:
    assert [name[at] for at in hidden(name)] == [char for char in name if char in INVISIBLE]
    check_plain(name)


@pytest.mark.parametrize("char", [*"\x00\n\x1b\x7f\x9b\u2028\u2029\u202a\u202e\u2066\u2069", "\ud800"])
def test_controls_and_what_turns_the_direction_is_refused(char: str) -> None:
    assert is_refused(char)
    with pytest.raises(ValueError, match="no control characters"):
        check_plain(f"a{char}b")


def test_the_table_has_the_ranges_of_unicode() -> None:
    assert UNICODE >= "15"
    for seen in "aä \u00a0\u2003\u2009€☀\U0001f600\ud7a3\u0600":
        assert seen not in INVISIBLE
    for code in (0xAD, 0x34F, 0x61C, 0x1160, 0x17B4, 0x180B, 0x180F, 0x200B, 0x200F, 0x2065, 0x206F, 0x3164, 0xFE00):
        assert chr(code) in INVISIBLE
    for code in (0xFE0F, 0xFEFF, 0xFFA0, 0xFFF0, 0x1BCA0, 0x1D17A, 0xE0000, 0xE0001, 0xE007F, 0xE01EF, 0xE0FFF, 0x2800):
        assert chr(code) in INVISIBLE


@given(st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"])))
def test_plain_letters_are_never_taken_for_hidden_ones(text: str) -> None:
    """But of a text of blanks nothing is seen."""
    assert [text[at] for at in hidden(text)] == [char for char in text if char in INVISIBLE or text.isspace()]


@pytest.mark.parametrize(
    "text", ["deadbeef", "DEADBEEF", "0" * 32, " 12345678 ", "ab" * 40, "a3f1b2c4..9d32e0f8", "ｄｅａｄｂｅｅｆ"]
)
def test_what_a_person_could_take_for_an_id_reads_as_one(text: str) -> None:
    assert reads_as_id(text)


@pytest.mark.parametrize("text", ["", "deadbee", "deadbeeg", "dead beef", "bob", "facade 7"])
def test_other_text_does_not_read_as_an_id(text: str) -> None:
    assert not reads_as_id(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zoë", unicodedata.normalize("NFD", "zoë")),
        ("STRASSE", "straße"),
        ("\u0130", "i\u0307"),
        ("Bob  Smith ", "bob\u00a0smith"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
)
def test_names_that_are_the_same_to_people_compare_as_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@given(st.text())
def test_a_folded_name_stays_as_it_is(text: str) -> None:
    assert folded(folded(text)) == folded(text)
