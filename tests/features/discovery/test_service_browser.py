"""What the browser makes of networks that come, change and go, and of instances that did not say everything."""

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from pimd.addresses import Endpoint
from pimd.clock import ManualClock
from pimd.contract import CancellationToken, Membership
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd_features.discovery import service_browser
from pimd_features.discovery.announcement import Announcements, Service
from pimd_features.discovery.mdns import MdnsReceiver
from pimd_features.discovery.networks import SESSIONS, OwnAddress
from pimd_features.discovery.service_browser import (
    FLOOD_S,
    QUESTIONS,
    RENEW_S,
    REOPEN_S,
    RETRY_S,
    SETTLE_S,
    ServiceBrowser,
)
from pimd_features.discovery.sightings import Sightings

SOMEBODY = NodeId(bytes([1]) * 16)
INSTANCE = "somebody._pim._tcp.local."
HOUSE, YARD = (
    OwnAddress(
        ipaddress.ip_address(f"192.168.{number}.2"), ipaddress.ip_network(f"192.168.{number}.0/24"), name, number
    )
    for number, name in ((1, "eth0"), (2, "wlan0"))
)


class SessionDouble:
    """Sends nothing; its instances say what the test puts there."""

    made: ClassVar[list["SessionDouble"]]
    said: ClassVar[dict[str, Service]]
    fails: ClassVar[bool]
    refuses: ClassVar[list[OwnAddress]]

    def __init__(self, own: Sequence[OwnAddress], receiver: MdnsReceiver, bites: Bites) -> None:
        self.own = own
        self.is_worn_out = False
        self.announced: list[tuple[int, list[OwnAddress], dict[bytes, bytes]]] = []
        self.goodbyes: list[bool] = []
        self.asked: list[str] = []
        self.made.append(self)

    async def listen(self) -> None:
        if self.fails:
            raise OSError("no such device")

    def joined(self) -> list[OwnAddress]:
        return [one for one in self.own if one not in self.refuses]

    async def announce(self, *said: Any) -> None:
        self.announced.append(said)

    def look_up(self, instance: str) -> Service | None:
        return self.said.get(instance)

    async def ask(self, instance: str) -> Service | None:
        self.asked.append(instance)
        return self.said.get(f"asked for {instance}")

    async def close(self, *, goodbye: bool) -> None:
        self.goodbyes.append(goodbye)


