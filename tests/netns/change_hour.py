"""Run inside a namespace: two members of a private mesh look out for each other while the hours pass.

Prints how the one sees the other: at first, after both clocks moved an hour, and after only its own moved two more.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract import CancellationToken
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd_features.discovery.announcement import Announcements
from pimd_features.discovery.service_browser import ServiceBrowser
from pimd_features.discovery.sightings import Sightings

HOUR_S = 3600


class Member:
    """A look-out on a clock that is moved by hand."""

    def __init__(self, number: int) -> None:
        self.clock = ManualClock()
        self.sightings = Sightings(self.clock.now, Bites())
        announcements = Announcements(NodeId(bytes([number]) * 16), lambda hour: hour.to_bytes(16), self.clock.unix_ms)
        log = logging.getLogger("member")
        ctx: Any = SimpleNamespace(clock=self.clock, log=log, cancel=CancellationToken(), bites=Bites())
        mesh: Any = SimpleNamespace(listen_endpoints=[Endpoint.tcp("::", 9100 + number)])
        self.browser = ServiceBrowser(ctx, mesh, announcements, self.sightings)

    def hours(self) -> list[int]:
        """Of the tags that it sees."""
        return [int.from_bytes(one.announced.tag or b"") for one in self.sightings.all()]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def main() -> None:
    here, there = Member(1), Member(2)
    for member in (here, there):
        await member.browser.tend()
    await until(lambda: bool(here.hours() and there.hours()))
    seen = [here.hours()]
    for member in (here, there):
        member.clock.advance(HOUR_S)
    await there.browser.tend()
    await until(lambda: here.hours() != seen[0])
    seen.append(here.hours())
    here.clock.advance(2 * HOUR_S)
    await here.browser.tend()
    seen.append(here.hours())
    for member in (here, there):
        await member.browser.close(goodbye=True)
    print(json.dumps(seen))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
