"""A foreign Noise implementation opens links with a running daemon; what is wrong is refused."""

import struct
import time
from collections.abc import Iterator

import pytest

from pimd.assembly.log_rate_limit import LINES
from pimd.proto.mesh_secret import derive
from tests.system.daemon import Daemon
from tests.system.foreign_link import ForeignLink

PASSPHRASE = "correct horse battery staple"
PRIVATE = (
    f'[mesh]\nmode = "private"\npassphrase = "{PASSPHRASE}"\nkdf = {{ m_cost_kib = 64, t_cost = 1, p_cost = 1 }}\n'
)
PSK = derive(PASSPHRASE, None, 64, 1, 1).handshake_key
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]


@pytest.fixture(scope="module")
def open_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("open"), "open").start()
    yield daemon
    assert "Traceback" not in daemon.log.read_text()
    daemon.kill()


@pytest.fixture(scope="module")
def private_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("private"), "private", PRIVATE).start()
    yield daemon
    assert "Traceback" not in daemon.log.read_text()
    assert PASSPHRASE not in daemon.log.read_text()
    daemon.kill()


@pytest.mark.parametrize("cipher", ["ChaChaPoly", "AESGCM"])
def test_the_handshake_completes_with_an_open_node(open_node: Daemon, cipher: str) -> None:
    link = ForeignLink(open_node.mesh_port, cipher=cipher, seed=1)
    proof = link.open()
    assert proof[:32] in link.record()  # its card comes at once, with the key it proved
    assert link.node_id in [peer["node_id"] for peer in open_node.call("peers.list")]
    link.close()


@pytest.mark.parametrize("cipher", ["ChaChaPoly", "AESGCM"])
def test_the_handshake_completes_with_a_private_node(private_node: Daemon, cipher: str) -> None:
    link = ForeignLink(private_node.mesh_port, psk=PSK, cipher=cipher, seed=2)
    proof = link.open()
    assert proof[:32] in link.record()  # its card comes at once, with the key it proved
    link.close()


@pytest.mark.parametrize("psk", [None, bytes(32)])
def test_a_stranger_learns_nothing_of_a_private_node(private_node: Daemon, psk: bytes | None) -> None:
    link = ForeignLink(private_node.mesh_port, psk=psk, seed=3)
    with pytest.raises(ConnectionError):
        link.open()
    assert link.until_closed() == b""
    link.close()


def test_a_member_of_a_private_mesh_gets_nothing_of_an_open_node(open_node: Daemon) -> None:
    link = ForeignLink(open_node.mesh_port, psk=PSK, seed=3)
    with pytest.raises(ConnectionError):
        link.open()
    link.close()


@pytest.mark.parametrize("preamble", [b"PIM\x01", b"PIM\x03", b"GET ", b"\0\0\0\0", b"pim\x02"])
def test_a_wrong_preamble_is_answered_by_nothing(open_node: Daemon, preamble: bytes) -> None:
    link = ForeignLink(open_node.mesh_port)
    link.socket.sendall(preamble)
    assert link.until_closed() == b""
    link.close()


def test_a_payload_in_the_first_message_is_refused(open_node: Daemon) -> None:
    link = ForeignLink(open_node.mesh_port)
    with pytest.raises(ConnectionError):
        link.open(first_payload=b"hello")
    link.close()


@pytest.mark.parametrize("low", LOW_ORDER)
def test_a_low_order_ephemeral_key_is_refused(open_node: Daemon, low: bytes) -> None:
    link = ForeignLink(open_node.mesh_port)
    link.socket.sendall(link.preamble)
    link.send(low)
    assert link.until_closed() == b""
    link.close()


@pytest.mark.parametrize("length", [0, 1, 31, 1025, 65535])
def test_a_first_message_of_a_wrong_size_is_refused(open_node: Daemon, length: int) -> None:
    link = ForeignLink(open_node.mesh_port)
    link.socket.sendall(link.preamble + struct.pack(">H", length) + bytes(min(length, 100)))
    assert link.until_closed() == b""  # a length beyond the limit is refused before the message is there
    link.close()


def test_wrong_proofs_are_refused_and_leave_no_trace(open_node: Daemon) -> None:
    good = ForeignLink(open_node.mesh_port, seed=9)
    other = ForeignLink(open_node.mesh_port, seed=10)
    proof, foreign_proof = good.proof(), other.proof()
    good.close()
    other.close()
    wrong = [
        b"",
        proof[:-1],
        proof[:32] + bytes(64),
        bytes([proof[0] ^ 1]) + proof[1:],
        proof[:40] + bytes([proof[40] ^ 1]) + proof[41:],
        proof + b"\x01",  # a TLV that overruns
        bytes(96),
        foreign_proof,  # signs another static key
    ]
    for bad in wrong:
        link = ForeignLink(open_node.mesh_port, seed=9)
        link.open(proof=bad)
        link.until_closed()
        link.close()
    assert good.node_id not in [peer["node_id"] for peer in open_node.call("peers.list", {"all": True})]


def test_a_truncated_handshake_is_let_go(open_node: Daemon) -> None:
    link = ForeignLink(open_node.mesh_port)
    link.socket.sendall(link.preamble + struct.pack(">H", 32) + bytes(10))
    link.socket.shutdown(1)
    assert link.until_closed() == b""
    link.close()


def test_garbage_after_the_handshake_ends_that_link_and_nothing_else(open_node: Daemon) -> None:
    link = ForeignLink(open_node.mesh_port, seed=11)
    link.open()
    link.record()
    link.send(bytes(100))
    link.until_closed()
    link.close()
    assert open_node.call("daemon.info")["name"] == "open"


def test_a_stranger_who_comes_and_goes_does_not_make_it_log_without_end(open_node: Daemon) -> None:
    began = time.monotonic()
    for _ in range(LINES.burst + 20):
        link = ForeignLink(open_node.mesh_port, seed=12)
        link.open()
        link.record()
        link.close()
    assert open_node.call("daemon.info")["name"] == "open"
    more = 1 + int((time.monotonic() - began) * LINES.value / LINES.period_s)
    assert open_node.log.read_text().count("linked with") <= LINES.burst + more
