"""The part of a found message that is shown.

FTS5 has `snippet` for it, whose time grows with the square of the words found in a message: one full of the word that is
searched for takes 0.1 s, and the thread of the database waits.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import islice

WORDS = 24
LIMIT = 300
"""Characters; a text without spaces is one word."""
_BEFORE = 60
"""Characters of what stands before the first word that was found."""
_PIECES = 8
_PLACES = 16
"""Of each piece; so many are looked at."""


def excerpt_of(body: str, searched: Sequence[str]) -> str:
    """Return the part with most of the words searched for, on one line; the beginning where none stands."""
    words = body.split()
    places = _places(_folded(" ".join(words)), searched)
    start = max((at for at, _ in places), key=lambda at: _pieces_in(places, at), default=0)
    before, after = " ".join(words[:start])[-_BEFORE:], " ".join(words[start : start + WORDS])
    cut = "…" if len(before) == _BEFORE else ""
    return f"{cut}{before} {after}".strip()[:LIMIT] + ("…" if start + WORDS < len(words) else "")


def _places(text: str, searched: Sequence[str]) -> list[tuple[int, str]]:
    """Return numbers of words, and the piece of a searched word that each begins with."""
    pieces = dict.fromkeys(piece for word in searched for piece in re.findall(r"\w+", _folded(word)))
    return [
        (text.count(" ", 0, found.start()), piece)
        for piece in islice(pieces, _PIECES)
        for found in islice(re.finditer(rf"\b{re.escape(piece)}", text), _PLACES)
    ]


def _pieces_in(places: Sequence[tuple[int, str]], start: int) -> int:
    return len({piece for at, piece in places if start <= at < start + WORDS})


def _folded(text: str) -> str:
    """Without case and diacritics; the spaces stay."""
    if text.isascii():
        return text.lower()
    return "".join(one for one in unicodedata.normalize("NFD", text) if unicodedata.category(one)[0] != "M").casefold()
