"""Signatures of a feature are verified at other nodes, and count for that feature and domain alone."""

import pytest

from pimd.assembly.services import PluginIdentity
from pimd.contract import Feature, signer_of
from pimd.proto.identity import Identity

IDENTITY = PluginIdentity(Feature("probe", "x"), Identity.from_seed(bytes(32)))


def test_the_signer_is_named() -> None:
    signature = IDENTITY.sign("dom", b"message")
    assert signer_of("probe", "dom", IDENTITY.ed25519_pub, b"message", signature) == IDENTITY.node_id


@pytest.mark.parametrize(
    ("feature", "domain", "message"),
    [
        ("other", "dom", b"message"),
        ("probe", "do", b"message"),
        ("probe", "dom", b"massage"),
        ("prob", "edom", b"message"),
    ],
)
def test_it_counts_for_nothing_else(feature: str, domain: str, message: bytes) -> None:
    signature = IDENTITY.sign("dom", b"message")
    assert signer_of(feature, domain, IDENTITY.ed25519_pub, message, signature) is None
    assert signer_of("probe", "dom", bytes(32), b"message", signature) is None
    assert signer_of("probe", "dom", IDENTITY.ed25519_pub, b"message", signature[:-1]) is None
