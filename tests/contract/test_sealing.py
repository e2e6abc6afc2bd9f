"""What is sealed for a node is opened by that node alone."""

import pytest

from pimd.assembly.services import PluginIdentity
from pimd.contract import EciesError, Feature, seal_for
from pimd.proto.identity import Identity


def secrets(seed: int) -> PluginIdentity:
    return PluginIdentity(Feature("probe", "x"), Identity.from_seed(bytes([seed]) * 32))


def test_only_the_recipient_opens_it_and_no_two_are_alike() -> None:
    alice, bob = secrets(1), secrets(2)
    first, second = seal_for(bob.x25519_pub, b"hello"), seal_for(bob.x25519_pub, b"hello")
    assert first != second
    assert bob.open_sealed(first) == bob.open_sealed(second) == b"hello"
    for sealed in (first, first[:-1], b""):
        with pytest.raises(EciesError):
            alice.open_sealed(sealed)


@pytest.mark.parametrize("key", [bytes(32), bytes(31), b""], ids=["low order", "short", "empty"])
def test_a_key_that_cannot_be_sealed_to_is_a_value_error(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"low order|32 bytes"):
        seal_for(key, b"hello")
