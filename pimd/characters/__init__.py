"""Which characters a name may hold, which of them are not seen, and when two names are the same."""

import re
import unicodedata

from pimd.characters.invisible import DEFAULT_IGNORABLE, NAMED_BLANKS, UNICODE

REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Controls, surrogates, and separators of lines: they move the cursor or are no text."""
DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates: what follows them is shown in another order (UAX 9)."""
INVISIBLE = frozenset(chr(code) for first, last in DEFAULT_IGNORABLE for code in range(first, last + 1)) | frozenset(
    map(chr, NAMED_BLANKS)
)

_JOINERS = frozenset("\u200c\u200d")
_VIRAMA = 9
"""Canonical combining class of the signs that join consonants of Indic scripts."""
_CURSIVE = (
    (0x0600, 0x077F), (0x07C0, 0x07FF), (0x0840, 0x08FF), (0x1800, 0x18AF), (0xA840, 0xA87F), (0xFB50, 0xFDFF),
    (0xFE70, 0xFEFC), (0x10AC0, 0x10AFF), (0x10B80, 0x10BAF), (0x10D00, 0x10D3F), (0x10F30, 0x10FDF), (0x1E900, 0x1E95F),
)  # fmt: skip
"""Scripts whose letters change their form beside a joiner, as Arabic, Syriac and Mongolian do."""
_MONGOLIAN = (0x1800, 0x18AF)
_IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_EMOJI_BLOCKS = (0x1F000, 0x1FBFF)
"""Also those that this Python's `unicodedata` does not know yet."""
_EMOJI_OF_OTHER_KINDS = frozenset("\u203c\u2049\u2139\u2194\u25fb\u25fc\u25fd\u25fe\u3030")
_EMOJI_SELECTORS = frozenset("\ufe0e\ufe0f")
_SELECTORS = (0xFE00, 0xFE0D)
_IDEOGRAPHIC_SELECTORS = (0xE0100, 0xE01EF)
_MONGOLIAN_SELECTORS = (0x180B, 0x180F)
_TAGS = (0xE0020, 0xE007F)
"""Spell the region of a flag behind its emoji (UTS 51)."""
_KEYCAP = "\u20e3"
_READS_AS_ID = re.compile(r"[0-9a-f]{8,}(?:(?:\.\.+|…)[0-9a-f]*)?")


def is_refused(char: str) -> bool:
    """Tell whether no name may hold it, and a terminal is shown an escape instead."""
    return char in DIRECTION or unicodedata.category(char) in REFUSED_CATEGORIES


def check_plain(text: str) -> None:
    """Raise ValueError when `text` holds a character that is refused; emoji that are newer than Python are not."""
    if any(map(is_refused, text)):
        raise ValueError("must hold no control characters and none that turn the direction of text")


def hidden(text: str) -> list[int]:
    """Return the positions of letters that are not seen, without those that change how their neighbours look.

    Such are joiners within a script that joins and within emoji, tags of a flag, and variation selectors. Of a text of
    blanks nothing is seen.
    """
    if text.isspace():
        return list(range(len(text)))
    return [at for at, char in enumerate(text) if char in INVISIBLE and not _has_effect(text, at)]


def reads_as_id(text: str) -> bool:
    """Tell whether a person could take it for a node id, or for its beginning: 8 hexadecimal digits and more."""
    return _READS_AS_ID.fullmatch(unicodedata.normalize("NFKC", text).strip().casefold()) is not None


def folded(text: str) -> str:
    """Return the form in which names are compared: NFC, without case, one space between words."""
    lower = unicodedata.normalize("NFD", text).casefold()
    return " ".join(unicodedata.normalize("NFC", lower).split())


def escaped(char: str) -> str:
    r"""Write a character as Python does, such as `\x1b` or `\u202e`."""
    return r"\x20" if char == " " else ascii(char)[1:-1]


def _has_effect(text: str, at: int) -> bool:
    char, before, after = text[at], text[:at], text[at + 1 :]
    if char in _JOINERS:
        return _joins(before, after)
    if not before:
        return False
    base = before[-1]
    if char in _EMOJI_SELECTORS:
        return _is_emoji(base) or after.startswith(_KEYCAP)
    if _is_within(char, _SELECTORS):
        return _is_within(base, *_IDEOGRAPHS) or unicodedata.category(base).startswith("S")
    if _is_within(char, _IDEOGRAPHIC_SELECTORS):
        return _is_within(base, *_IDEOGRAPHS)
    if _is_within(char, _MONGOLIAN_SELECTORS):
        return _is_within(base, _MONGOLIAN)
    return _is_tag(char) and (_is_tag(base) or _is_emoji(base))


def _joins(before: str, after: str) -> bool:
    """RFC 5892, A.1 and A.2, and UTS 51; joining types are not in `unicodedata`, so the whole script counts."""
    signs = (before[-1:], after[:1])
    if any(sign and unicodedata.combining(sign) == _VIRAMA for sign in signs):
        return True
    left = next((char for char in reversed(before) if not unicodedata.combining(char) and not _is_selector(char)), "")
    right = next((char for char in after if not unicodedata.combining(char)), "")
    if not left or not right:
        return False
    if _is_emoji(left) and _is_emoji(right):
        return True
    return all(_is_within(char, *_CURSIVE) and unicodedata.category(char)[0] in "LM" for char in (left, right))


def _is_emoji(char: str) -> bool:
    if char in INVISIBLE:
        return False
    return unicodedata.category(char) == "So" or char in _EMOJI_OF_OTHER_KINDS or _is_within(char, _EMOJI_BLOCKS)


def _is_selector(char: str) -> bool:
    return char in _EMOJI_SELECTORS or _is_tag(char)


def _is_tag(char: str) -> bool:
    return _is_within(char, _TAGS)


def _is_within(char: str, *ranges: tuple[int, int]) -> bool:
    return any(first <= ord(char) <= last for first, last in ranges)


__all__ = [
    "DIRECTION",
    "INVISIBLE",
    "NAMED_BLANKS",
    "REFUSED_CATEGORIES",
    "UNICODE",
    "check_plain",
    "escaped",
    "folded",
    "hidden",
    "is_refused",
    "reads_as_id",
]
