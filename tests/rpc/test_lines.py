"""Lines out of pieces of any size, and no longer than allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.rpc.lines import Lines, LineTooLong


def taken(lines: Lines) -> list[bytes]:
    found = []
    while (line := lines.next()) is not None:
        found.append(bytes(line))
    return found


@given(st.lists(st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"")), max_size=6), st.data())
def test_however_they_are_cut_whole_lines_come_back_once_and_in_order(lines: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(line + b"\n" for line in lines) + b"rest"
    collected = Lines(limit=6)
    found: list[bytes] = []
    while raw:
        size = data.draw(st.integers(1, 5))
        collected.feed(raw[:size])
        raw = raw[size:]
        if data.draw(st.booleans()):
            found += taken(collected)
    found += taken(collected)
    assert not collected.is_whole
    assert found == [line for line in lines if line.strip()]
    assert len(collected) == len(b"rest")


def test_a_newline_alone_is_taken_out() -> None:
    lines = Lines(limit=3)
    for _ in range(10):
        lines.feed(b"\n")
        assert lines.is_whole
        assert taken(lines) == []
        assert len(lines) == 0
    lines.feed(b"abc\n \n\nd\n")
    assert taken(lines) == [b"abc", b"d"]


@pytest.mark.parametrize(
    "pieces", [[b"abcd"], [b"ab", b"cd"], [b"abcd\n"], [b"ab", b"cd\n"], [b"a\nabcd\n"], [b"a\nabcd"]]
)
def test_one_byte_more_than_the_limit_ends_it_finished_or_not(pieces: list[bytes]) -> None:
    short, enough = Lines(limit=3), Lines(limit=4)
    for piece in pieces:
        short.feed(piece)
        enough.feed(piece.rstrip() if piece is pieces[-1] else piece)
    enough.feed(b"\n")
    assert taken(enough)[-1] == b"abcd"
    with pytest.raises(LineTooLong):
        taken(short)
