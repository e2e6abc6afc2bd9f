"""The addresses of this machine, and the choice among those of another one."""

import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import ifaddr

from pimd.contract import Bites, Endpoint, declare

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ADDRESSES = declare("addresses of a node on the local network", 16, "addresses", "the others are ignored")
"""In one announcement; of an interface with more the others are not announced."""
SESSIONS = 64
"""Interfaces that are looked at, those with the lowest numbers."""


@dataclass(frozen=True)
class OwnAddress:
    """One address of a network interface."""

    ip: Address
    network: Network
    interface: str
    index: int


@dataclass(frozen=True)
class DialAddress:
    """An endpoint to dial a node at."""

    endpoint: Endpoint
    nearby: bool
    """On a network that this machine is on."""


def own_addresses() -> tuple[OwnAddress, ...]:
    """Return the addresses that other machines can reach, in a fixed order, without loopback."""
    found = (_own(adapter, ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips)
    return tuple(sorted((one for one in found if is_usable(one.ip)), key=lambda one: (one.index, str(one.ip))))


def _own(adapter: ifaddr.Adapter, ip: ifaddr.IP) -> OwnAddress:
    text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
    network = ipaddress.ip_network(f"{text}/{ip.network_prefix}", strict=False)
    return OwnAddress(ipaddress.ip_address(text), network, str(adapter.nice_name), adapter.index or 0)


def split(own: Sequence[OwnAddress]) -> list[list[OwnAddress]]:
    """Return what is announced on each interface; nobody gets an address of another network.

    A socket for all could not join them all: Linux lets it join 20 groups of IPv4 by default.
    """
    interfaces = itertools.groupby(own, key=lambda one: one.index)
    return [list(addresses)[: ADDRESSES.value] for _, addresses in interfaces][:SESSIONS]


def packed(addresses: Iterable[str]) -> list[bytes]:
    """Return the bytes of addresses, without their scopes."""
    return [ipaddress.ip_address(address).packed for address in addresses]


def is_usable(ip: Address) -> bool:
    """Tell whether an address can be another machine's; no stranger makes a node dial itself."""
    return not (ip.is_loopback or ip.is_unspecified or ip.is_multicast)


def announced_on(own: Sequence[OwnAddress], listen_host: str) -> list[OwnAddress]:
    """Return the addresses that reach the port bound to `listen_host`; none on loopback."""
    try:
        bound = ipaddress.ip_address(listen_host)
    except ValueError:  # a host name, as long as nothing is bound
        return []
    if bound.is_unspecified:
        return [one for one in own if bound.version == 6 or one.ip.version == 4]  # noqa: PLR2004 - `::` takes both
    return [one for one in own if one.ip == bound]


def choose(announced: Sequence[str], port: int, own: Sequence[OwnAddress], bites: Bites) -> DialAddress | None:
    """Pick the address to dial: one on a network of this machine, IPv4 first; None when none is usable."""
    if len(announced) > ADDRESSES.value:
        bites.count(ADDRESSES)
    ranked = sorted(_ranked(announced[: ADDRESSES.value], own), key=lambda pair: pair[0])
    if not ranked or not 0 < port < 2**16:
        return None
    (far, _, _), text = ranked[0]
    return DialAddress(Endpoint.tcp(text, port), nearby=not far)


def _ranked(announced: Iterable[str], own: Sequence[OwnAddress]) -> Iterator[tuple[tuple[bool, bool, int], str]]:
    for text in announced:
        host, _, scope = text.partition("%")
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            continue
        if not is_usable(ip):
            continue
        if not ip.is_link_local or ip.version == 4:  # noqa: PLR2004
            far = not any(ip in one.network for one in own if one.ip.version == ip.version)
            yield (far, _is_own(ip, own), ip.version), host
        elif interface := next((one.interface for one in own if str(one.index) == scope), None):
            yield (False, _is_own(ip, own), ip.version), f"{host}%{interface}"


def _is_own(ip: Address, own: Sequence[OwnAddress]) -> bool:
    return any(one.ip == ip for one in own)
