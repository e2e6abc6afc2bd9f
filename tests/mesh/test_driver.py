"""What one socket can make its driver hold: bytes nobody took apart, and bytes nobody reads."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from pimd.addresses import Endpoint
from pimd.clock import Clock, ManualClock, SystemClock
from pimd.limits import Bites
from pimd.net.driver import READ_AT_ONCE, UNREAD, WRITE_BUFFER, LinkDriver
from pimd.net.transports.tcp import TcpTransport
from pimd.net.turns import Turns
from pimd.proto.frames import Frame, GoodbyeReason, Heartbeat, MeshData, PluginPayload, encode_frame
from pimd.proto.handshake import LinkConfig, LinkPeer
from pimd.proto.identity import Identity
from pimd.proto.link import Link, Role
from pimd.proto.link_events import Authenticated, Leaving
from pimd.proto.link_states import PREAMBLE_S
from pimd.proto.traffic import TrafficClass
from tests.limits import Lower
from tests.mesh.test_node import eventually

ALICE, BOB = (Identity.from_seed(bytes([n]) * 32) for n in (1, 2))


class SlowOwner:
    """An owner that decides late, which real ones do not."""

    def __init__(self) -> None:
        self.proven = asyncio.Event()
        self.frames: list[Frame] = []
        self.ends: list[str] = []

    def connected(self, driver: LinkDriver) -> None:
        pass

    def authenticated(self, driver: LinkDriver, peer: LinkPeer) -> None:
        self.proven.set()

    def up(self, driver: LinkDriver) -> None:
        driver.deliver = self.frames.append

    def writable(self, driver: LinkDriver, classes: list[TrafficClass]) -> None:
        pass

    def goodbye(self, driver: LinkDriver, reason: GoodbyeReason) -> None:
        pass

    def leaving(self, driver: LinkDriver, detail: str) -> None:
        pass

    def closed(self, driver: LinkDriver, detail: str) -> None:
        self.ends.append(detail)


class Opened:
    """A driver that accepted, and the other end as bare streams after the handshake."""

    def __init__(
        self,
        owner: SlowOwner,
        driver: LinkDriver,
        link: Link,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.owner = owner
        self.driver = driver
        self.link = link
        self.reader = reader
        self.writer = writer

    async def write(self, frame: Frame) -> None:
        assert self.link._writer is not None
        self.writer.write(self.link._writer.write(encode_frame(frame)))
        await self.writer.drain()


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_link(SystemClock()) as opened:
        yield opened


@contextlib.asynccontextmanager
async def open_link(clock: Clock) -> AsyncIterator[Opened]:
    owner, made, transport = SlowOwner(), list[LinkDriver](), TcpTransport()

    def accept() -> LinkDriver:
        def link(now: float) -> Link:
            return Link(Role.ACCEPTOR, BOB, LinkConfig(), os.urandom, now)

        made.append(LinkDriver(link, owner, clock, Turns(clock.now, Bites()), transport, dialled=False))
        return made[-1]

    listener = await transport.listen(Endpoint.tcp("127.0.0.1", 0), accept)
    reader, writer = await asyncio.open_connection(listener.endpoint.host, listener.endpoint.port)
    link = Link(Role.DIALLER, ALICE, LinkConfig(), os.urandom, 0.0)
    writer.write(link.data_to_send(0.0))
    while not isinstance(link.next_event(), Authenticated):
        link.receive(await reader.read(4096), 0.0)
    link.accept(0.0)
    writer.write(link.data_to_send(0.0))
    await asyncio.wait_for(owner.proven.wait(), 10)
    try:
        yield Opened(owner, made[0], link, reader, writer)
    finally:
        made[0].abort()
        writer.close()
        listener.close()


async def test_who_connects_and_says_nothing_is_hung_up_on_in_time() -> None:
    owner, clock, made, transport = SlowOwner(), ManualClock(), list[LinkDriver](), TcpTransport()

    def accept() -> LinkDriver:
        def link(now: float) -> Link:
            return Link(Role.ACCEPTOR, BOB, LinkConfig(), os.urandom, now)

        made.append(LinkDriver(link, owner, clock, Turns(clock.now, Bites()), transport, dialled=False))
        return made[-1]

    listener = await transport.listen(Endpoint.tcp("127.0.0.1", 0), accept)
    reader, writer = await asyncio.open_connection(listener.endpoint.host, listener.endpoint.port)
    await eventually(lambda: made != [] and made[0]._transport is not None)
    clock.advance(PREAMBLE_S - 0.1)
    assert owner.ends == []
    clock.advance(0.1)
    assert len(owner.ends) == 1
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    listener.close()


@pytest.mark.limit("bytes of a link that were read and not taken apart")
async def test_bytes_that_nobody_takes_apart_are_not_read_beyond_a_limit_and_none_is_lost(opened: Opened) -> None:
    frames = [PluginPayload("test.n", number.to_bytes(50_000)) for number in range(400)]
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_send_all(opened, frames))
        await eventually(lambda: opened.driver._reading is False)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not sending.done()  # TCP pushes back
        assert UNREAD.value < opened.driver.link.unread <= UNREAD.value + READ_AT_ONCE.value
        opened.driver.accept()
        await eventually(lambda: len(opened.owner.frames) == len(frames))
    assert opened.owner.frames == frames
    assert opened.driver.link.unread == 0


async def _send_all(opened: Opened, frames: list[PluginPayload]) -> None:
    for frame in frames:
        await opened.write(frame)


async def test_a_link_takes_apart_what_it_reads_and_keeps_no_more_than_part_of_a_record(opened: Opened) -> None:
    opened.driver.accept()
    frames = [PluginPayload("test.n", number.to_bytes(50_000)) for number in range(100)]
    await _send_all(opened, frames)
    await eventually(lambda: len(opened.owner.frames) == len(frames))
    assert opened.driver.link.unread == len(opened.driver.link._incoming._buffer) == 0


@pytest.mark.limit("bytes read of one socket at once")
async def test_however_much_a_peer_sends_others_have_their_turn_soon(opened: Opened, lower: Lower) -> None:
    lower(READ_AT_ONCE, 10_000)
    opened.driver.accept()
    frame = PluginPayload("test.n", bytes(1000))
    assert opened.link._writer is not None
    opened.writer.write(b"".join(opened.link._writer.write(encode_frame(frame)) for _ in range(400)))
    at_once = before = 0
    while len(opened.owner.frames) < 400:
        await asyncio.sleep(0)  # one turn of the event loop
        at_once = max(at_once, len(opened.owner.frames) - before)
        before = len(opened.owner.frames)
    assert 0 < at_once <= READ_AT_ONCE.value // 1000


async def test_a_peer_that_does_not_read_keeps_neither_the_link_nor_the_socket(opened: Opened) -> None:
    opened.driver.accept()
    while opened.driver._writable:
        opened.driver.send(MeshData(BOB.node_id, ALICE.node_id, 0x60, bytes(60_000)))
        await asyncio.sleep(0)  # one turn of the event loop
    transport = opened.driver._transport
    assert transport is not None
    assert transport.get_write_buffer_size() <= WRITE_BUFFER + 2**16 + 100
    opened.driver.close(GoodbyeReason.SHUTDOWN)
    await eventually(lambda: opened.owner.ends != [])
    await eventually(lambda: opened.driver._transport is None)
    assert transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("how", ["says that no more comes", "resets the connection"])
async def test_a_peer_that_leaves_without_a_word_is_noticed_while_time_stands_still(how: str) -> None:
    async with open_link(ManualClock()) as opened:
        opened.driver.accept()
        if how == "says that no more comes":
            opened.writer.write_eof()
        else:
            own: socket.socket = opened.writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            opened.writer.transport.abort()
        await eventually(lambda: opened.owner.ends != [])
        await eventually(lambda: opened.driver._transport is None)
        assert [end.startswith("connection lost") for end in opened.owner.ends] == [True]


async def test_the_last_bytes_of_a_link_still_arrive_at_a_peer_that_reads(opened: Opened) -> None:
    opened.driver.accept()
    while opened.driver._writable:
        opened.driver.send(MeshData(BOB.node_id, ALICE.node_id, 0x60, bytes(60_000)))
        await asyncio.sleep(0)  # one turn of the event loop
    sent = opened.driver.link.records_out
    opened.driver.close(GoodbyeReason.SHUTDOWN)
    received = b""
    while part := await asyncio.wait_for(opened.reader.read(2**16), 10):
        received += part
    opened.link.receive(received, 0.0)
    assert isinstance(list(iter(opened.link.next_event, None))[-1], Leaving)
    assert opened.link.records_in == sent + 1  # and the Goodbye


async def test_what_came_before_a_reset_is_taken_though_the_link_waited_for_its_turn(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Turns, "is_over", lambda _: True)
    monkeypatch.setattr(Turns, "wait", lambda *_: None)
    opened.driver.accept()
    frame = PluginPayload("test.n", bytes(100))
    assert opened.link._writer is not None
    data = b"".join(opened.link._writer.write(encode_frame(frame)) for _ in range(100))
    opened.driver.data_received(data)
    opened.driver.abort()
    await eventually(lambda: opened.driver._transport is None)
    assert len(opened.owner.frames) == 1  # the reset brings no turn
    assert opened.owner.ends == []
    for _ in range(99):
        opened.driver.work()
    assert len(opened.owner.frames) == 100
    opened.driver.work()
    assert len(opened.owner.ends) == 1


async def test_a_reset_ends_the_rest_of_a_link_over_its_rate(opened: Opened) -> None:
    opened.driver.accept()
    opened.driver._rest(3600.0)
    assert opened.link._writer is not None
    opened.driver.data_received(opened.link._writer.write(encode_frame(PluginPayload("test.n", b""))))
    assert opened.owner.frames == []
    opened.driver.abort()
    await eventually(lambda: len(opened.owner.ends) == 1)
    assert len(opened.owner.frames) == 1


async def test_records_of_no_interest_cost_a_link_its_turn_as_others_do(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.driver.accept()
    monkeypatch.setattr(Turns, "is_over", lambda _: True)
    assert opened.link._writer is not None
    before = opened.driver.link.records_in
    data = b"".join(opened.link._writer.write(encode_frame(Heartbeat(0))) for _ in range(200))
    opened.driver.data_received(data)
    assert opened.driver.link.records_in == before + 1
    await eventually(lambda: opened.driver.link.records_in == before + 200)


async def test_an_owner_that_fails_after_the_end_of_the_stream_still_hears_of_it(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(frame: Frame) -> None:
        raise ZeroDivisionError(frame)

    opened.driver.accept()
    frame = PluginPayload("test.n", b"")
    await opened.write(frame)
    await eventually(lambda: opened.owner.frames == [frame])
    monkeypatch.setattr(Turns, "may_begin", lambda _: False)
    monkeypatch.setattr(Turns, "wait", lambda *_: None)  # its turn does not come before the end
    assert opened.link._writer is not None
    opened.driver.data_received(b"".join(opened.link._writer.write(encode_frame(frame)) for _ in range(2)))
    opened.driver.deliver = fail
    opened.driver.abort()
    await eventually(lambda: opened.driver._transport is None)
    opened.driver.work()
    assert len(opened.owner.ends) == 1
