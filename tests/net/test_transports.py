"""What every transport does alike: TCP over both families, Unix sockets, and that of the lab."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from pimd.addresses import Endpoint
from pimd.lab.network import HostTransport, Internet
from pimd.net.transport import Listener, Transport
from pimd.net.transports.tcp import TcpTransport
from pimd.net.transports.unix import UnixTransport
from pimd.net.unix_socket import SocketInUse

PATIENCE_S = 20.0
LARGE = bytes(range(256)) * 32 * 1024
"""8 MiB."""
MANY = 100


class End(asyncio.Protocol):
    """One end of a stream, which keeps what comes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.made = asyncio.Event()
        self.changed = asyncio.Event()
        self.has_ended = False
        self.is_lost = False
        self.is_paused = False
        self.stays_after_end = False

    @property
    def stream(self) -> asyncio.Transport:
        return self._stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._stream = cast("asyncio.Transport", transport)
        self.made.set()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.changed.set()

    def eof_received(self) -> bool:
        self.has_ended = True
        self.changed.set()
        return self.stays_after_end

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.changed.set()

    def pause_writing(self) -> None:
        self.is_paused = True
        self.changed.set()

    def resume_writing(self) -> None:
        self.is_paused = False
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Ground:
    """A transport at both ends, where to listen, and where nobody does."""

    here: Transport
    there: Transport
    where: Endpoint
    nowhere: Endpoint
    accepted: asyncio.Queue[End] = field(default_factory=asyncio.Queue)
    listeners: list[Listener] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)

    def _made(self) -> End:
        self.ends.append(End())
        return self.ends[-1]

    def accept(self) -> End:
        self.accepted.put_nowait(self._made())
        return self.ends[-1]

    async def listen(self) -> Listener:
        self.listeners.append(await self.there.listen(self.where, self.accept))
        return self.listeners[-1]

    async def dial(self, endpoint: Endpoint) -> End:
        end = self._made()
        await self.here.dial(endpoint, lambda: end, PATIENCE_S)
        return end

    async def open(self) -> tuple[End, End]:
        """Return the end that dialled, and the one that accepted."""
        listener = self.listeners[0] if self.listeners else await self.listen()
        near = await self.dial(listener.endpoint)
        async with asyncio.timeout(PATIENCE_S):
            far = await self.accepted.get()
            await far.made.wait()
        return near, far

    async def close(self) -> None:
        for listener in self.listeners:
            listener.close()
        for end in self.ends:
            if end.made.is_set():
                end.stream.abort()
        for end in self.ends:
            await end.until(lambda end=end: end.is_lost or not end.made.is_set())  # type: ignore[misc]


def _tcp(host: str) -> Ground:
    transport = TcpTransport()
    return Ground(transport, transport, Endpoint.tcp(host, 0), Endpoint.tcp(host, 1))


def _unix(directory: Path) -> Ground:
    transport = UnixTransport()
    where, nowhere = (Endpoint.parse(f"unix:{directory / name}") for name in ("s", "none"))
    return Ground(transport, transport, where, nowhere)


def _lab() -> Ground:
    internet = Internet()
    one, other = internet.host(1), internet.host(2)
    internet.connect(one, other, (0.001, 0.002))
    return Ground(HostTransport(one), HostTransport(other), other.endpoint(9100), other.endpoint(1))


@pytest.fixture(params=["tcp4", "tcp6", "unix", "lab"])
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    makers: dict[str, Callable[[], Ground]] = {
        "tcp4": lambda: _tcp("127.0.0.1"),
        "tcp6": lambda: _tcp("::1"),
        "unix": lambda: _unix(tmp_path),
        "lab": _lab,
    }
    made = makers[request.param]()
    yield made
    await made.close()


async def test_what_either_end_writes_arrives_in_order_and_both_know_where_the_other_is(ground: Ground) -> None:
    near, far = await ground.open()
    for part in (b"there", b"and", b"then"):
        near.stream.write(part)
        far.stream.write(part[::-1])
    await far.until(lambda: far.data == b"thereandthen")
    await near.until(lambda: near.data == b"erehtdnaneht")
    assert ground.here.remote(near.stream) == ground.listeners[0].endpoint
    assert ground.there.remote(far.stream).scheme == ground.where.scheme


async def test_two_streams_of_one_machine_or_user_are_of_one_source(ground: Ground) -> None:
    (_, one), (_, other) = await ground.open(), await ground.open()
    assert ground.there.source(one.stream) == ground.there.source(other.stream) != ""


async def test_a_port_or_path_that_is_bound_is_said_and_can_be_dialled(ground: Ground) -> None:
    listener = await ground.listen()
    assert listener.endpoint == Endpoint.parse(str(listener.endpoint))
    assert (await ground.dial(listener.endpoint)).made.is_set()


