"""Text of users and strangers: what a field may hold, and which of a stranger's characters are shown."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator

from pimd.proto.cards import FORBIDDEN_CATEGORIES, NAME_LIMIT, check_name


def visible(text: str) -> str:
    """Return `text` as it is; ValueError when it holds control, format or separator characters.

    For `AfterValidator` in a params model, behind the limits of the length: the caller gets -32602 with these words.
    """
    if any(unicodedata.category(character) in FORBIDDEN_CATEGORIES for character in text):
        raise ValueError("must hold no control, format or separator characters")
    return text


def _node_name(text: str) -> str:
    check_name(text)
    return text


NodeName = Annotated[str, AfterValidator(_node_name)]
"""Field of a params model: a name as a card carries it, visible and at most 64 bytes of UTF-8."""


def shown_name(raw: bytes) -> str:
    """Return the printable part of a name that another node sent; never raises.

    At most 64 bytes of UTF-8 are read. Invalid UTF-8, invisible characters and those that move a cursor are left out.
    """
    text = raw[:NAME_LIMIT].decode(errors="ignore")
    return "".join(character for character in text if unicodedata.category(character) not in FORBIDDEN_CATEGORIES)
