"""What the kernel says of network interfaces and addresses, without I/O (rtnetlink(7), netlink(7))."""

import struct
from collections.abc import Iterator

GROUPS = 0x1 | 0x10 | 0x100
"""RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR."""
_MESSAGE = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_NEW_LINK, _DEL_LINK, _NEW_ADDRESS, _DEL_ADDRESS = 16, 17, 20, 21
_RUNNING = 0x40
"""The interface is up and has a carrier."""
_TENTATIVE = 0x40
"""An IPv6 address that is being checked for duplicates; it cannot be used yet."""
_IFA_ADDRESS, _IFA_LOCAL = 1, 2


class Interfaces:
    """Which interfaces run and which addresses are usable, as far as the kernel told since the start."""

    def __init__(self) -> None:
        self._running: dict[int, bool] = {}
        self._addresses: set[tuple[int, bytes]] = set()

    def receive(self, data: bytes) -> bool:
        """Take one datagram; True when something else is usable than before, or may be.

        The kernel also repeats itself, such as for each router advertisement or scan of a radio: that is no change.
        """
        changes = [self._take(kind, body) for kind, body in _messages(data)]
        return any(changes)

    def _take(self, kind: int, body: bytes) -> bool:
        if kind in {_NEW_LINK, _DEL_LINK} and len(body) >= _LINK.size:
            family, _, index, flags, _ = _LINK.unpack_from(body)
            return family == 0 and self._take_link(index, kind == _NEW_LINK and bool(flags & _RUNNING), kind)
        if kind in {_NEW_ADDRESS, _DEL_ADDRESS} and len(body) >= _ADDRESS.size:
            _, _, flags, _, index = _ADDRESS.unpack_from(body)
            key = index, _address(body[_ADDRESS.size :])
            if kind == _DEL_ADDRESS:
                self._addresses.discard(key)
                return True
            is_new = not flags & _TENTATIVE and key not in self._addresses
            if is_new:
                self._addresses.add(key)
            return is_new
        return False

    def _take_link(self, index: int, running: bool, kind: int) -> bool:  # noqa: FBT001
        before = self._running.pop(index, None)
        if kind == _NEW_LINK:
            self._running[index] = running
        return before is not running


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _MESSAGE.size <= len(data):
        length, kind, _, _, _ = _MESSAGE.unpack_from(data, offset)
        if length < _MESSAGE.size:
            return
        yield kind, data[offset + _MESSAGE.size : offset + length]
        offset += _aligned(length)


def _address(data: bytes) -> bytes:
    """Return the bytes of the address and, on a point-to-point interface, of its other end."""
    found = b""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        if kind in {_IFA_ADDRESS, _IFA_LOCAL}:
            found += data[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
