"""Which addresses a node listens on."""

import errno
import socket

import pytest

from pimd.net import sockets
from pimd.net.sockets import ListeningSocket, leave, tcp_listeners


def listens_on(host: str) -> tuple[socket.AddressFamily, str]:
    [listening] = tcp_listeners(host, 0, leave)
    with listening:
        return listening.family, listening.getsockname()[0]


def test_a_host_that_is_named_is_listened_on_and_no_other() -> None:
    assert listens_on("127.0.0.1") == (socket.AF_INET, "127.0.0.1")
    assert listens_on("0.0.0.0") == (socket.AF_INET, "0.0.0.0")  # noqa: S104
    assert listens_on("::1") == (socket.AF_INET6, "::1")


def test_every_address_means_both_families_on_one_socket() -> None:
    [listening] = tcp_listeners("::", 0, leave)
    with listening:
        port = listening.getsockname()[1]
        assert listening.family == socket.AF_INET6
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()


def test_without_ipv6_every_address_means_those_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutIpv6(ListeningSocket):
        def __init__(self, family: int, kind: int, protocol: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, kind, protocol)

    monkeypatch.setattr(sockets, "ListeningSocket", WithoutIpv6)
    for known in (True, False):  # before one is tried, or only then
        monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda known=known: known)
        assert listens_on("::") == (socket.AF_INET, "0.0.0.0")  # noqa: S104
