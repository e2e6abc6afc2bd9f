"""Which names a card may carry."""

import pytest

from pimd.proto.cards import CARD_DOMAIN, BadCard, issue, parse
from pimd.proto.errors import LocalProtocolError
from pimd.proto.identity import SIGNATURE_SIZE, Identity

ALICE = Identity.from_seed(b"a" * 32)
PLAIN = "x" * 8


def with_name(name: str) -> bytes:
    """A card that its owner signed with a name that `issue` may refuse; eight bytes of UTF-8."""
    unsigned = issue(ALICE, 1, 0, PLAIN).raw[:-SIGNATURE_SIZE].replace(PLAIN.encode(), name.encode())
    return unsigned + ALICE.sign(CARD_DOMAIN + unsigned)


@pytest.mark.parametrize(
    "name",
    [
        "\u0645\u200cx\u0646",
        "\U0001faea\u200d!",
        "Zoe\u0308 bc",
        "bob\u200b  ",
        "abc\u200fde",
        "\U0001f1ed\U0001f1f0",
        "\ue000\u0378xxx",
    ],
)
def test_a_name_of_any_script_is_carried(name: str) -> None:
    assert len(name.encode()) == len(PLAIN)
    assert parse(with_name(name)).name == name
    assert parse(issue(ALICE, 1, 0, name).raw).name == name


@pytest.mark.parametrize("char", ["\n", "\x1b", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066", "\u2069"])
def test_controls_and_what_turns_the_direction_are_refused_by_both_ends(char: str) -> None:
    name = char + "x" * (len(PLAIN) - len(char.encode()))
    with pytest.raises(BadCard, match="the name is malformed: must hold no control characters"):
        parse(with_name(name))
    with pytest.raises(LocalProtocolError, match="must hold no control characters"):
        issue(ALICE, 1, 0, name)
