"""Endpoints of nodes: parsed from what people write, and formatted for them."""

import ipaddress
import os
from dataclasses import dataclass
from typing import Self

TCP = "tcp"
UNIX = "unix"
UNIX_PATH_LIMIT = 107
"""Bytes of a path that fit in `sockaddr_un` with its terminating NUL."""


@dataclass(frozen=True)
class Endpoint:
    """A scheme, which names a transport, and an address of that transport; `str` is `scheme:address`."""

    scheme: str
    address: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port`, `[v6]:port`, both also after `tcp:`, or `unix:/path`; ValueError says what is wrong."""
        scheme, colon, address = text.partition(":")
        if scheme == UNIX and colon:
            _check_path(text, address)
            return cls(UNIX, address)
        if scheme != TCP or not colon:
            address = text
        _check_host_and_port(text, address)
        return cls(TCP, address)

    @classmethod
    def tcp(cls, host: str, port: int) -> Self:
        """Build a TCP endpoint, IPv6 in brackets; port 0 cannot be dialled."""
        return cls(TCP, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    def __str__(self) -> str:
        return f"{self.scheme}:{self.address}"

    @property
    def text(self) -> str:
        """As people write it: `host:port` without the scheme, `unix:/path` with it."""
        return self.address if self.scheme == TCP else str(self)

    @property
    def host(self) -> str:
        """Host of a TCP endpoint, without brackets."""
        return self.address.rpartition(":")[0].removeprefix("[").removesuffix("]")

    @property
    def port(self) -> int:
        """Port of a TCP endpoint."""
        return int(self.address.rpartition(":")[2])

    def at_port(self, port: int | None) -> Self | None:
        """Return this host's endpoint at another port; None without a port, or for a scheme without ports."""
        return type(self).tcp(self.host, port) if self.scheme == TCP and port else None

    @property
    def is_ip(self) -> bool:
        """Whether it can be dialled without looking a name up: an IP address and a port."""
        return self.scheme == TCP and _is_ip(self.host)

    @property
    def fault(self) -> str | None:
        """Why no machine can be reached there, and what to do; None where one may be.

        A link-local address of IPv6 (RFC 4291, 2.5.6) says nothing without the interface behind which it is.
        """
        if not self.is_ip:
            return None
        ip = ipaddress.ip_address(self.host)
        if isinstance(ip, ipaddress.IPv4Address) or not ip.is_link_local or ip.scope_id is not None:
            return None
        return f"{ip} is a link-local address: add the interface, such as {self.tcp(f'{ip}%eth0', self.port).text}"


def _check_path(text: str, path: str) -> None:
    if not path.startswith("/"):
        raise ValueError(f"address {text!r}: the path of a socket must be absolute, such as unix:/run/pim/mesh.sock")
    if not path.isprintable():
        raise ValueError(f"address {text!r}: the path must be printable text")
    if len(os.fsencode(path)) > UNIX_PATH_LIMIT:
        raise ValueError(f"address {text!r}: a socket's path has at most {UNIX_PATH_LIMIT} bytes; use a shorter one")


def _check_host_and_port(text: str, address: str) -> None:
    host, colon, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bracketed = bare != host
    if not colon or bracketed != (":" in bare) or (bracketed and not _is_ipv6(host)):
        raise ValueError(f'address {text!r} is not "host:port" (IPv6: "[address]:port") and not "unix:/path"')
    if not bracketed and not _is_host_name(bare):
        raise ValueError(
            f"address {text!r}: {bare!r} is no host name; each part between its dots has 1 to 63 characters"
        )
    if not port.isascii() or not port.isdigit() or len(port) > len("65535") or not 0 < int(port) < 2**16:
        raise ValueError(f"address {text!r}: the port must be 1 to 65535; pimd's own is 9100 as a rule")


def _is_ipv6(host: str) -> bool:
    # `ip_address` accepts any text as a scope.
    return host.startswith("[") and host.endswith("]") and _is_ip(host[1:-1]) and _is_visible(host)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_host_name(text: str) -> bool:
    """Tell whether the resolver accepts it; an encoding failure raises UnicodeError, not OSError."""
    try:
        encoded = text.encode("idna")
    except UnicodeError:
        return False
    return bool(encoded) and _is_visible(text)


def _is_visible(text: str) -> bool:
    return text.isprintable() and " " not in text
