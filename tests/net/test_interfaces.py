"""What counts as a change among the messages of the kernel."""

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st

from pimd.net.interfaces import Interfaces

NEW_LINK, DEL_LINK, NEW_ADDRESS, DEL_ADDRESS, DONE = 16, 17, 20, 21, 3
UP, RUNNING, TENTATIVE = 0x1, 0x40, 0x40


def message(kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + padded


def link(index: int, *, running: bool, kind: int = NEW_LINK, family: int = 0) -> bytes:
    flags = UP | (RUNNING if running else 0)
    return message(kind, struct.pack("=BxHiII", family, 1, index, flags, 0) + struct.pack("=HH", 8, 3) + b"eth0")


def address(index: int, text: str, kind: int = NEW_ADDRESS, flags: int = 0) -> bytes:
    ip = ipaddress.ip_address(text)
    family = 2 if ip.version == 4 else 10
    attributes = struct.pack("=HHB3x", 5, 3, 0) + struct.pack("=HH", 4 + len(ip.packed), 1) + ip.packed
    return message(kind, struct.pack("=BBBBI", family, 64, flags, 0, index) + attributes)


def test_an_address_is_a_change_when_it_is_usable_and_when_it_goes_and_not_when_it_is_repeated() -> None:
    kernel = Interfaces()
    heard = [
        kernel.receive(address(2, "fd00::1", flags=TENTATIVE)),
        kernel.receive(address(2, "fd00::1")),
        kernel.receive(address(2, "fd00::1")),
        kernel.receive(address(2, "fd00::2")),
        kernel.receive(address(3, "fd00::1")),
        kernel.receive(address(2, "fd00::1", DEL_ADDRESS)),
        kernel.receive(address(2, "fd00::1")),
        kernel.receive(address(2, "10.0.0.1", DEL_ADDRESS)),  # it was there before the start
    ]
    assert heard == [False, True, False, True, True, True, True, True]


def test_an_interface_is_a_change_when_its_carrier_comes_or_goes() -> None:
    kernel = Interfaces()
    assert kernel.receive(link(2, running=False))  # the state before is not known
    assert not kernel.receive(link(2, running=False))
    assert kernel.receive(link(2, running=True))
    assert not kernel.receive(link(2, running=True))  # a scan of the radio
    assert kernel.receive(link(2, running=True, kind=DEL_LINK))
    assert kernel.receive(link(2, running=True))


def test_a_port_that_leaves_a_bridge_is_still_there() -> None:
    kernel = Interfaces()
    kernel.receive(link(2, running=True))
    assert not kernel.receive(link(2, running=True, kind=DEL_LINK, family=7))
    assert not kernel.receive(link(2, running=True))


def test_all_messages_of_a_datagram_are_read() -> None:
    kernel = Interfaces()
    assert kernel.receive(link(2, running=True) + message(DONE, b"") + address(2, "10.0.0.1"))
    assert not kernel.receive(link(2, running=True) + address(2, "10.0.0.1"))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    Interfaces().receive(data)
    for kind in (NEW_LINK, NEW_ADDRESS, DEL_ADDRESS):
        Interfaces().receive(message(kind, data))
