"""What the sockets of this program are set to, looked at on live ones."""

import asyncio
import errno
import fcntl
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pimd.addresses import Endpoint
from pimd.contract import DialError
from pimd.net.network import system_network
from pimd.net.sockets import BACKLOG, UNSENT_LIMIT, ServerListener, tcp_listeners, without_delay
from pimd.net.transport import Transport
from pimd.net.transports.tcp import TcpTransport
from pimd.net.transports.unix import UnixTransport
from tests.net.test_transports import LARGE, PATIENCE_S, End, Ground

SIOCOUTQNSD = 0x894B
"""Asks for the bytes of a TCP socket that were not sent (linux/sockios.h)."""
MAX_BACKLOG_AT = 28
"""Where `struct tcp_info` of a listening socket has its backlog (tcpi_sacked)."""


def option(stream: asyncio.BaseTransport, level: int, name: int) -> int:
    return int(stream.get_extra_info("socket").getsockopt(level, name))


def listening(ground: Ground) -> Any:
    [server] = cast("ServerListener", ground.listeners[0])._servers
    [bound] = server.sockets
    return bound


def backlog(bound: Any) -> int:
    info = bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
    return int(struct.unpack_from("I", info, MAX_BACKLOG_AT)[0])


def filled(path: Path) -> list[socket.socket]:
    """Connect as often as nobody need accept."""
    waiting: list[socket.socket] = []
    while True:
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)  # noqa: FBT003 - positional only
        try:
            one.connect(str(path))
        except BlockingIOError:
            one.close()
            return waiting
        waiting.append(one)


@pytest.fixture
async def make_ground() -> AsyncIterator[Callable[[Transport, Endpoint], Ground]]:
    made: list[Ground] = []

    def make(transport: Transport, where: Endpoint) -> Ground:
        made.append(Ground(transport, transport, where, where))
        return made[-1]

    yield make
    for ground in made:
        await ground.close()


