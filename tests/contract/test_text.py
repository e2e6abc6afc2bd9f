"""What may be typed in, and what of a stranger's text may be shown."""

import unicodedata
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, ValidationError

from pimd.contract import NodeName, Params, shown_name, visible

HIDDEN = ["a\nb", "\x1b[2J", "a\u202eb", "a\u2028b", "\u200b"]


class Fields(Params):
    """One of each."""

    text: Annotated[str, AfterValidator(visible)] = ""
    name: NodeName = ""


@pytest.mark.parametrize("text", HIDDEN)
def test_text_that_hides_or_moves_the_cursor_is_refused_in_both_and_left_out_when_shown(text: str) -> None:
    for fields in ({"text": text}, {"name": text}):
        with pytest.raises(ValidationError, match="no control, format or separator characters"):
            Fields.model_validate(fields)
    assert shown_name(text.encode()) == text.translate(dict.fromkeys(map(ord, "\n\x1b\u202e\u2028\u200b")))


def test_a_name_has_64_bytes_at_most_and_other_text_what_its_field_says() -> None:
    assert Fields(name="ä" * 32, text="x" * 1000).name == "ä" * 32
    with pytest.raises(ValidationError, match="at most 64 bytes"):
        Fields(name="ä" * 32 + "x")


@given(st.binary(max_size=200))
def test_whatever_a_stranger_sends_can_be_shown(raw: bytes) -> None:
    shown = shown_name(raw)
    assert len(shown.encode()) <= 64
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Zl", "Zp"}
