"""From nothing to the first message, and through every kind of death."""

import errno
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pimd.app import _listen_advice
from tests.system.conftest import MakeDaemon, Pair
from tests.system.daemon import Daemon, Failed


def test_a_message_goes_there_and_its_receipts_come_back(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    with alice.socket() as at_alice, bob.socket() as at_bob:
        at_alice.call("messages.subscribe")
        at_bob.call("messages.subscribe")
        sent = alice.call("messages.send", {"peer_node_id": bob.node_id, "body": "grüß dich"})
        assert sent["status"] == "pending"
        received = at_bob.wait_for("message_received")
        assert received["message"]["body"] == "grüß dich"
        assert received["message"]["id"] == sent["id"]
        assert received["conversation"]["is_connected"] is True
        while at_alice.wait_for("message_status")["new_status"] != "delivered":
            pass
        at_bob.call("messages.mark_read", {"peer_node_id": alice.node_id, "up_to_ts_ms": sent["timestamp_ms"]})
        assert at_alice.wait_for("message_status")["new_status"] == "read"


@pytest.mark.system
def test_kill_9_right_after_the_answer_loses_nothing(pair: Pair) -> None:
    alice, bob = pair
    bob_id = bob.node_id
    port = bob.mesh_port
    bob.kill()
    bodies = [f"message {n}" for n in range(20)]
    for body in bodies:
        alice.call("messages.send", {"peer_node_id": bob_id, "body": body})
    alice.kill()
    bob.environ["PIMD_TRANSPORT__LISTEN_PORT"] = str(port)
    bob.start()
    with bob.socket() as at_bob:
        at_bob.call("messages.subscribe")
        alice.start()  # links by itself, and the queue drains
        got = [at_bob.wait_for("message_received")["message"]["body"] for _ in bodies]
    assert sorted(got) == sorted(bodies)


@pytest.mark.system
def test_a_receiver_killed_right_after_it_acknowledged_has_the_message(pair: Pair) -> None:
    alice, bob = pair
    alice_id = alice.node_id
    with alice.socket() as at_alice:
        at_alice.call("messages.subscribe")
        alice.call("messages.send", {"peer_node_id": bob.node_id, "body": "keep this"})
        while at_alice.wait_for("message_status")["new_status"] != "delivered":
            pass
        bob.kill()
    bob.start()
    history = bob.call("messages.history", {"peer_node_id": alice_id})
    assert [message["body"] for message in history["messages"]] == ["keep this"]


def test_inbox_follow_shows_a_message_sent_with_curl_headers(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    follower = subprocess.Popen(
        [sys.executable, "-m", "pimd.cli", "--data-dir", str(bob.data_dir), "--json", "inbox", "--follow"],
        env=bob.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert follower.stdout is not None
        alice.call("messages.send", {"peer_node_id": bob.node_id, "body": "one"})
        alice.call("messages.send", {"peer_node_id": bob.node_id, "body": "two"})
        assert [json.loads(follower.stdout.readline())["body"] for _ in range(2)] == ["one", "two"]
    finally:
        follower.terminate()
        follower.wait()
        assert follower.stdout is not None
        follower.stdout.close()


@pytest.mark.system
def test_sigterm_ends_it_cleanly(pair: Pair) -> None:
    alice, bob = pair
    with bob.socket() as at_bob:
        at_bob.call("peers.subscribe")
        assert alice.kill(signal.SIGTERM) == 0
        assert "shutdown" in at_bob.wait_for("disconnected")["reason"]
    assert not (alice.data_dir / "daemon.json").exists()
    assert not (alice.home / "alice.sock").exists()


@pytest.mark.system
def test_daemon_shutdown_answers_and_then_stops(daemon: MakeDaemon) -> None:
    alice = daemon().start()
    assert alice.call("daemon.shutdown") is None
    assert alice.process is not None
    assert alice.process.wait(timeout=10) == 0
    assert alice.process.stdout is not None
    alice.process.stdout.close()
    alice.process = None


def test_the_banner_says_who_where_and_what_next_in_six_lines(shared_daemon: Daemon) -> None:
    alice = shared_daemon
    who, address, mesh, rpc, data, following = alice.banner
    assert "alice" in who
    assert alice.node_id in who
    assert f":{alice.mesh_port}" in address
    assert mesh == "  its mesh is  open\n"
    assert alice.runtime["unix_socket"] in rpc
    assert alice.runtime["http_url"] in rpc
    assert str(alice.data_dir) in data
    assert f"--data-dir {alice.data_dir} status " in following
    assert f"--data-dir {alice.data_dir} add " in following


def next_command(alice: Daemon) -> str:
    """The first one that the banner names."""
    return alice.banner[-1].removeprefix("  next:  ").partition("   or, ")[0]


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("data/pim", ""),
        ("data/pim", "[rpc]\nunix_enabled = false\n"),
        ("its own place", ""),
        ("its own place", "[rpc]\nunix_enabled = false\n"),
    ],
)
def test_what_the_banner_says_to_type_next_works_in_another_terminal(
    daemon: MakeDaemon, tmp_path: Path, name: str, config: str
) -> None:
    """Where another daemon has the default socket."""
    terminal = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }
    other = daemon("other", **terminal)
    other.environ["PIM_RPC_SOCKET"] = str(tmp_path / "pim.sock")
    other.start()
    (tmp_path / "data").mkdir()
    alice = daemon(name, config, **terminal, PIMD_NODE__NAME="alice").start()
    command = next_command(alice)
    environ = {**terminal, "HOME": str(tmp_path), "PYTHONPATH": alice.environ["PYTHONPATH"]}
    done = subprocess.run(["bash", "-c", command], env=environ, capture_output=True, text=True, check=False)
    assert alice.node_id in done.stdout, (command, done)


