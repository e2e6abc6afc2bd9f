"""A session on the loopback interface, and what one packet can do to it."""

import ipaddress
import struct
from collections.abc import AsyncIterator

import pytest
from zeroconf import DNSIncoming  # type: ignore[attr-defined] # it is, though not by name
from zeroconf.asyncio import AsyncServiceInfo

from pimd.limits import Bites
from pimd_features.discovery.announcement import SERVICE_TYPE, TEXT
from pimd_features.discovery.mdns import POINTER, POINTERS, Session
from pimd_features.discovery.networks import OwnAddress
from tests.limits import Lower

LOOPBACK = OwnAddress(ipaddress.ip_address("127.0.0.1"), ipaddress.ip_network("127.0.0.0/8"), "lo", 1)


class Heard:
    """Notes the instances that gave a sign of life."""

    def __init__(self) -> None:
        self.instances: list[str] = []

    def appeared(self, session: Session, instance: str) -> None:
        pass

    def heard(self, instance: str) -> None:
        self.instances.append(instance)

    def vanished(self, instance: str) -> None:
        pass


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def session(heard: Heard) -> AsyncIterator[Session]:
    made = Session([LOOPBACK], heard, Bites())
    await made.listen()
    yield made
    await made.close(goodbye=False)


def announcing(*labels: bytes) -> DNSIncoming:
    service = b"\x04_pim\x04_tcp\x05local\x00"
    packet = struct.pack(">HHHHHH", 0, 0x8400, 0, len(labels), 0, 0)
    for label in labels:
        data = bytes([len(label)]) + label + service
        packet += service + struct.pack(">HHIH", POINTER, 1, 4500, len(data)) + data
    return DNSIncoming(packet)


async def test_a_name_that_cannot_be_written_again_is_not_kept(session: Session, heard: Heard) -> None:
    zeroconf = session._zeroconf.zeroconf
    zeroconf.record_manager.async_updates_from_response(announcing(b"good", b"\xff" * 40, b"fine"))
    kept = [record.alias for record in zeroconf.cache.get_all_by_details(SERVICE_TYPE, POINTER, 1)]  # type: ignore[attr-defined]
    assert sorted(kept) == sorted(heard.instances) == [f"fine.{SERVICE_TYPE}", f"good.{SERVICE_TYPE}"]


@pytest.mark.limit("announcements heard on one session")
async def test_a_session_that_heard_too_much_is_worn_out(session: Session, lower: Lower) -> None:
    lower(POINTERS, 3)
    for label in (b"one", b"two", b"three"):
        session._zeroconf.zeroconf.record_manager.async_updates_from_response(announcing(label))
        assert not session.is_worn_out
    session._zeroconf.zeroconf.record_manager.async_updates_from_response(announcing(b"four"))
    assert session.is_worn_out


@pytest.mark.limit("text of an announcement on the local network")
async def test_an_announcement_that_says_too_much_is_passed_over(session: Session) -> None:
    def said(size: int) -> AsyncServiceInfo:
        half = size // 2  # each item has a length in front, a key of one byte, and a `=`
        properties = {b"a": bytes(half - 3), b"b": bytes(size - half - 3)}
        return AsyncServiceInfo(SERVICE_TYPE, f"x.{SERVICE_TYPE}", 9100, properties=properties)

    assert session._service(said(TEXT.value)) is not None
    assert session._service(said(TEXT.value + 1)) is None


async def test_every_announcement_has_names_of_its_own_and_the_names_before_are_withdrawn(session: Session) -> None:
    zeroconf = session._zeroconf.zeroconf
    said = []
    for _ in range(2):
        await session.announce(9100, [LOOPBACK], {b"id": b"x"})
        (info,) = zeroconf.registry.async_get_service_infos()
        said.append((info.name, info.server))
    assert len({*said[0], *said[1]}) == 4
    assert session.joined() == [LOOPBACK]
