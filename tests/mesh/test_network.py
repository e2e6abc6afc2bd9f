"""Transports by scheme."""

import pytest

from pimd.net.network import Network
from pimd.net.transports.tcp import TcpTransport
from tests.mesh.conftest import StartNode
from tests.mesh.test_node import eventually


async def test_a_link_costs_what_its_transport_says(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TcpTransport, "cost", 600)
    alice, bob = await start_node(1), await start_node(2)
    await alice.node.service.dial(bob.entry())
    await eventually(lambda: [route.metric for route in alice.node.service.routes()] == [600])


def test_a_link_that_would_count_as_a_lie_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TcpTransport, "cost", 255)
    with pytest.raises(ValueError, match="a link over tcp must cost at least 256, not 255"):
        Network((TcpTransport(),))
