"""What strangers wrote cannot act on a terminal."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pimd.characters import hidden
from pimd.cli.commands import faults, with_port
from pimd.cli.text import counted, moment, span, table, visible, visible_name, width

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text())
@example(" ")
def test_nothing_hidden_is_left(text: str) -> None:
    shown = visible(text)
    assert not [char for char in shown if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in BIDI]
    assert not hidden(visible_name(text))


@given(st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs", "M"])))
def test_plain_text_is_left_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b31m", "\\x9b31m"),
        (BIDI, BIDI.encode("unicode_escape").decode()),
        # Khmer breaks its lines at U+200B, and Hebrew has marks of direction; neither reorders what stands behind it.
        ("\u200b\u200f", "\u200b\u200f"),
        ("\U0001faea", "\U0001faea"),
        ("grüß 你好 😀", "grüß 你好 😀"),
    ],
)
def test_escapes_are_readable(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.lists(st.lists(st.text(alphabet="aé你 ", max_size=5), min_size=3, max_size=3), max_size=4))
def test_columns_are_aligned(rows: list[list[str]]) -> None:
    lines = table(("A", "B", "C"), rows).split("\n")
    assert len(lines) == len(rows) + 1
    widest = max(width(cell[0]) for cell in [["A"], *rows])
    for line, row in zip(lines[1:], rows, strict=True):
        assert line.startswith(row[0].rstrip()) if any(cell.strip() for cell in row) else not line.strip()
        assert width(line) <= widest + 2 + 2 * 10 + 2 + 2 * 10


def test_moments_and_spans() -> None:
    assert moment(None) == "-"
    assert len(moment(1_780_000_000_000)) == len("2026-05-28 20:26:40")
    assert moment(10**30) == str(10**30)
    assert [span(s) for s in (0, 59.9, 60, 3600, 86400 * 3)] == ["0 s", "59 s", "1 min", "1 h", "3 d"]


def test_one_is_singular() -> None:
    assert [counted(number, "route") for number in (0, 1, 2)] == ["0 routes", "1 route", "2 routes"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("host", "host:9100"),
        ("host:1", "host:1"),
        ("fe80::1", "[fe80::1]:9100"),
        ("[::1]", "[::1]:9100"),
        ("[::1]:5", "[::1]:5"),
    ],
)
def test_the_port_may_be_left_out(given: str, expected: str) -> None:
    assert with_port(given) == expected


@pytest.mark.parametrize(
    ("text", "columns"),
    [("Zoe\u0308", 3), ("\U0001f468\u200d\U0001f469", 4), ("\u26a1\ufe0f", 2), ("\U0001fadc", 2), ("\u3164", 2)],
)
def test_letters_without_a_width_and_new_emoji_are_counted(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({}, ""),
        ({"failures": 0, "events_dropped": 0}, ""),
        ({"failures": 1, "events_dropped": 0}, " (1 failure)"),
        ({"failures": 2, "events_dropped": 3}, " (2 failures, 3 dropped events)"),
    ],
)
def test_what_went_wrong_in_a_feature_stands_in_its_row(row: dict[str, int], shown: str) -> None:
    assert faults(row) == shown
