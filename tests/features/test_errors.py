"""Error classes stand in the feature that answers them; their numbers are those that clients know."""

from collections.abc import Iterator
from typing import Any

import pytest

import pimd.contract
from pimd.assembly.choice import builtin_candidates
from pimd.assembly.known import known_features
from pimd.contract import Feature, RpcError, mark_of

CODES = {
    "config": {"ConfigUnreadable": -32603},
    "groups": {"GroupUnknown": 1101, "GroupRefused": 1102, "GroupMessageTooLarge": 1103},
    "messaging": {"MessagePeerUnknown": -32060, "MessageBodyTooLarge": -32061},
    "peers": {
        "PeerAlreadyExists": -32011,
        "InvalidPeerAddress": -32012,
        "PeerAmbiguous": -32013,
        "PeerIdentityMismatch": -32040,
        "BroadcastIntervalTooSmall": -32041,
        "ConnectFailed": -32603,
    },
}
FEATURES: dict[str, Any] = {one.name: one.load() for one in builtin_candidates(known_features())}


def answered(feature: Feature) -> Iterator[type[RpcError]]:
    for function in feature.marked_functions():
        mark = mark_of(function)
        yield from mark.errors if mark is not None else ()


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_declares_the_errors_that_its_methods_answer_and_the_core_has_not(name: str) -> None:
    feature: Feature = FEATURES[name]
    own = {error for error in answered(feature) if not hasattr(pimd.contract, error.__name__)}
    assert own == set(feature.errors)
    assert {error.__name__: error.code for error in own} == CODES.get(name, {})
    assert all(error.__module__.startswith(f"pimd_features.{name}.") for error in own)


def test_what_the_core_declares_is_answered_by_the_core_or_by_several() -> None:
    codes = {one.code for one in vars(pimd.contract).values() if isinstance(one, type) and issubclass(one, RpcError)}
    assert codes.isdisjoint({code for of in CODES.values() for code in of.values()} - {-32603})