async def test_where_nobody_listens_a_dial_is_refused_in_words_that_name_it(ground: Ground) -> None:
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)) as refused:
        await ground.dial(ground.nowhere)
    assert not ground.ends[0].made.is_set()
    text = ground.here.dial_failure(ground.nowhere, refused.value, 3.0)
    assert ground.nowhere.text in text
    assert "does pimd run there" in text


async def test_what_cannot_be_bound_is_named(ground: Ground) -> None:
    bound = (await ground.listen()).endpoint
    with pytest.raises((OSError, SocketInUse)) as refused:
        await ground.there.listen(bound, ground.accept)
    assert bound.address in str(refused.value)


async def test_a_listener_that_is_closed_takes_nobody_and_leaves_what_it_took(ground: Ground) -> None:
    near, far = await ground.open()
    listener = ground.listeners[0]
    listener.close()
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        await ground.dial(listener.endpoint)
    near.stream.write(b"still here")
    await far.until(lambda: far.data == b"still here")
    again = await ground.there.listen(listener.endpoint, ground.accept)
    ground.listeners.append(again)
    assert (await ground.dial(again.endpoint)).made.is_set()


@pytest.mark.parametrize("dialler_ends", [True, False])
async def test_an_end_that_has_said_all_still_hears_the_other(ground: Ground, dialler_ends: bool) -> None:  # noqa: FBT001
    near, far = await ground.open()
    first, second = (near, far) if dialler_ends else (far, near)
    first.stays_after_end = second.stays_after_end = True
    first.stream.write(b"all")
    first.stream.write_eof()
    await second.until(lambda: second.has_ended)
    assert second.data == b"all"
    second.stream.write(b"answer")
    second.stream.write_eof()
    await first.until(lambda: first.has_ended)
    assert first.data == b"answer"


@pytest.mark.parametrize("dialler_writes", [True, False])
async def test_a_reader_that_pauses_pauses_the_writer_and_loses_nothing(ground: Ground, dialler_writes: bool) -> None:  # noqa: FBT001
    near, far = await ground.open()
    writer, reader = (near, far) if dialler_writes else (far, near)
    writer.stream.set_write_buffer_limits(high=64 * 1024)
    reader.stream.pause_reading()
    written = 0
    while not writer.is_paused:
        assert written < 256 * 2**20
        writer.stream.write(LARGE[: 64 * 1024])
        written += 64 * 1024
        await asyncio.sleep(0)
    assert len(reader.data) < written
    assert writer.stream.get_write_buffer_size() > 0
    reader.stream.resume_reading()
    await reader.until(lambda: len(reader.data) == written)
    await writer.until(lambda: not writer.is_paused)


@pytest.mark.parametrize("dialler_aborts", [True, False])
async def test_an_end_that_aborts_is_the_end_of_the_other(ground: Ground, dialler_aborts: bool) -> None:  # noqa: FBT001
    near, far = await ground.open()
    first, second = (near, far) if dialler_aborts else (far, near)
    first.stream.abort()
    await second.until(lambda: second.is_lost)
    await first.until(lambda: first.is_lost)


async def test_an_abort_while_much_waits_ends_the_other_all_the_same(ground: Ground) -> None:
    near, far = await ground.open()
    near.stream.write(LARGE)
    near.stream.abort()
    await far.until(lambda: far.is_lost)


@pytest.mark.parametrize("dialler_writes", [True, False])
async def test_much_in_one_go_arrives_whole(ground: Ground, dialler_writes: bool) -> None:  # noqa: FBT001
    near, far = await ground.open()
    writer, reader = (near, far) if dialler_writes else (far, near)
    reader.stays_after_end = True
    writer.stream.write(LARGE)
    writer.stream.write_eof()
    await reader.until(lambda: reader.has_ended)
    assert hashlib.sha256(reader.data).digest() == hashlib.sha256(LARGE).digest()


async def test_many_at_once_are_all_taken_and_kept_apart(ground: Ground) -> None:
    listener = await ground.listen()
    async with asyncio.TaskGroup() as group:
        dials = [group.create_task(ground.dial(listener.endpoint)) for _ in range(MANY)]
    for number, dial in enumerate(dials):
        dial.result().stream.write(number.to_bytes())
    fars = []
    for _ in range(MANY):
        async with asyncio.timeout(PATIENCE_S):
            fars.append(await ground.accepted.get())
    for far in fars:
        await far.until(lambda far=far: far.data != b"")  # type: ignore[misc]
        far.stream.write(far.data)
    for number, dial in enumerate(dials):
        end = dial.result()
        await end.until(lambda end=end: end.data != b"")  # type: ignore[misc]
        assert end.data == number.to_bytes()
