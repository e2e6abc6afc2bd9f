"""What a node says of itself, and whom it recognises."""

import base64
import ipaddress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.contract import Membership
from pimd.ids import NodeId
from pimd.proto.member_announcement import NONCE_SIZE, open_sealed, seal
from pimd.proto.mesh_secret import derive
from pimd_features.discovery.announcement import Announcements, Service
from pimd_features.discovery.networks import OwnAddress
from tests.mesh.conftest import StartNode

ALICE, BOB = NodeId(b"a" * 16), NodeId(b"b" * 16)
OWN = [
    OwnAddress(ipaddress.ip_address(text), ipaddress.ip_network(f"{text}/{prefix}", strict=False), "eth0", 2)
    for text, prefix in (("192.168.1.5", 24), ("fe80::5", 64))
]
TEXTS = ["fe80::5%2", "192.168.1.5"]
"""As another machine reads them."""


class Mesh:
    """A private mesh, whose nonces count up."""

    membership = Membership("private", None, "0" * 16)

    def __init__(self, node_id: NodeId, key: bytes = bytes(32)) -> None:
        self._node_id, self._key, self._count = node_id, key, 0

    def seal_discovery(self, port: int, addresses: list[bytes]) -> bytes:
        self._count += 1
        return seal(self._key, self._count.to_bytes(NONCE_SIZE), self._node_id, port, addresses)

    def open_discovery(self, sealed: bytes) -> Any:
        return open_sealed(self._key, sealed)


OPEN_MESH: Any = SimpleNamespace(membership=Membership("open", None, None))


def member(node_id: NodeId, key: bytes = bytes(32)) -> Announcements:
    mesh: Any = Mesh(node_id, key)
    return Announcements(mesh, node_id)


def said(by: Announcements, port: int = 9100, texts: list[str] = TEXTS) -> Service:
    return Service(port, texts, dict(by.own(9100, OWN)))


def test_in_an_open_mesh_the_id_and_the_version_are_announced() -> None:
    alice = Announcements(OPEN_MESH, ALICE)
    assert alice.own(9100, OWN) == {b"id": b"61" * 16, b"v": b"2"}
    assert Announcements(OPEN_MESH, BOB).read(said(alice)) == ALICE


def test_in_an_open_mesh_the_name_is_announced_and_read_as_a_strangers_text() -> None:
    alice = Announcements(OPEN_MESH, ALICE, "älice")
    assert alice.own(9100, OWN) == {b"id": b"61" * 16, b"v": b"2", b"n": "älice".encode()}
    assert Announcements(OPEN_MESH, BOB).name_in(said(alice)) == "älice"
    for raw, shown in ((b"\x1b[2Jbob\xff", "[2Jbob"), (b"x" * 300, "x" * 64), (b"", None), (None, None)):
        assert Announcements(OPEN_MESH, BOB).name_in(Service(9100, TEXTS, {b"n": raw})) == shown


def test_in_a_private_mesh_nobody_says_a_name_and_none_is_read() -> None:
    mesh: Any = Mesh(ALICE, bytes(32))
    alice = Announcements(mesh, ALICE, "alice")
    assert alice.own(9100, OWN).keys() == {b"p"}
    assert member(BOB).name_in(Service(9100, TEXTS, {b"n": b"mallory"})) is None


def test_in_a_private_mesh_members_learn_the_id_and_every_announcement_is_another_one() -> None:
    alice = member(ALICE)
    first, second = alice.own(9100, OWN), alice.own(9100, OWN)
    assert first.keys() == second.keys() == {b"p"}
    assert len(first[b"p"]) == len(second[b"p"]) == 88
    assert first != second
    for properties in (first, second):
        assert member(BOB).read(Service(9100, TEXTS, dict(properties))) == ALICE


@pytest.mark.parametrize(
    ("port", "texts"),
    [(9101, TEXTS), (9100, TEXTS[:1]), (9100, [*TEXTS, "192.168.1.6"]), (9100, ["192.168.1.6"]), (9100, [])],
)
def test_what_is_repeated_beside_another_address_is_nobodys(port: int, texts: list[str]) -> None:
    assert member(BOB).read(said(member(ALICE), port, texts)) is None


def test_members_strangers_and_members_of_another_mesh_do_not_recognise_each_other() -> None:
    insider, stranger = member(ALICE), Announcements(OPEN_MESH, BOB)
    other = member(BOB, b"o" * 32)
    assert stranger.read(said(insider)) is None
    assert insider.read(said(stranger)) is None
    assert insider.read(said(other)) is None
    both = Service(9100, TEXTS, {**stranger.own(9100, OWN), **other.own(9100, OWN)})
    assert insider.read(both) is None


def test_the_own_id_is_passed_over() -> None:
    for alice in (Announcements(OPEN_MESH, ALICE), member(ALICE)):
        assert alice.read(said(alice)) is None


@given(st.dictionaries(st.sampled_from([b"id", b"v", b"p", b"t", b"x"]), st.none() | st.binary(max_size=100)))
def test_no_text_record_is_taken_for_a_member_or_breaks_the_reader(properties: dict[bytes, bytes | None]) -> None:
    service = Service(9100, TEXTS, properties)
    assert member(ALICE).read(service) is None
    seen = Announcements(OPEN_MESH, ALICE).read(service)
    assert seen is None or str(seen).encode() == (properties[b"id"] or b"").lower()


async def test_the_mesh_seals_with_the_key_of_its_passphrase_and_an_open_one_cannot(start_node: StartNode) -> None:
    secret = derive("correct horse battery staple", None, 8, 1, 1)
    alice = await start_node(1, secret=secret)
    text = Announcements(alice.node.service, alice.id).own(9100, OWN)[b"p"]
    opened = open_sealed(secret.discovery_key, base64.urlsafe_b64decode(text))
    assert opened is not None
    assert opened.node_id == alice.id
    assert opened.leads_to(9100, [one.ip.packed for one in OWN])
    stranger = (await start_node(2)).node.service
    assert stranger.open_discovery(base64.urlsafe_b64decode(text)) is None
    with pytest.raises(LookupError):
        stranger.seal_discovery(9100, [])
