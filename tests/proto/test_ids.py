"""Names of nodes and messages: sixteen bytes, and how they are written."""

import pytest

from pimd.ids import MessageId, NodeId

RAW = bytes.fromhex("a3f1b2c4000000000000000000000000")[:12] + bytes.fromhex("9d32e0f8")


def test_an_id_is_read_in_either_case_and_written_in_lower_case() -> None:
    text = "a3f1b2c40000000000000000" + "9d32e0f8"
    node_id = NodeId(RAW)
    assert NodeId.parse(text) == NodeId.parse(text.upper()) == node_id
    assert (str(node_id), node_id.short, node_id.abbreviated) == (text, "a3f1b2c4", "a3f1b2c4..9d32e0f8")
    assert repr(MessageId(RAW)) == f"MessageId({text})"


@pytest.mark.parametrize("text", ["", "ab" * 15, "ab" * 17, "g" * 32, "\u0661" * 32, "a b" * 10 + "ab", "-" + "a" * 31])
def test_whatever_is_no_id_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a NodeId is written as 32 hexadecimal digits$"):
        NodeId.parse(text)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_an_id_has_so_many_bytes(size: int) -> None:
    with pytest.raises(ValueError, match=f"^a MessageId is 16 bytes, not {size}$"):
        MessageId(bytes(size))
