"""Every form of `[[peers]]`, also two for one address."""

import logging

import pytest

from pimd.addresses import Endpoint
from pimd.contract import PeerEntry
from pimd.ids import NodeId
from pimd_features.peers.plugin import one_for_each_address

A, B = Endpoint.tcp("a", 1), Endpoint.tcp("b", 1)
BOB, CAROL = NodeId(bytes([2]) * 16), NodeId(bytes([3]) * 16)


@pytest.mark.parametrize(
    ("entries", "joined", "warned"),
    [
        ([PeerEntry(A), PeerEntry(B)], [PeerEntry(A), PeerEntry(B)], False),
        ([PeerEntry(A, BOB, "bob"), PeerEntry(A)], [PeerEntry(A, BOB, "bob")], False),
        ([PeerEntry(A), PeerEntry(A, BOB), PeerEntry(A, label="bob")], [PeerEntry(A, BOB, "bob")], False),
        (
            [PeerEntry(A, BOB, "bob"), PeerEntry(B, BOB, "bob")],
            [PeerEntry(A, BOB, "bob"), PeerEntry(B, BOB, "bob")],
            False,
        ),
        ([PeerEntry(A, BOB), PeerEntry(A, CAROL)], [PeerEntry(A, BOB)], True),
        ([PeerEntry(A, label="bob"), PeerEntry(A, label="carol")], [PeerEntry(A, label="bob")], True),
    ],
)
def test_one_entry_counts_for_each_address(
    entries: list[PeerEntry],
    joined: list[PeerEntry],
    warned: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert one_for_each_address(entries, logging.getLogger("test")) == joined
    assert bool(caplog.records) is warned