@pytest.mark.system
def test_the_banner_of_a_daemon_without_an_rpc_listener_names_no_command_and_its_private_mesh(
    daemon: MakeDaemon,
) -> None:
    config = "[rpc]\nunix_enabled = false\nhttp_enabled = false\n"
    config += '[mesh]\nmode = "private"\nmesh_id = "home"\npassphrase = "correct horse battery"\n'
    alice = daemon(config=config + "kdf = { m_cost_kib = 64, t_cost = 1, p_cost = 1 }\n").start()
    assert re.fullmatch("  its mesh is  private, id home, fingerprint [0-9a-f]{16}\n", alice.banner[2])
    assert "status" not in alice.banner[-1]
    assert "[rpc] unix_enabled = true" in alice.banner[-1]


def test_files_are_private(shared_daemon: Daemon) -> None:
    alice = shared_daemon
    for name in ("node.key", "rpc.token", "peers.db", "lock", "daemon.json", "plugins/messaging/messages.db"):
        assert (alice.data_dir / name).stat().st_mode & 0o777 == 0o600, name
    assert alice.data_dir.stat().st_mode & 0o777 == 0o700
    assert Path(alice.runtime["unix_socket"]).stat().st_mode & 0o777 == 0o660


def test_a_second_daemon_on_the_directory_is_told_the_pid(shared_daemon: Daemon) -> None:
    alice = shared_daemon
    assert alice.process is not None
    second = Daemon(alice.home, "alice", environ={"PIM_RPC_SOCKET": str(alice.home / "other.sock")})
    with pytest.raises(Failed, match=f"process {alice.process.pid}"):
        second.start()
    assert alice.call("daemon.info")["name"] == "alice"