MakeGround = Callable[[Transport, Endpoint], Ground]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
async def test_both_ends_of_a_link_send_at_once_keep_little_in_the_kernel_and_have_no_keepalive(
    make_ground: MakeGround, host: str
) -> None:
    ends = await make_ground(TcpTransport(), Endpoint.tcp(host, 0)).open()
    for end in ends:
        assert option(end.stream, socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert option(end.stream, socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_LIMIT
        assert option(end.stream, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


@pytest.mark.parametrize("dialler_writes", [True, False])
async def test_what_a_peer_does_not_take_waits_with_us_and_not_in_the_kernel(
    make_ground: MakeGround,
    dialler_writes: bool,  # noqa: FBT001
) -> None:
    near, far = await make_ground(TcpTransport(), Endpoint.tcp("127.0.0.1", 0)).open()
    writer, reader = (near, far) if dialler_writes else (far, near)
    reader.stream.pause_reading()
    part = 64 * 1024
    while not writer.is_paused:
        writer.stream.write(LARGE[:part])
        await asyncio.sleep(0)
    answer = fcntl.ioctl(writer.stream.get_extra_info("socket").fileno(), SIOCOUTQNSD, bytes(4))
    assert 0 < struct.unpack("i", answer)[0] <= UNSENT_LIMIT + part


async def test_a_unix_socket_keeps_little_in_the_kernel(make_ground: MakeGround, tmp_path: Path) -> None:
    ends = await make_ground(UnixTransport(), Endpoint.parse(f"unix:{tmp_path}/s")).open()
    for writer, reader in (ends, ends[::-1]):
        reader.stream.pause_reading()
        writer.stream.write(LARGE)
        assert 0 < len(LARGE) - writer.stream.get_write_buffer_size() <= UNSENT_LIMIT


@pytest.mark.parametrize(("host", "v6_only"), [("::", 0), ("::1", 1)])
async def test_a_listener_of_ipv6_takes_ipv4_only_where_that_was_asked_for(
    make_ground: MakeGround, host: str, v6_only: int
) -> None:
    ground = make_ground(TcpTransport(), Endpoint.tcp(host, 0))
    await ground.listen()
    assert listening(ground).getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == v6_only


async def test_who_comes_by_ipv4_to_a_socket_of_both_families_is_at_an_ipv4_address(make_ground: MakeGround) -> None:
    ground = make_ground(TcpTransport(), Endpoint.tcp("::", 0))
    listener = await ground.listen()
    near = await ground.dial(Endpoint.tcp("127.0.0.1", listener.endpoint.port))
    far = await ground.accepted.get()
    await far.made.wait()
    assert ground.there.remote(far.stream) == Endpoint.tcp(*near.stream.get_extra_info("sockname"))
    assert ground.there.source(far.stream) == "127.0.0.1"


def test_localhost_is_bound_in_each_family_at_one_port() -> None:
    bound = tcp_listeners("localhost", 0, without_delay)
    addresses = {one.getsockname()[0] for one in bound}
    ports = {one.getsockname()[1] for one in bound}
    for one in bound:
        one.close()
    assert "127.0.0.1" in addresses
    assert len(ports) == 1


def test_when_one_of_several_cannot_be_bound_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        found = [(socket.AF_INET, 0, 0, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with pytest.raises(OSError, match=f"in use .127.0.0.2:{port}"):
            tcp_listeners("both.example", port, without_delay)
        socket.create_server(("127.0.0.1", port)).close()


def test_an_address_that_the_machine_lacks_counts_when_it_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, 0, 0, "", ("192.0.2.1", 0)), (socket.AF_INET, 0, 0, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    [bound] = tcp_listeners("some.example", 0, without_delay)
    assert bound.getsockname()[0] == "127.0.0.1"
    bound.close()
    del found[1]
    with pytest.raises(OSError, match=r"192\.0\.2\.1:0"):
        tcp_listeners("some.example", 0, without_delay)


async def test_so_many_connections_wait_to_be_accepted(make_ground: MakeGround) -> None:
    ground = make_ground(TcpTransport(), Endpoint.tcp("127.0.0.1", 0))
    await ground.listen()
    assert backlog(listening(ground)) == BACKLOG


async def test_a_dial_waits_while_the_backlog_of_a_unix_socket_is_full(make_ground: MakeGround, tmp_path: Path) -> None:
    ground = make_ground(UnixTransport(), Endpoint.parse(f"unix:{tmp_path}/s"))
    await ground.listen()
    waiting = filled(tmp_path / "s")
    assert len(waiting) == BACKLOG + 1  # Linux takes one more
    near = await ground.dial(ground.where)
    near.stream.write(b"in the end")
    async with asyncio.timeout(PATIENCE_S):
        while not any(end.data == b"in the end" for end in ground.ends):
            await asyncio.sleep(0)
    for one in waiting:
        one.close()


async def test_a_unix_socket_that_stays_full_is_given_up_in_time(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as waiting:
        full.bind(str(path))
        full.listen(0)
        waiting.connect(str(path))
        transport, where = UnixTransport(), Endpoint.parse(f"unix:{path}")
        with pytest.raises(TimeoutError) as refused:
            await transport.dial(where, End, 0.1)
        assert "within 0.1 s; is the pimd there" in transport.dial_failure(where, refused.value, 0.1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fe80::a]:9100", "fe80::a is a link-local address: add the interface, such as [fe80::a%eth0]:9100"),
        ("[fe80::a%nowhere0]:9100", "this machine has no interface nowhere0 now"),
    ],
)
async def test_a_link_local_address_that_cannot_be_dialled_says_what_is_missing(text: str, words: str) -> None:
    where = Endpoint.parse(text)
    with pytest.raises(DialError) as refused:
        await system_network().dial(where, asyncio.Protocol, PATIENCE_S)
    assert str(refused.value).startswith(f"cannot connect to {text}: {words}")


def test_a_socket_of_others_says_who_may_dial() -> None:
    where = Endpoint.parse("unix:/run/s")
    text = UnixTransport().dial_failure(where, PermissionError(errno.EACCES, "Permission denied"), 3.0)
    assert text.startswith(
        "cannot connect to unix:/run/s: permission denied; the user of this pimd must own the socket"
    )


@pytest.mark.parametrize("scheme", ["tcp", "unix"])
async def test_a_hook_gets_each_socket_before_it_connects_and_as_it_is_accepted(
    make_ground: MakeGround, tmp_path: Path, scheme: str
) -> None:
    seen: list[tuple[socket.socket, bool]] = []

    def hook(connection: socket.socket) -> None:
        seen.append((connection, _is_connected(connection)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)

    if scheme == "tcp":
        ground = make_ground(TcpTransport(hook), Endpoint.tcp("127.0.0.1", 0))
    else:
        ground = make_ground(UnixTransport(hook), Endpoint.parse(f"unix:{tmp_path}/s"))
    ends = await ground.open()
    assert [connected for _, connected in seen] == [False, True]
    assert [option(end.stream, socket.SOL_SOCKET, socket.SO_PRIORITY) for end in ends] == [5, 5]


def _is_connected(connection: socket.socket) -> bool:
    try:
        connection.getpeername()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("error", [OSError("the other end is gone"), ValueError("a bug")])
async def test_a_socket_that_cannot_be_prepared_costs_nobody_else(make_ground: MakeGround, error: Exception) -> None:
    calls = [0]
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    def hook(connection: socket.socket) -> None:
        calls[0] += 1
        if calls[0] == 2:  # the accepting side of the first
            raise error

    ground = make_ground(TcpTransport(hook), Endpoint.tcp("127.0.0.1", 0))
    listener = await ground.listen()
    first = await ground.dial(listener.endpoint)
    await first.until(lambda: first.is_lost)
    near, far = await ground.open()
    near.stream.write(b"next")
    await far.until(lambda: far.data == b"next")
    assert len(told) == isinstance(error, ValueError)
