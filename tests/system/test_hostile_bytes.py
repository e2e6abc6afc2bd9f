"""Bytes of all kinds against the mesh port and the three RPC listeners: no crash, no growth, no traceback."""

import base64
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.system.daemon import Daemon
from tests.system.foreign_link import ForeignLink

CORPUS = json.loads((Path(__file__).parent / "hostile_corpus.json").read_text())
GROWTH_LIMIT = 16 * 2**20
EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
METHODS = st.sampled_from(
    [
        "rpc.hello",
        "status",
        "peers.list",
        "peers.get",
        "peers.forget",
        "messages.send",
        "messages.history",
        "logs.subscribe",
    ]
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2]),
        "id": JSONISH,
        "method": METHODS | st.text(max_size=20) | JSONISH,
        "params": JSONISH
        | st.fixed_dictionaries(
            {}, optional={"node_id": JSONISH, "peer_node_id": JSONISH, "body": JSONISH, "limit": JSONISH}
        ),
    },
)
MESSAGES = st.one_of(REQUESTS, st.lists(REQUESTS, max_size=4), JSONISH).map(lambda value: json.dumps(value).encode())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all of it; what must hold at the end is asserted after the last test."""
    daemon = Daemon(tmp_path_factory.mktemp("target"), "target").start()
    exchange_all(daemon)  # caches and lazily imported modules are in place before memory is measured
    before = daemon.memory
    yield daemon
    assert daemon.call("daemon.info")["name"] == "target"
    assert daemon.memory - before < GROWTH_LIMIT
    log = daemon.log.read_text()
    assert "Traceback" not in log
    assert "is a bug" not in log
    assert daemon.token not in log
    daemon.kill()


def exchange_all(daemon: Daemon) -> None:
    for data in map(bytes.fromhex, CORPUS["mesh"]):
        throw(mesh(daemon), data)
    for data in map(bytes.fromhex, CORPUS["lines"]):
        throw(unix(daemon), data)
    for data in map(bytes.fromhex, CORPUS["http"]):
        throw(http(daemon), data)


def mesh(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.mesh_port), timeout=20)


def unix(daemon: Daemon) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(daemon.runtime["unix_socket"])
    return connection


def http(daemon: Daemon) -> socket.socket:
    url = urlsplit(daemon.runtime["http_url"])
    return socket.create_connection((url.hostname, url.port), timeout=20)


def throw(connection: socket.socket, data: bytes) -> bytes:
    """Send, say that no more comes, and return all that is answered until the other end closes."""
    answer = b""
    with connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass
    return answer


def first_answer(connection: socket.socket, data: bytes) -> bytes:
    """Send and return what comes first, then hang up; an HTTP client that half-closes is not answered."""
    with connection:
        connection.sendall(data)
        return connection.recv(65536)


@pytest.mark.parametrize("listener", [mesh, unix, http])
@EXAMPLES
@given(data=st.binary(max_size=2000))
def test_any_bytes(target: Daemon, listener: Callable[[Daemon], socket.socket], data: bytes) -> None:
    throw(listener(target), data)
    assert target.is_running


@EXAMPLES
@given(data=st.binary(max_size=300), cipher=st.sampled_from([b"\x02", b"\x12"]))
def test_any_bytes_after_a_good_start_on_the_mesh_port(target: Daemon, data: bytes, cipher: bytes) -> None:
    start = b"PIM" + cipher + struct.pack(">H", 32) + os.urandom(32)
    throw(mesh(target), start + data)
    assert target.is_running


@EXAMPLES
@given(
    plaintexts=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5), kind=st.sampled_from([2, 4, 5, 7])
)
def test_any_frames_of_an_authenticated_stranger(target: Daemon, plaintexts: list[bytes], kind: int) -> None:
    link = ForeignLink(target.mesh_port, seed=5)
    link.open()
    link.record()
    try:
        for plaintext in plaintexts:
            link.send(bytes(link.noise.encrypt(bytes([kind]) + plaintext)))
    except (BrokenPipeError, ConnectionResetError):
        pass
    link.close()
    assert target.is_running


@EXAMPLES
@given(
    messages=st.lists(MESSAGES, min_size=1, max_size=4),
    hello=st.sampled_from([[], [b'{"jsonrpc": "2.0", "method": "rpc.hello"}']]),
)
def test_any_json_on_the_unix_socket_is_answered_by_json(
    target: Daemon, messages: list[bytes], hello: list[bytes]
) -> None:
    answer = throw(unix(target), b"\n".join([*hello, *messages, b""]))
    for line in answer.splitlines():
        assert json.loads(line)


@EXAMPLES
@given(message=MESSAGES)
def test_any_json_over_http_is_answered_by_json(target: Daemon, message: bytes) -> None:
    status, body = target.post(message)
    assert status in (200, 204)
    assert status == 204 or json.loads(body)


@EXAMPLES
@given(frames=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=200)), min_size=1, max_size=4))
def test_any_frames_on_the_websocket(target: Daemon, frames: list[tuple[int, bytes]]) -> None:
    key = base64.b64encode(bytes(16)).decode()
    upgrade = (
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Authorization: Bearer {target.token}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()
    masked = b"".join(bytes([first, 0x80 | min(len(body), 125)]) + bytes(4) + body[:125] for first, body in frames)
    assert first_answer(http(target), upgrade + masked).startswith(b"HTTP/1.1 101")


def test_a_line_without_an_end_is_cut(target: Daemon) -> None:
    answer = throw(unix(target), b"x" * (4 * 2**20 + 2))
    assert json.loads(answer)["error"]["code"] == -32600


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(target: Daemon) -> None:
    head = (
        f"POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {target.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {2**40}\r\n\r\n"
    )
    assert first_answer(http(target), head.encode()).startswith(b"HTTP/1.1 413")
