"""Two whole daemons of one host that link over a Unix socket."""

import socket
import stat
from pathlib import Path

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon, Failed
from tests.system.test_pim import checked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shared" / "mesh.sock"


def listening(daemon: MakeDaemon, path: Path) -> Daemon:
    return daemon("bob", f'[transport]\nlisten_unix = "{path}"\n')


@pytest.mark.system
def test_two_daemons_exchange_messages_over_a_unix_socket_also_after_a_restart(daemon: MakeDaemon, path: Path) -> None:
    bob = listening(daemon, path).start()
    assert bob.banner[1].strip().endswith(f"and unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    alice = daemon("alice", f'[[peers]]\nmechanism = "tcp"\naddress = "unix:{path}"\n')
    with bob.socket() as client:
        client.call("peers.subscribe")
        alice.start()
        client.wait_for("connected")
    [row] = alice.call("peers.list")
    assert (row["transport"], row["endpoint"], row["state"]) == ("tcp", f"unix:{path}", "active")
    [entry] = alice.call("peers.configured")
    assert (entry["address"], entry["endpoint"], entry["config_entry_id"]) == (f"unix:{path}",) * 3
    for one, other in ((alice, bob), (bob, alice)):
        with other.socket() as client:
            client.call("messages.subscribe")
            one.call("messages.send", {"peer_node_id": other.node_id, "body": f"from {one.name}"})
            assert client.wait_for("message_received")["message"]["body"] == f"from {one.name}"
    with alice.socket() as client:
        client.call("peers.subscribe")
        bob.kill(15)
        assert not path.exists()
        client.wait_for("disconnected")
        bob.start()
        client.wait_for("connected")


@pytest.mark.system
def test_a_path_is_added_paired_and_removed_like_any_address(daemon: MakeDaemon, path: Path) -> None:
    bob, alice = listening(daemon, path).start(), daemon("alice").start()
    where = f"unix:{path}"
    row = alice.call("peers.pair", {"trust": "persist", "address": where})
    assert (row["node_id"], row["endpoint"]) == (bob.node_id, where)
    assert f'mechanism = "tcp"\naddress = "{where}"' in alice.config.read_text()
    assert alice.ask("peers.add_static", {"address": where})["error"]["code"] == -32011
    assert where in alice.pim("remove", where).stdout
    assert "peers" not in alice.config.read_text()
    done = alice.pim("add", where)
    assert (done.returncode, where in done.stdout) == (0, True)
    assert where in alice.config.read_text()
    assert alice.ask("peers.add_static", {"address": "unix:mesh.sock"})["error"]["code"] == -32012


@pytest.mark.system
def test_a_socket_left_behind_is_replaced_and_one_that_answers_is_not(daemon: MakeDaemon, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    bob = listening(daemon, path).start()
    carol = daemon("carol", f'[transport]\nlisten_unix = "{path}"\n')
    assert bob.process is not None
    with pytest.raises(
        Failed, match=rf"already running \(pid {bob.process.pid}\); stop it, or set another \[transport\]"
    ) as failed:
        carol.start()
    assert failed.value.code == 1
    assert path.exists()


@pytest.mark.system
@pytest.mark.parametrize(("name", "why"), [("x" * 120, "at most 107 bytes"), ("a\\tb", "printable")])
def test_a_path_that_no_socket_can_have_is_found_before_the_start(daemon: MakeDaemon, name: str, why: str) -> None:
    alice = daemon(config=f'[transport]\nlisten_unix = "/{name}"\n')
    with pytest.raises(Failed, match=why):
        alice.start()
    done = checked(alice)
    assert (done.returncode, done.stdout) == (2, "")
    assert "alice.toml:2: transport.listen_unix: " in done.stderr