@pytest.mark.system
@pytest.mark.parametrize(
    ("environ", "keys", "unsaid"),
    [
        ({"PIMD_TRANSPORT__LISTEN_HOST": "192.0.2.1"}, "[transport] listen_host", "another pimd"),
        ({"PIMD_RPC__HTTP_HOST": "192.0.2.1", "PIMD_RPC__ALLOW_REMOTE": "true"}, "[rpc] http_host", "another pimd"),
        ({"PIMD_TRANSPORT__LISTEN_PORT": "taken"}, "another pimd may run there; set [transport] listen_port", "_host"),
        ({"PIMD_RPC__HTTP_PORT": "taken"}, "another pimd may run there; set [rpc] http_port", "_host"),
    ],
)
def test_who_cannot_listen_is_told_the_key_to_change(
    daemon: MakeDaemon, environ: dict[str, str], keys: str, unsaid: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        alice = daemon(**{name: value.replace("taken", port) for name, value in environ.items()})
        with pytest.raises(Failed, match=re.escape(keys)) as failed:
            alice.start()
    assert unsaid not in failed.value.stderr


def test_who_may_not_take_a_port_is_told_so() -> None:
    error = PermissionError(errno.EACCES, "Permission denied")  # which root never gets
    assert _listen_advice(error, "::", "host", "port") == "this user may not take that port; set port to one above 1023"


@pytest.mark.system
def test_a_second_daemon_on_the_socket_is_told_the_pid(shared_daemon: Daemon, daemon: MakeDaemon) -> None:
    alice = shared_daemon
    assert alice.process is not None
    bob = daemon("bob", PIM_RPC_SOCKET=alice.environ["PIM_RPC_SOCKET"])
    with pytest.raises(Failed, match=rf"already running \(pid {alice.process.pid}\)"):
        bob.start()
    assert alice.call("daemon.info")["name"] == "alice"


@pytest.mark.system
def test_positional_arguments_name_config_and_pid_file(daemon: MakeDaemon) -> None:
    alice = daemon()
    pid_file = alice.home / "pid"
    process = subprocess.Popen(
        [sys.executable, "-m", "pimd", str(alice.config), str(pid_file)],
        env={**alice.environ, "PIM_DATA_DIR": str(alice.data_dir)},
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    try:
        assert process.stdout is not None
        for _ in range(5):
            assert process.stdout.readline()
        assert pid_file.read_text() == f"{process.pid}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert not pid_file.exists()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.system
def test_they_link_over_ipv6(daemon: MakeDaemon) -> None:
    bob = daemon("bob", PIMD_TRANSPORT__LISTEN_HOST="::1").start()
    alice = daemon("alice").start()
    with alice.socket() as client:
        client.call("peers.subscribe")
        client.call("peers.add_static", {"address": f"[::1]:{bob.mesh_port}"})
        assert client.wait_for("connected")["peer"]["node_id"] == bob.node_id


@pytest.mark.system
def test_one_listener_takes_both_families(daemon: MakeDaemon) -> None:
    bob = daemon("bob", PIMD_TRANSPORT__LISTEN_HOST="::").start()
    for name, host in (("alice", "127.0.0.1"), ("carol", "[::1]")):
        one = daemon(name).start()
        assert one.call("peers.pair", {"trust": "once", "address": f"{host}:{bob.mesh_port}"})["state"] == "active"


@pytest.mark.system
def test_a_blocked_peer_comes_back_by_itself_when_it_is_unblocked(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    bob_id = bob.node_id
    with alice.socket() as client:
        client.call("peers.subscribe")
        client.call("peers.block", {"node_id": bob_id})
        client.wait_for("disconnected")
        assert alice.call("peers.get", {"node_id": bob_id})["blocked"] is True
        client.call("peers.unblock", {"node_id": bob_id})
        client.wait_for("connected")


def test_a_removed_peer_stays_away_until_it_is_paired(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    with alice.socket() as client:
        client.call("peers.subscribe")
        client.call("peers.remove", {"node_id": bob.node_id})
        client.wait_for("disconnected")
        assert "peers" not in alice.config.read_text()
        assert client.call("peers.list") == []
        address = f"127.0.0.1:{bob.mesh_port}"
        row = client.call("peers.pair", {"trust": "persist", "address": address, "label": "bob again"})
        assert (row["state"], row["label"]) == ("active", "bob again")
        assert address in alice.config.read_text()


@pytest.mark.system
def test_a_key_that_others_may_read_stops_the_start(daemon: MakeDaemon) -> None:
    alice = daemon().start()
    node_id = alice.node_id
    alice.kill()
    (alice.data_dir / "node.key").chmod(0o644)
    with pytest.raises(Failed, match=r"node\.key") as failed:
        alice.start()
    assert failed.value.code == 1
    (alice.data_dir / "node.key").chmod(0o600)
    assert alice.start().node_id == node_id


@pytest.mark.system
def test_a_port_that_is_taken_is_told_in_one_line(daemon: MakeDaemon) -> None:
    bob = daemon("bob").start()
    alice = daemon("alice", PIMD_TRANSPORT__LISTEN_PORT=str(bob.mesh_port))
    with pytest.raises(Failed, match=r"set \[transport\] listen_port") as failed:
        alice.start()
    assert len(failed.value.stderr.splitlines()) == 1
    http = bob.runtime["http_url"].split(":")[2].removesuffix("/rpc")
    carol = daemon("carol", PIMD_RPC__HTTP_PORT=http)
    with pytest.raises(Failed, match=r"set \[rpc\] http_port"):
        carol.start()


def of_a_newer_version(alice: Daemon, name: str) -> None:
    alice.start().kill(signal.SIGTERM)
    with closing(sqlite3.connect(alice.data_dir / name)) as connection:
        connection.execute("PRAGMA user_version = 99")


def is_left_alone(alice: Daemon, name: str) -> bool:
    with closing(sqlite3.connect(alice.data_dir / name)) as connection:
        return bool(connection.execute("PRAGMA user_version").fetchone() == (99,))


REQUIRED = '[features]\nrequired = ["messaging"]\n'


@pytest.mark.system
@pytest.mark.parametrize(("name", "config"), [("peers.db", ""), ("plugins/messaging/messages.db", REQUIRED)])
def test_a_database_of_a_newer_version_stops_the_start_and_is_left_alone(
    daemon: MakeDaemon, name: str, config: str
) -> None:
    alice = daemon(config=config)
    of_a_newer_version(alice, name)
    with pytest.raises(Failed, match="newer") as failed:
        alice.start()
    assert failed.value.code == 1
    assert "Traceback" not in failed.value.stderr
    assert is_left_alone(alice, name)


@pytest.mark.system
def test_a_newer_database_of_a_feature_costs_that_feature_only(daemon: MakeDaemon) -> None:
    alice, name = daemon(), "plugins/messaging/messages.db"
    of_a_newer_version(alice, name)
    alice.start()
    rows = {row["name"]: row for row in alice.call("features.list")}
    assert rows["messaging"]["state"] == "failed"
    assert "newer" in rows["messaging"]["reason"]
    assert rows["peers"]["state"] == "running"
    assert is_left_alone(alice, name)


@pytest.mark.system
def test_a_damaged_database_is_moved_aside_and_named(daemon: MakeDaemon) -> None:
    alice = daemon().start()
    alice.kill(signal.SIGTERM)
    path = alice.data_dir / "plugins" / "messaging" / "messages.db"
    path.write_bytes(b"this is no database" * 1000)
    alice.start()
    assert alice.call("messages.list_conversations") == {"conversations": []}
    (aside,) = (other for other in path.parent.iterdir() if other.read_bytes().startswith(b"this is no database"))
    assert aside.name in alice.log.read_text()
