"""Run inside a namespace: two members of a private mesh look out for each other while an hour passes.

Prints the names and ids under which the one sees the other: at first, and after the other announced itself anew.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract import CancellationToken, Membership
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto.member_announcement import NONCE_SIZE, MemberAnnouncement, open_sealed, seal
from pimd_features.discovery.announcement import Announcements
from pimd_features.discovery.service_browser import RENEW_S, ServiceBrowser
from pimd_features.discovery.sightings import Sightings

KEY = bytes(32)


class Member:
    """A look-out on a clock that is moved by hand, whose wall clock is years away from that of others."""

    membership = Membership("private", None, "0" * 16)

    def __init__(self, number: int) -> None:
        self.node_id = NodeId(bytes([number]) * 16)
        self.listen_endpoints = [Endpoint.tcp("::", 9100 + number)]
        self.clock = ManualClock(unix_ms=number * 10**12)
        self.sightings = Sightings(self.clock.now, Bites())
        log = logging.getLogger("member")
        ctx: Any = SimpleNamespace(clock=self.clock, log=log, cancel=CancellationToken(), bites=Bites())
        mesh: Any = self
        self.browser = ServiceBrowser(ctx, mesh, Announcements(mesh, self.node_id), self.sightings)

    def seal_discovery(self, port: int, addresses: Sequence[bytes]) -> bytes:
        return seal(KEY, os.urandom(NONCE_SIZE), self.node_id, port, addresses)

    def open_discovery(self, sealed: bytes) -> MemberAnnouncement | None:
        return open_sealed(KEY, sealed)

    def seen(self) -> list[tuple[str, str]]:
        return [(one.instance, str(one.node_id)) for one in self.sightings.all()]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def main() -> None:
    here, there = Member(0), Member(1)
    for member in (here, there):
        await member.browser.tend()
    await until(lambda: len(here.seen()) == 1)
    seen = here.seen()
    there.clock.advance(RENEW_S[1])
    await there.browser.tend()
    await until(lambda: here.seen() != seen)
    seen += here.seen()
    await there.browser.close(goodbye=True)
    await until(lambda: not here.seen())
    await here.browser.close(goodbye=True)
    print(json.dumps(seen))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