class World:
    """A browser, its clock, and the networks of its machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.own: list[OwnAddress] = [HOUSE]
        self.clock = ManualClock()
        SessionDouble.made, SessionDouble.said, SessionDouble.fails, SessionDouble.refuses = [], {}, False, []
        monkeypatch.setattr(service_browser, "Session", SessionDouble)
        monkeypatch.setattr(service_browser, "own_addresses", lambda: tuple(self.own))
        ctx: Any = SimpleNamespace(
            clock=self.clock, log=logging.getLogger("test"), cancel=CancellationToken(), bites=Bites()
        )
        self.mesh: Any = SimpleNamespace(
            listen_endpoints=[Endpoint.tcp("::", 9100)], membership=Membership("open", None, None)
        )
        announcements = Announcements(self.mesh, NodeId(bytes(16)))
        self.sightings = Sightings(self.clock.now, ctx.bites)
        self.browser = ServiceBrowser(ctx, self.mesh, announcements, self.sightings)
        theirs = Announcements(self.mesh, SOMEBODY)
        self.service = Service(9100, ["192.168.1.3"], {**theirs.own(9100, [])})

    async def tend(self, after_s: float = 0.0) -> list[SessionDouble]:
        self.clock.advance(after_s)
        await self.browser.tend()
        return SessionDouble.made

    def appeared(self, instance: str) -> None:
        session: Any = SessionDouble.made[-1]
        self.browser.appeared(session, instance)

    @property
    def seen(self) -> list[NodeId | None]:
        return [one.node_id for one in self.sightings.all()]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.limit("instances waiting to be asked for what they did not say")
def test_only_so_many_instances_wait_to_be_asked(world: World) -> None:
    session: Any = SessionDouble([], world.browser, Bites())
    for number in range(QUESTIONS.value + 100):
        world.browser.appeared(session, f"{number}._pim._tcp.local.")
    assert world.browser._questions.qsize() == QUESTIONS.value


async def test_it_waits_until_the_node_listens_then_opens_once_and_says_everything_once(world: World) -> None:
    world.mesh.listen_endpoints = [Endpoint.tcp("::", 0)]
    assert await world.tend() == []
    world.mesh.listen_endpoints = [Endpoint.tcp("::", 9100)]
    (session,) = await world.tend()
    assert await world.tend(60.0) == [session]
    ((port, addresses, _),) = session.announced
    assert (port, addresses, session.goodbyes) == (9100, [HOUSE], [])
    world.mesh.listen_endpoints = [Endpoint.tcp("::", 9200)]
    await world.tend()
    assert [port for port, _, _ in session.announced] == [9100, 9200]


async def test_other_networks_open_another_session_but_not_too_soon(world: World) -> None:
    (first,) = await world.tend()
    world.own.append(YARD)
    assert await world.tend(REOPEN_S - 1) == [first]
    _, second, third = await world.tend(1)
    assert (list(second.own), list(third.own), first.goodbyes) == ([HOUSE], [YARD], [True])
    assert await world.tend(REOPEN_S) == [first, second, third]


async def test_everything_is_announced_anew_after_50_to_60_minutes(world: World) -> None:
    (session,) = await world.tend()
    for count in (1, 2, 3):
        assert await world.tend(RENEW_S[0] - 1) == [session]
        assert len(session.announced) == count
        await world.tend(RENEW_S[1] - RENEW_S[0] + 1)
        assert len(session.announced) == count + 1
    assert session.goodbyes == []


async def test_each_interface_has_a_session_of_its_own_and_those_left_out_are_named(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.own = [
        OwnAddress(ipaddress.ip_address(f"10.0.{n}.2"), ipaddress.ip_network(f"10.0.{n}.0/24"), f"veth{n}", n)
        for n in range(SESSIONS + 1)
    ]
    SessionDouble.refuses = [world.own[3]]
    sessions = await world.tend()
    assert [list(session.own) for session in sessions] == [[one] for one in world.own[:SESSIONS]]
    for session in sessions:
        ((_, addresses, _),) = session.announced
        assert addresses == session.own
    looking, left_out = (record.getMessage() for record in caplog.records)
    assert looking.count("veth") == SESSIONS - 1
    assert f"not looking for nodes on veth3 (IPv4), veth{SESSIONS} (IPv4): " in left_out


async def test_who_is_not_heard_again_on_a_new_session_goes_when_it_has_settled(world: World) -> None:
    await world.tend()
    SessionDouble.said[INSTANCE] = world.service
    world.appeared(INSTANCE)
    assert world.seen == [SOMEBODY]
    await world.tend(SETTLE_S)
    assert world.seen == [SOMEBODY]
    world.own.append(YARD)
    await world.tend()
    await world.tend(SETTLE_S - 1)
    assert world.seen == [SOMEBODY]
    await world.tend(1)
    assert world.seen == []


async def test_without_a_network_nobody_is_seen_and_that_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.tend()
    SessionDouble.said[INSTANCE] = world.service
    world.appeared(INSTANCE)
    world.own.clear()
    (session,) = await world.tend(REOPEN_S)
    await world.tend(1)
    assert (world.seen, session.goodbyes) == ([], [True])
    assert caplog.text.count("there is no network") == 1
    world.own.append(HOUSE)
    assert len(await world.tend(1)) == 2
    world.own.clear()
    await world.tend(REOPEN_S)
    assert caplog.text.count("there is no network") == 2


async def test_a_network_that_cannot_be_used_is_tried_again_after_a_while(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    SessionDouble.fails = True
    assert len(await world.tend()) == 1
    assert len(await world.tend(RETRY_S - 1)) == 1
    assert "no such device; trying again every 30 s" in caplog.text
    SessionDouble.fails = False
    _, session = await world.tend(1)
    assert len(session.announced) == 1


@pytest.mark.parametrize(("after_s", "flooded"), [(FLOOD_S - 1, True), (FLOOD_S, False)])
async def test_a_session_that_is_worn_out_is_renewed_at_once_unless_it_was_flooded(
    world: World,
    after_s: float,
    flooded: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    (session,) = await world.tend()
    session.is_worn_out = True
    await world.tend(after_s)
    assert session.goodbyes == [False]
    assert ("floods it with announcements" in caplog.text, len(SessionDouble.made)) == (flooded, 1 if flooded else 2)
    assert len(await world.tend(RETRY_S)) == 2


async def test_who_did_not_say_everything_is_asked_and_who_says_nonsense_is_dropped(world: World) -> None:
    (session,) = await world.tend()
    asking = asyncio.create_task(world.browser.ask())  # noqa: TID251 - owned by this test
    SessionDouble.said[f"asked for {INSTANCE}"] = world.service
    world.appeared(INSTANCE)
    world.appeared("silent._pim._tcp.local.")
    while len(session.asked) < 2:
        await asyncio.sleep(0)
    assert (session.asked, world.seen) == ([INSTANCE, "silent._pim._tcp.local."], [SOMEBODY])
    asking.cancel()
    SessionDouble.said[INSTANCE] = Service(9100, ["192.168.1.3"], {})
    world.appeared(INSTANCE)
    assert world.seen == []


async def test_the_end_says_goodbye_once_when_it_is_to(world: World) -> None:
    (session,) = await world.tend()
    await world.browser.close(goodbye=True)
    await world.browser.close(goodbye=True)
    assert session.goodbyes == [True]
