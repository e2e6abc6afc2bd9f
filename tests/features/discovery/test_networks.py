"""Which address of a node is dialled, and which of one's own are announced."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest

from pimd.addresses import Endpoint
from pimd.limits import Bites
from pimd_features.discovery.networks import (
    ADDRESSES,
    SESSIONS,
    DialAddress,
    OwnAddress,
    announced_on,
    choose,
    own_addresses,
    split,
)


def own(text: str, interface: str = "eth0", index: int = 2) -> OwnAddress:
    network = ipaddress.ip_interface(text)
    return OwnAddress(network.ip, network.network, interface, index)


EVERY = "0.0.0.0"  # noqa: S104 - nothing is bound
OWN = [own("192.168.1.5/24"), own("172.17.0.1/16", "docker0", 3), own("fd00::5/64"), own("fe80::5/64")]


@pytest.mark.parametrize(
    ("announced", "address", "nearby"),
    [
        (["192.168.1.7"], "192.168.1.7:9100", True),
        (["10.0.0.1", "192.168.1.7"], "192.168.1.7:9100", True),
        (["172.17.0.1", "192.168.1.7"], "192.168.1.7:9100", True),  # every machine with containers has the former
        (["192.168.1.5"], "192.168.1.5:9100", True),  # another daemon of this machine
        (["fd00::7", "192.168.1.7"], "192.168.1.7:9100", True),
        (["10.0.0.1", "fd00::7"], "[fd00::7]:9100", True),
        (["10.0.0.1"], "10.0.0.1:9100", False),
        (["2001:db8::1"], "[2001:db8::1]:9100", False),
        (["fe80::7%2"], "[fe80::7%eth0]:9100", True),
        (["nonsense", "127.0.0.1", "192.168.1.7"], "192.168.1.7:9100", True),
    ],
)
def test_the_address_nearby_is_dialled_ipv4_first(announced: list[str], address: str, nearby: bool) -> None:  # noqa: FBT001
    assert choose(announced, 9100, OWN, Bites()) == DialAddress(Endpoint.parse(address), nearby=nearby)


@pytest.mark.parametrize(
    "announced",
    [[], ["127.0.0.1"], ["::1"], [EVERY], ["::"], ["224.0.0.1"], ["ff02::1"], ["fe80::7"], ["fe80::7%9"], ["x"]],
    ids=str,
)
def test_an_address_that_no_other_machine_can_have_is_not_dialled(announced: list[str]) -> None:
    assert choose(announced, 9100, OWN, Bites()) is None


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_that_cannot_be_is_not_dialled(port: int) -> None:
    assert choose(["192.168.1.7"], port, OWN, Bites()) is None


@pytest.mark.limit("addresses of a node on the local network")
def test_only_so_many_addresses_of_one_node_are_looked_at() -> None:
    far = [f"10.0.0.{number}" for number in range(ADDRESSES.value)]
    near = DialAddress(Endpoint.tcp("192.168.1.7", 9100), nearby=True)
    assert choose([*far[1:], "192.168.1.7"], 9100, OWN, Bites()) == near
    first = DialAddress(Endpoint.tcp("10.0.0.0", 9100), nearby=False)
    assert choose([*far, "192.168.1.7"], 9100, OWN, Bites()) == first


@pytest.mark.parametrize(
    ("host", "announced"),
    [
        ("::", OWN),
        (EVERY, OWN[:2]),
        ("192.168.1.5", OWN[:1]),
        ("fd00::5", OWN[2:3]),
        ("127.0.0.1", []),
        ("::1", []),
        ("localhost", []),
        ("10.9.9.9", []),
    ],
)
def test_what_is_announced_is_what_the_port_is_bound_to(host: str, announced: list[OwnAddress]) -> None:
    assert announced_on(OWN, host) == announced


def test_own_addresses_are_never_loopback_and_always_in_their_network() -> None:
    for one in own_addresses():
        assert isinstance(one.ip, IPv4Address | IPv6Address)
        assert not one.ip.is_loopback
        assert one.ip in one.network
        assert one.interface


@pytest.mark.parametrize(
    ("interfaces", "each", "sizes"),
    [(1, 2, [2]), (40, 2, [2] * 40), (2, 20, [16, 16]), (SESSIONS + 1, 1, [1] * SESSIONS)],
)
def test_each_interface_is_announced_for_itself_with_no_more_than_others_read(
    interfaces: int, each: int, sizes: list[int]
) -> None:
    every = [own(f"10.{n}.0.{m + 1}/24", f"eth{n}", n) for n in range(interfaces) for m in range(each)]
    parts = split(every)
    assert [len(part) for part in parts] == sizes
    assert all(len({one.index for one in part}) == 1 for part in parts)
    assert split([]) == []
