"""What a holder of the token does by mistake costs the daemon little memory, and no time at its end."""

import json
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pimd.limits import MIB
from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.system, pytest.mark.slow]

CONNECTIONS = 60
HELLO = b'{"jsonrpc":"2.0","id":0,"method":"rpc.hello"}\n'
BATCH = json.dumps([{"jsonrpc": "2.0", "id": n, "method": "rpc.discover"} for n in range(100)])
WIDE = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "rpc.methods", "params": ["\U0001f600" + "\u00e9" * 2_090_000]},
    ensure_ascii=False,
)
LONG_ID = json.dumps({"jsonrpc": "2.0", "id": "\u00e9" * 2_000_000, "method": "x"}, ensure_ascii=False)
LONG_NAME = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "peers.list", "params": {"\u00e9" * 2_000_000: 1}}, ensure_ascii=False
)
TREE = '{"jsonrpc":"2.0","id":1,"method":"rpc.methods","params":[' + "[]," * 1_390_000 + "[]]}"
Connect = Callable[[Daemon], socket.socket]


def peak(daemon: Daemon) -> int:
    """The most bytes that the daemon ever had in memory."""
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def unix(daemon: Daemon) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(daemon.runtime["unix_socket"])
    client.sendall(HELLO)
    return client


def tcp(daemon: Daemon) -> socket.socket:
    host, port = daemon.runtime["http_url"].split("/")[2].split(":")
    return socket.create_connection((host, int(port)))


def websocket(daemon: Daemon) -> socket.socket:
    client = tcp(daemon)
    client.sendall(
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {daemon.token}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(1)
    return client


def sent_over(listener: str, daemon: Daemon, message: str) -> bytes:
    body = message.encode()
    if listener == "unix":
        return body + b"\n"
    if listener == "websocket":
        return b"\x81\xff" + len(body).to_bytes(8, "big") + bytes(4) + body
    head = f"POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {daemon.token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


LISTENERS = {"unix": unix, "http": tcp, "websocket": websocket}


@pytest.mark.parametrize("listener", LISTENERS)
def test_unread_batches_of_sixty_connections(daemon: MakeDaemon, listener: str) -> None:
    alice = daemon("alice").start()
    before = peak(alice)
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            client = stack.enter_context(LISTENERS[listener](alice))
            client.sendall(sent_over(listener, alice, BATCH))
        while any(busy_ticks(alice)):
            assert alice.call("daemon.info")["name"] == "alice"
        assert peak(alice) - before < 128 * MIB


def busy_ticks(daemon: Daemon) -> Iterator[bool]:
    """Tell whether the daemon used the processor during each of ten calls of another connection."""
    assert daemon.process is not None
    stat = Path(f"/proc/{daemon.process.pid}/stat")
    for _ in range(10):
        before = int(stat.read_text().split()[13])
        daemon.call("rpc.methods")
        yield int(stat.read_text().split()[13]) - before > 1


@pytest.mark.parametrize("listener", LISTENERS)
def test_trees(daemon: MakeDaemon, listener: str) -> None:
    alice = daemon("alice").start()
    before = peak(alice)
    with ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(LISTENERS[listener](alice))
            client.sendall(sent_over(listener, alice, TREE))
            received = b""
            while b"-32700" not in received:
                received += client.recv(1000)
    assert alice.call("daemon.info")["name"] == "alice"
    assert peak(alice) - before < 128 * MIB


@pytest.mark.parametrize("listener", LISTENERS)
def test_sixty_wide_messages_at_once(daemon: MakeDaemon, listener: str) -> None:
    alice = daemon("alice").start()
    before = peak(alice)
    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as pool:
        clients = [stack.enter_context(LISTENERS[listener](alice)) for _ in range(CONNECTIONS)]
        answers = list(pool.map(lambda client: asked(client, sent_over(listener, alice, WIDE)), clients))
        assert all(b"too many parameters" in answer for answer in answers)  # nobody is refused for want of room
        assert peak(alice) - before < 96 * MIB


def asked(client: socket.socket, message: bytes) -> bytes:
    client.sendall(message)
    received = b""
    while b"-32" not in received or not received.endswith((b"}", b"}\n")):
        received += client.recv(65536) or b"the end"
        assert not received.endswith(b"the end")
    return received


@pytest.mark.parametrize("message", [WIDE, LONG_ID, LONG_NAME], ids=["unfinished", "long id", "long name"])
@pytest.mark.parametrize("listener", LISTENERS)
def test_messages_that_are_not_finished_and_errors_that_are_not_read(
    daemon: MakeDaemon, listener: str, message: str
) -> None:
    alice = daemon("alice").start()
    before = peak(alice)
    whole = sent_over(listener, alice, message) * 3
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            client = stack.enter_context(LISTENERS[listener](alice))
            client.setblocking(False)  # noqa: FBT003
            with suppress(BlockingIOError):
                client.send(whole[:-10] if message is not WIDE else whole[: len(whole) // 3 - 10])
        while any(busy_ticks(alice)):
            assert alice.call("daemon.info")["name"] == "alice"
        assert peak(alice) - before < 96 * MIB


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a feature whose only method takes half a minute."""
    site = tmp_path_factory.mktemp("site")
    info = site / "slow-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pimd.features]\nslow = slow_feature:FEATURE\n")
    (site / "slow_feature.py").write_text(
        """
import asyncio
from pimd.contract import Feature, NoParams, PluginContext, rpc

@rpc("slow.wait")
async def wait(ctx: PluginContext, params: NoParams) -> None:
    \"\"\"Wait.\"\"\"
    await asyncio.sleep(29)

FEATURE = Feature(name="slow", summary="Waits.", namespaces=("slow",), methods=(wait,))
"""
    )
    return site


@pytest.mark.parametrize("then", ["leave", "stay"])
@pytest.mark.parametrize("listener", LISTENERS)
def test_slow_calls_by_the_hundred_do_not_delay_the_stop(
    daemon: MakeDaemon, site: Path, listener: str, then: str
) -> None:
    alice = daemon("alice")
    alice.environ["PYTHONPATH"] += f":{site}"
    alice.start()
    calls = json.dumps([{"jsonrpc": "2.0", "id": n, "method": "slow.wait"} for n in range(100)])
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(LISTENERS[listener](alice))
            client.sendall(sent_over(listener, alice, calls) * 5)
        alice.call("rpc.methods")
        if then == "leave":
            stack.close()
            alice.call("rpc.methods")
        assert alice.process is not None
        alice.process.send_signal(signal.SIGTERM)
        assert alice.process.wait(20) == 0  # one such call takes longer
