"""Text of users and strangers: what a field may hold, and which of a stranger's characters are shown."""

from typing import Annotated

from pydantic import AfterValidator

from pimd.characters import check_plain, hidden, is_refused
from pimd.proto.cards import NAME_LIMIT, check_name


def visible(text: str) -> str:
    """Return `text` as it is; ValueError when it holds controls, turns the direction of text, or hides letters.

    For `AfterValidator` in a params model, behind the limits of the length: the caller gets -32602 with these words.
    """
    check_plain(text)
    if hidden(text):
        raise ValueError("must hold no letters that are not seen")
    return text


def _node_name(text: str) -> str:
    check_name(text)
    return text


NodeName = Annotated[str, AfterValidator(_node_name)]
"""Field of a params model: a name as a card carries it, without controls and at most 64 bytes of UTF-8."""


def shown_name(raw: bytes) -> str:
    """Return the printable part of a name that another node sent; never raises.

    At most 64 bytes of UTF-8 are read. Invalid UTF-8, invisible letters and what moves a cursor are left out.
    """
    text = "".join(character for character in raw[:NAME_LIMIT].decode(errors="ignore") if not is_refused(character))
    unseen = set(hidden(text))
    return "".join(character for at, character in enumerate(text) if at not in unseen)
