"""Keeps mDNS sessions open on the machine's networks, and the sightings up to date with them."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from zeroconf import Error

from pimd.contract import Mesh, PluginContext, declare, tcp_endpoint
from pimd_features.discovery.announcement import Announcements, Service
from pimd_features.discovery.mdns import Session
from pimd_features.discovery.networks import SESSIONS, OwnAddress, announced_on, choose, own_addresses, split
from pimd_features.discovery.sightings import Sightings

RETRY_S = 30.0
"""Seconds until the next try after the network could not be used, or was flooded."""
REOPEN_S = 5.0
"""Sessions are kept at least this long, even when the machine's addresses change."""
SETTLE_S = 10.0
"""Seconds in which a known node must announce itself again on new sessions."""
FLOOD_S = 3600.0
"""A session that reaches its limit sooner was flooded."""
RENEW_S = (3000.0, 3600.0)
"""A random time between these after an announcement it is made anew, with other names; the wall clock is not asked."""
QUESTIONS = declare(
    "instances waiting to be asked for what they did not say",
    256,
    "instances",
    "passed over until they are heard again",
)
CLOSE_S = 2.0


@dataclass
class _Open:
    """Open sessions, the addresses they were opened for, and what was announced on them."""

    sessions: Sequence[Session]
    own: tuple[OwnAddress, ...]
    since: float
    said: tuple[str, int] | None = None
    """The host and port, as bound, that were announced."""
    renew_at: float = 0.0


class ServiceBrowser:
    """Opens, renews and closes the sessions; implements `mdns.MdnsReceiver`."""

    def __init__(self, ctx: PluginContext, mesh: Mesh, announcements: Announcements, sightings: Sightings) -> None:
        self._ctx = ctx
        self._mesh = mesh
        self._announcements = announcements
        self._sightings = sightings
        self._open: _Open | None = None
        self._not_before = 0.0
        self._trouble = ""
        self._questions: asyncio.Queue[tuple[Session, str]] = asyncio.Queue(QUESTIONS.value)

    async def tend(self) -> None:
        """Follow changes of networks, and announce anew in time; the plugin calls it periodically."""
        now = self._ctx.clock.now()
        if tcp_endpoint(self._mesh).port and now >= self._not_before:
            try:
                await self._follow(own_addresses(), now)
            except* (OSError, RuntimeError, Error) as errors:
                await self.close(goodbye=False)
                error = errors.exceptions[0]
                self._wait(f"the local network cannot be used to find others: {str(error) or type(error).__name__}")
        if self._open is not None and now - self._open.since >= SETTLE_S:
            self._sightings.retain(lambda one: one.confirmed)

    async def ask(self) -> None:
        """Query one instance after the other for missing records, until cancelled."""
        while True:
            session, instance = await self._questions.get()
            if not self._is_open(session):
                continue
            service = await session.ask(instance)
            if service is not None and self._is_open(session):
                self._take(instance, service)

    async def close(self, *, goodbye: bool) -> None:
        """Close the sessions; without any nothing happens."""
        was_open, self._open = self._open, None
        if was_open is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S), asyncio.TaskGroup() as group:
                    for session in was_open.sessions:
                        group.create_task(session.close(goodbye=goodbye))

    # --- mdns.MdnsReceiver

    def appeared(self, session: Session, instance: str) -> None:
        """Enter an instance with complete records; queue one with missing records for a query."""
        service = session.look_up(instance)
        if service is not None:
            self._take(instance, service)
        elif self._questions.full():
            self._ctx.bites.count(QUESTIONS)
        else:
            self._questions.put_nowait((session, instance))

    def heard(self, instance: str) -> None:
        """Confirm the sighting of an instance."""
        self._sightings.heard(instance)

    def vanished(self, instance: str) -> None:
        """Drop the sighting of an instance."""
        self._sightings.drop(instance)

    # --- inside

    def _is_open(self, session: Session) -> bool:
        return self._open is not None and session in self._open.sessions

    async def _follow(self, own: tuple[OwnAddress, ...], now: float) -> None:
        if self._open is not None and any(session.is_worn_out for session in self._open.sessions):
            flooded = now - self._open.since < FLOOD_S
            await self.close(goodbye=False)
            if flooded:
                self._wait("a machine on the local network floods it with announcements")
                return
        if self._open is not None and own != self._open.own and now - self._open.since >= REOPEN_S:
            await self.close(goodbye=True)
        if not own:
            self._sightings.retain(lambda _: False)
            self._complain("there is no network to find others on; looking again until there is one")
            return
        if self._open is None:
            await self._start(own, now)
        await self._announce(now)

    async def _start(self, own: tuple[OwnAddress, ...], now: float) -> None:
        sessions: list[Session] = []
        self._open = _Open(sessions, own, now)
        self._sightings.doubt_all()
        for part in split(own):
            sessions.append(Session(part, self, self._ctx.bites))
            await sessions[-1].listen()
        self._trouble = ""
        joined = [one for session in sessions for one in session.joined()]
        self._ctx.log.info("looking for nodes on %s", ", ".join(dict.fromkeys(one.interface for one in joined)))
        networks = {(one.index, one.ip.version) for one in joined}
        left_out = dict.fromkeys(
            f"{one.interface} (IPv{one.ip.version})" for one in own if (one.index, one.ip.version) not in networks
        )
        if left_out:
            self._ctx.log.warning(
                "not looking for nodes on %s: the system refuses it, or there are more than %d interfaces",
                ", ".join(left_out),
                SESSIONS,
            )

    async def _announce(self, now: float) -> None:
        """Announce at first, after a change of the port, and when it is time for new names."""
        listening = tcp_endpoint(self._mesh)
        saying = (listening.host, listening.port)
        if self._open is None or (saying == self._open.said and now < self._open.renew_at):
            return
        self._open.said = saying
        self._open.renew_at = now + secrets.SystemRandom().uniform(*RENEW_S)
        async with asyncio.TaskGroup() as group:
            for session in self._open.sessions:
                addresses = announced_on(session.own, listening.host)
                if addresses:
                    text = self._announcements.own(listening.port, addresses)
                    group.create_task(session.announce(listening.port, addresses, text))

    def _take(self, instance: str, service: Service) -> None:
        node_id = self._announcements.read(service)
        own = self._open.own if self._open is not None else ()
        address = choose(service.addresses, service.port, own, self._ctx.bites)
        if node_id is None or address is None:
            self._sightings.drop(instance)
        else:
            self._sightings.take(instance, node_id, address, self._announcements.name_in(service))

    def _wait(self, trouble: str) -> None:
        self._not_before = self._ctx.clock.now() + RETRY_S
        self._complain(f"{trouble}; trying again every {RETRY_S:g} s")

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble and not self._ctx.cancel.is_cancelled:  # the same error is logged once
            self._ctx.log.warning("%s", trouble)
        self._trouble = trouble
