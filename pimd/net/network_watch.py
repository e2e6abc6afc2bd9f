"""Notices that addresses of this machine come and go, and that cables are plugged in."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

from pimd.net.interfaces import GROUPS, Interfaces

SETTLE_S = 0.5
"""Changes within this time are one: an address comes in several steps."""
POLL_S = 2.0
_READ = 65536
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that nobody has (RFC 5737, RFC 3849)."""


async def watch_network(changed: Callable[[], None]) -> None:
    """Call `changed` half a second after each change, until cancelled; where the kernel does not tell it is asked."""
    with contextlib.suppress(OSError), _kernel() as kernel:  # another system, or a sandbox
        await _listen(kernel, changed)
    await _poll(changed)


async def _listen(kernel: socket.socket, changed: Callable[[], None]) -> None:
    interfaces = Interfaces()
    while True:
        if await _next_change(kernel, interfaces):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_S):
                    while True:
                        await _next_change(kernel, interfaces)
            changed()


def _kernel() -> socket.socket:
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no netlink")
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        made.setblocking(False)  # noqa: FBT003 - positional only
        made.bind((0, GROUPS))
    except BaseException:
        made.close()
        raise
    return made


async def _next_change(kernel: socket.socket, interfaces: Interfaces) -> bool:
    try:
        return interfaces.receive(await asyncio.get_running_loop().sock_recv(kernel, _READ))
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return True  # it told more than fits in its buffer


async def _poll(changed: Callable[[], None]) -> None:
    before = _sources()
    while True:
        await asyncio.sleep(POLL_S)
        now = _sources()
        if now != before:
            changed()
        before = now


def _sources() -> tuple[object, ...]:
    """Return the names of interfaces, and the addresses from which the system would send; nothing is sent."""
    found: list[object] = [socket.if_nameindex()]
    for family, elsewhere in _ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            found.append(probe.getsockname()[0])
    return tuple(found)
