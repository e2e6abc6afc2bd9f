"""Links over a Unix socket, between whole nodes."""

import asyncio
import re
from pathlib import Path

import pytest

from pimd.addresses import Endpoint
from pimd.contract import DialError, LinkInfo, PeerEntry
from pimd.ids import NodeId
from pimd.net.half_open import HALF_OPEN_OF_SOURCE
from tests.mesh.conftest import Running, StartNode
from tests.mesh.test_node import eventually


def entry(path: Path) -> PeerEntry:
    return PeerEntry(Endpoint.parse(f"unix:{path}"))


async def link_of(node: Running, peer: Running) -> LinkInfo:
    await eventually(lambda: node.node.is_linked(peer.id))
    link = node.node.service.link(peer.id)
    assert link is not None
    return link


async def test_no_end_of_a_link_over_a_unix_socket_tells_of_a_port(start_node: StartNode, tmp_path: Path) -> None:
    path = tmp_path / "mesh.sock"
    alice, bob = await start_node(1, unix=path), await start_node(2)
    assert await bob.node.service.dial(entry(path)) == alice.id
    near, far = await link_of(bob, alice), await link_of(alice, bob)
    assert near.endpoint == near.listens_at == entry(path).endpoint
    assert (far.endpoint, far.listens_at) == (entry(path).endpoint, None)
    peers = [one.node._links.best(other.id).driver.link.peer for one, other in ((alice, bob), (bob, alice))]  # type: ignore[union-attr]
    assert [peer.listen_port for peer in peers if peer is not None] == [None, None]


async def test_over_tcp_a_node_that_listens_on_both_tells_of_its_port(start_node: StartNode, tmp_path: Path) -> None:
    alice, bob = await start_node(1, unix=tmp_path / "mesh.sock"), await start_node(2)
    await alice.node.service.dial(bob.entry())
    assert (await link_of(bob, alice)).listens_at == alice.entry().endpoint
    assert [endpoint.scheme for endpoint in alice.node.service.listen_endpoints] == ["tcp", "unix"]


async def test_silent_connections_of_one_user_push_out_each_other_and_none_over_tcp(
    start_node: StartNode, tmp_path: Path
) -> None:
    path = tmp_path / "mesh.sock"
    alice, bob = await start_node(1, unix=path), await start_node(2)
    silent_tcp = await asyncio.open_connection("127.0.0.1", alice.port)
    silent = [await asyncio.open_unix_connection(path) for _ in range(HALF_OPEN_OF_SOURCE.value + 4)]
    for reader, _ in silent[:4]:
        assert await asyncio.wait_for(reader.read(), 10) == b""
    half_open = alice.node._handshakes._half_open
    assert len(half_open) == HALF_OPEN_OF_SOURCE.value + 1
    assert await bob.node.service.dial(entry(path)) == alice.id
    for _, writer in (silent_tcp, *silent):
        writer.close()
    await eventually(lambda: len(half_open) == 0)


async def test_a_path_where_nobody_listens_says_what_to_do(start_node: StartNode, tmp_path: Path) -> None:
    path = tmp_path / "mesh.sock"
    alice, bob = await start_node(1), await start_node(2, unix=path)
    await bob.node.stop()
    text = f"cannot connect to unix:{path}: no such socket; does pimd run there with [transport] listen_unix?"
    with pytest.raises(DialError, match=re.escape(text)):
        await alice.node.service.dial(entry(path))


async def test_who_answered_first_at_a_path_is_the_one_to_answer_there(start_node: StartNode, tmp_path: Path) -> None:
    path = tmp_path / "mesh.sock"
    alice = await start_node(1, policy="trust_on_first_use")
    await start_node(2, unix=path)
    await alice.keystore.pin(entry(path).endpoint, NodeId(bytes(16)))
    with pytest.raises(DialError, match=f"unix:{path} has another key: known 0"):
        await alice.node.service.dial(entry(path))


async def test_a_scheme_without_a_transport_is_an_address_that_cannot_be_dialled(start_node: StartNode) -> None:
    alice = await start_node(1)
    with pytest.raises(DialError, match="no links over radio here"):
        await alice.node.service.dial(PeerEntry(Endpoint("radio", "somewhere")))
