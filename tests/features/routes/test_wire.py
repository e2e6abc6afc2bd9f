"""The two payloads of a trace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.characters import hidden, is_refused
from pimd.ids import NodeId
from pimd_features.routes.wire import Answer, Ask

IDS = st.binary(min_size=16, max_size=16).map(NodeId)
U64 = st.integers(0, 2**64 - 1)


def test_the_bytes_are_those_of_the_document() -> None:
    hop, other = NodeId(bytes(range(16))), NodeId(bytes(range(16, 32)))
    assert Ask(hop, 258).encode() == bytes(range(16)) + bytes(6) + b"\x01\x02"
    assert Answer(258, other, "bob").encode() == bytes(6) + b"\x01\x02" + bytes(range(16, 32)) + b"bob"
    assert Answer(258, None, "").encode() == bytes(6) + b"\x01\x02" + bytes(16)


@given(IDS, U64)
def test_a_question_comes_back(destination: NodeId, id_: int) -> None:
    assert Ask.decode(Ask(destination, id_).encode()) == Ask(destination, id_)


@given(U64, IDS.filter(any), st.text("abc é€", max_size=20))
def test_an_answer_comes_back(id_: int, next_hop: NodeId, name: str) -> None:
    """A name of blanks is none."""
    shown = "" if name.isspace() else name
    assert Answer.decode(Answer(id_, next_hop, name).encode()) == Answer(id_, next_hop, shown)
    assert Answer.decode(Answer(id_, None, name).encode()).next_hop is None


@given(st.binary(max_size=200))
def test_whatever_the_name_is_it_can_be_shown(raw: bytes) -> None:
    name = Answer.decode(bytes(24) + raw).name
    assert len(name.encode()) <= 64
    assert not [char for char in name if is_refused(char)]
    assert not hidden(name)


@pytest.mark.parametrize("length", [0, 23, 25])
def test_a_question_of_a_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        Ask.decode(bytes(length))


def test_an_answer_that_is_cut_short_is_refused() -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        Answer.decode(bytes(23))
