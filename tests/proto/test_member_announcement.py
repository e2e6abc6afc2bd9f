"""What only members of a private mesh can make, and where it may lead."""

import base64
import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.ids import NodeId
from pimd.proto.member_announcement import MemberAnnouncement, hash_of, open_sealed, seal

(ROW,) = json.loads((Path(__file__).parents[1] / "vectors" / "pim_discovery.json").read_text())["vectors"]
KEY = bytes.fromhex(ROW["discovery_key"])
ADDRESSES = [ipaddress.ip_address(address).packed for address in ROW["addresses"]]
SEALED = base64.urlsafe_b64decode(ROW["p"])


def test_the_known_answer() -> None:
    node_id = NodeId(bytes.fromhex(ROW["node_id"]))
    assert seal(KEY, bytes.fromhex(ROW["nonce"]), node_id, ROW["port"], ADDRESSES) == SEALED
    assert len(ROW["p"]) == 88
    opened = open_sealed(KEY, SEALED)
    assert opened == MemberAnnouncement(node_id, ROW["port"], bytes.fromhex(ROW["addresses_hash"]))


def test_it_leads_to_its_own_port_and_addresses_only_in_any_order_and_as_often_as_they_came() -> None:
    opened = open_sealed(KEY, SEALED)
    assert opened is not None
    assert opened.leads_to(ROW["port"], [*reversed(ADDRESSES), ADDRESSES[0]])
    assert not opened.leads_to(ROW["port"] + 1, ADDRESSES)
    assert not opened.leads_to(ROW["port"], ADDRESSES[1:])
    assert not opened.leads_to(ROW["port"], [*ADDRESSES, bytes([10, 0, 0, 8])])
    assert not opened.leads_to(ROW["port"], [])


def test_four_addresses_of_ipv4_are_not_taken_for_one_of_ipv6() -> None:
    one = bytes(range(16))
    assert hash_of([one]) != hash_of([one[n : n + 4] for n in range(0, 16, 4)])


@pytest.mark.parametrize("at", [0, 23, 24, 49, 65])
def test_a_changed_byte_makes_it_nobodys(at: int) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= 1
    assert open_sealed(KEY, bytes(changed)) is None


def test_another_mesh_cannot_open_it() -> None:
    assert open_sealed(bytes(32), SEALED) is None


@given(st.binary(max_size=100))
def test_no_bytes_break_the_reader(sealed: bytes) -> None:
    assert open_sealed(KEY, sealed) is None
