"""What may be typed in, and what of a stranger's text may be shown."""

import unicodedata
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, ValidationError

from pimd.characters import hidden
from pimd.contract import NodeName, Params, shown_name, visible

HIDDEN = ["a\nb", "\x1b[2J", "a\u202eb", "a\u2028b"]


class Fields(Params):
    """One of each."""

    text: Annotated[str, AfterValidator(visible)] = ""
    name: NodeName = ""


@pytest.mark.parametrize("text", HIDDEN)
def test_text_that_hides_or_moves_the_cursor_is_refused_in_both_and_left_out_when_shown(text: str) -> None:
    for fields in ({"text": text}, {"name": text}):
        with pytest.raises(ValidationError, match="must hold no control characters"):
            Fields.model_validate(fields)
    assert shown_name(text.encode()) == text.translate(dict.fromkeys(map(ord, "\n\x1b\u202e\u2028")))


def test_letters_that_are_not_seen_are_in_no_text_of_ours_and_left_out_when_shown() -> None:
    with pytest.raises(ValidationError, match="no letters that are not seen"):
        Fields(text="bob\u200b")
    assert Fields(name="bob\u200b").name == "bob\u200b"
    assert shown_name("bob\u200b \U0001f468\u200d\U0001f469".encode()) == "bob \U0001f468\u200d\U0001f469"


def test_a_name_has_64_bytes_at_most_and_other_text_what_its_field_says() -> None:
    assert Fields(name="ä" * 32, text="x" * 1000).name == "ä" * 32
    with pytest.raises(ValidationError, match="at most 64 bytes"):
        Fields(name="ä" * 32 + "x")


@given(st.binary(max_size=200))
def test_whatever_a_stranger_sends_can_be_shown(raw: bytes) -> None:
    shown = shown_name(raw)
    assert len(shown.encode()) <= 64
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Zl", "Zp"}
    assert not hidden(shown) or hidden(raw[:64].decode(errors="ignore"))
