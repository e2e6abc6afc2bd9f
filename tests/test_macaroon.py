"""Chained HMACs: everybody narrows, nobody widens."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.macaroon import CAVEAT_BYTES, CAVEATS, Macaroon, chain, mint, narrowed, parse

KEY = bytes(range(32))
ID = bytes(16)
CAVEAT = st.binary(min_size=1, max_size=60)


def test_known_answer() -> None:
    token = narrowed(mint(KEY, ID), b'{"read_only":true}')
    first = hmac.new(KEY, ID, hashlib.sha256).digest()
    assert token.signature == hmac.new(first, b'{"read_only":true}', hashlib.sha256).digest()
    assert token.text == ("pim1_AAAAAAAAAAAAAAAAAAAAAAASeyJyZWFkX29ubHkiOnRydWV9" + token.text[-43:])
    assert repr(token.signature) not in repr(token)


@given(st.lists(CAVEAT, max_size=CAVEATS))
def test_a_token_is_read_as_it_was_written_and_is_genuine(caveats: list[bytes]) -> None:
    token = mint(KEY, ID, caveats)
    assert parse(token.text) == token
    states = chain(KEY, token)
    assert states is not None
    assert len(states) == len(caveats)
    assert chain(KEY[::-1], token) is None


@given(st.lists(CAVEAT, min_size=1, max_size=5), st.data())
def test_a_changed_token_is_not_genuine(caveats: list[bytes], data: st.DataObject) -> None:
    token = mint(KEY, ID, caveats)
    at = data.draw(st.integers(0, len(caveats) - 1))
    without = (*caveats[:at], *caveats[at + 1 :])
    assert chain(KEY, Macaroon(ID, without, token.signature)) is None
    other = data.draw(CAVEAT.filter(lambda one: one != caveats[at]))
    assert chain(KEY, Macaroon(ID, (*caveats[:at], other, *caveats[at + 1 :]), token.signature)) is None
    assert chain(KEY, Macaroon(b"another id 16 by", token.caveats, token.signature)) is None
    bit = data.draw(st.integers(0, 255))
    flipped = bytes(byte ^ (1 << bit % 8 if number == bit // 8 else 0) for number, byte in enumerate(token.signature))
    assert chain(KEY, Macaroon(ID, token.caveats, flipped)) is None


@given(st.text(max_size=80))
def test_other_text_is_no_token_and_is_not_repeated(text: str) -> None:
    for one in (text, "pim1_" + text):
        with pytest.raises(ValueError, match=r"^this is no token of pim: it begins with pim1_$"):
            parse(one)


def test_a_token_has_a_most() -> None:
    full = mint(KEY, ID, [b"x"] * CAVEATS)
    assert parse(full.text) == full
    with pytest.raises(ValueError, match="narrowed at most 16 times"):
        narrowed(full, b"y").text  # noqa: B018 - the property raises
    for caveat in (b"", b"x" * (CAVEAT_BYTES + 1)):
        with pytest.raises(ValueError, match="a caveat has 1 to 2048 bytes"):
            narrowed(full, caveat)
