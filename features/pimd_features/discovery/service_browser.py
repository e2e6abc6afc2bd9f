"""Keeps one mDNS session open on the machine's networks, and the sightings up to date with it."""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass

from zeroconf import Error

from pimd.contract import Mesh, PluginContext, declare, tcp_endpoint
from pimd_features.discovery.announcement import Announcements
from pimd_features.discovery.mdns import Service, Session
from pimd_features.discovery.networks import OwnAddress, announced_on, choose, own_addresses
from pimd_features.discovery.sightings import Sightings

RETRY_S = 30.0
"""Seconds until the next try after the network could not be used, or was flooded."""
REOPEN_S = 5.0
"""A session is kept at least this long, even when the machine's addresses change."""
SETTLE_S = 10.0
"""Seconds in which a known node must announce itself again on a new session."""
FLOOD_S = 3600.0
"""A session that reaches its limit sooner was flooded."""
QUESTIONS = declare(
    "instances waiting to be asked for what they did not say",
    256,
    "instances",
    "passed over until they are heard again",
)
CLOSE_S = 2.0


@dataclass
class _Open:
    """An open session, the addresses it was opened for, and what was announced on it."""

    session: Session
    own: tuple[OwnAddress, ...]
    since: float
    said: tuple[object, ...] = ()


class ServiceBrowser:
    """Opens, renews and closes the session; implements `mdns.MdnsReceiver`."""

    def __init__(self, ctx: PluginContext, mesh: Mesh, announcements: Announcements, sightings: Sightings) -> None:
        self._ctx = ctx
        self._mesh = mesh
        self._announcements = announcements
        self._sightings = sightings
        self._instance, self._host = secrets.token_hex(16), secrets.token_hex(16)
        self._open: _Open | None = None
        self._not_before = 0.0
        self._trouble = ""
        self._questions: asyncio.Queue[str] = asyncio.Queue(QUESTIONS.value)

    async def tend(self) -> None:
        """Follow changes of networks and of the hourly tag; the plugin calls it periodically."""
        now = self._ctx.clock.now()
        if tcp_endpoint(self._mesh).port and now >= self._not_before:
            try:
                await self._follow(own_addresses(), now)
            except (OSError, RuntimeError, Error) as error:
                await self.close(goodbye=False)
                self._wait(f"the local network cannot be used to find others: {str(error) or type(error).__name__}")
        if self._open is not None and now - self._open.since >= SETTLE_S:
            self._sightings.retain(lambda one: one.confirmed)
        is_current = self._announcements.is_current
        self._sightings.retain(lambda one: one.announced.tag is None or is_current(one.announced.tag))

    async def ask(self) -> None:
        """Query one instance after the other for missing records, until cancelled."""
        while True:
            instance = await self._questions.get()
            asked = self._open
            service = await asked.session.ask(instance) if asked is not None else None
            if service is not None and asked is self._open:
                self._take(instance, service)

    async def close(self, *, goodbye: bool) -> None:
        """Close the session; without one nothing happens."""
        was_open, self._open = self._open, None
        if was_open is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await was_open.session.close(goodbye=goodbye)

    # --- mdns.MdnsReceiver

    def appeared(self, instance: str) -> None:
        """Enter an instance with complete records; queue one with missing records for a query."""
        service = self._open.session.look_up(instance) if self._open is not None else None
        if service is not None:
            self._take(instance, service)
        elif self._questions.full():
            self._ctx.bites.count(QUESTIONS)
        else:
            self._questions.put_nowait(instance)

    def heard(self, instance: str) -> None:
        """Confirm the sighting of an instance."""
        self._sightings.heard(instance)

    def vanished(self, instance: str) -> None:
        """Drop the sighting of an instance."""
        self._sightings.drop(instance)

    # --- inside

    async def _follow(self, own: tuple[OwnAddress, ...], now: float) -> None:
        if self._open is not None and self._open.session.is_worn_out:
            flooded = now - self._open.since < FLOOD_S
            await self.close(goodbye=False)
            if flooded:
                self._wait("a machine on the local network floods it with announcements")
                return
        if self._open is not None and own != self._open.own and now - self._open.since >= REOPEN_S:
            await self.close(goodbye=False)
        if not own:
            self._sightings.retain(lambda _: False)
            self._complain("there is no network to find others on; looking again until there is one")
            return
        if self._open is None:
            await self._start(own, now)
        await self._announce()

    async def _start(self, own: tuple[OwnAddress, ...], now: float) -> None:
        self._open = _Open(Session(self._instance, self._host, own, self, self._ctx.bites), own, now)
        self._sightings.doubt_all()
        await self._open.session.listen()
        self._trouble = ""
        self._ctx.log.info("looking for nodes on %s", ", ".join(dict.fromkeys(one.interface for one in own)))

    async def _announce(self) -> None:
        """Announce what changed: everything at first, then the new tag of each hour."""
        if self._open is None:
            return
        listening = tcp_endpoint(self._mesh)
        addresses = announced_on(self._open.own, listening.host)
        saying = (listening.port, addresses, self._announcements.own())
        if addresses and saying != self._open.said:
            self._open.said = saying
            await self._open.session.announce(*saying)

    def _take(self, instance: str, service: Service) -> None:
        announced = self._announcements.read(service.properties)
        own = self._open.own if self._open is not None else ()
        address = choose(service.addresses, service.port, own, self._ctx.bites)
        if announced is None or address is None:
            self._sightings.drop(instance)
        else:
            self._sightings.take(instance, announced, address)

    def _wait(self, trouble: str) -> None:
        self._not_before = self._ctx.clock.now() + RETRY_S
        self._complain(f"{trouble}; trying again every {RETRY_S:g} s")

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble and not self._ctx.cancel.is_cancelled:  # the same error is logged once
            self._ctx.log.warning("%s", trouble)
        self._trouble = trouble
