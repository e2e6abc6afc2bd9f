"""A link over a rate is not read for a while: nothing is dropped, TCP pushes back, and others go on."""

import asyncio

import pytest

from pimd.clock import ManualClock
from pimd.ids import NodeId
from pimd.limits import Rate
from pimd.net import link_rates
from pimd.proto.cards import issue
from pimd.proto.frames import (
    Frame,
    Heartbeat,
    MeshData,
    PeerInfoRequest,
    Ping,
    PluginPayload,
    RouteEntry,
    Routes,
    SignedPeerInfo,
    encode_frame,
)
from tests.limits import Lower
from tests.mesh.test_driver import ALICE, BOB, Opened, open_link

BURST = 10
CARD = issue(ALICE, 1, 0, "alice").raw
ENTRY = RouteEntry(ALICE.node_id, 1, 0)
KINDS: dict[str, tuple[Rate, bytes]] = {
    "ping": (link_rates.CONTROL, encode_frame(Ping(1))),
    "heartbeat": (link_rates.CONTROL, encode_frame(Heartbeat(1))),
    "unknown frame": (link_rates.CONTROL, b"\x99"),
    "unknown control frame": (link_rates.CONTROL, b"\x05\x99"),
    "unsigned card": (link_rates.CONTROL, b"\x05\x07" + bytes(33)),
    "routes": (link_rates.ENTRIES, encode_frame(Routes((ENTRY,), first=False, last=False))),
    "cards": (link_rates.CARDS_READ, encode_frame(SignedPeerInfo((CARD,)))),
    "request": (link_rates.IDS_ANSWERED, encode_frame(PeerInfoRequest((NodeId(bytes(16)),)))),
    "payload": (link_rates.PAYLOADS_READ, encode_frame(PluginPayload("k", b""))),
}


def bring(opened: Opened, plaintext: bytes, count: int) -> None:
    """The records come in one piece."""
    writer = opened.link._writer
    assert writer is not None
    opened.driver.data_received(b"".join(writer.write(plaintext) for _ in range(count)))


async def eventually_turned(opened: Opened) -> None:
    """Let the kernel tell of what the other end did."""
    for _ in range(20):
        await asyncio.sleep(0.001)
        if opened.owner.ends:
            return


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.limit(
    "frames of a link other than data",
    "route entries taken from a link",
    "cards taken from a link",
    "ids that a link asks for",
    "direct payloads taken from a link",
)
async def test_every_kind_of_frame_has_a_rate_and_none_is_lost(lower: Lower) -> None:
    for kind, (rate, plaintext) in KINDS.items():
        lower(rate, rate.value, burst=BURST)
        await over_its_rate(rate, plaintext)
        lower(rate, rate.value, burst=2000)
        print(kind, "was taken in time")  # noqa: T201 - shown when the next kind fails


async def over_its_rate(rate: Rate, plaintext: bytes) -> None:
    clock = ManualClock()
    async with open_link(clock) as opened:
        opened.driver.accept()
        link, transport = opened.driver.link, opened.driver._transport
        assert transport is not None
        bring(opened, plaintext, 3 * BURST)
        await turns()
        assert link.records_in == BURST + 1
        assert not transport.is_reading()
        for _ in range(2 * BURST):
            clock.advance(1 / rate.value)
            await turns()
        assert link.records_in == 3 * BURST
        clock.advance(1)
        await turns()
        assert transport.is_reading()
        assert opened.owner.ends == []


async def test_data_has_no_rate(lower: Lower) -> None:
    for rate in {rate for rate, _ in KINDS.values()}:
        lower(rate, rate.value, burst=0)
    frame: Frame = MeshData(ALICE.node_id, BOB.node_id, 0x20, b"")
    async with open_link(ManualClock()) as opened:
        opened.driver.accept()
        bring(opened, encode_frame(frame), 500)
        await turns()
        assert len(opened.owner.frames) == 500


async def test_a_link_that_rests_still_sends_ends_and_is_heard(lower: Lower) -> None:
    lower(link_rates.CONTROL, 1, burst=1)
    clock = ManualClock()
    async with open_link(clock) as opened:
        opened.driver.accept()
        bring(opened, encode_frame(Ping(7)), 5)
        await turns()
        sent = opened.driver.link.records_out
        clock.advance(5.0)  # a heartbeat of ours is due, while two of its pings are still to be read
        await turns()
        assert opened.driver.link.records_out > sent
        opened.writer.transport.abort()
        for _ in range(10):  # while it rests the end of the stream is not read either
            clock.advance(1)
            await eventually_turned(opened)
        assert opened.driver.link.records_in == 5
        assert len(opened.owner.ends) == 1
        clock.advance(60)  # no timer of the ended link does anything
        await turns()
        assert len(opened.owner.ends) == 1
