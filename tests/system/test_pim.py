"""`pim` as a user types it, against running daemons."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import IO

import pytest

from tests.system.conftest import MakeDaemon, Pair
from tests.system.daemon import Daemon, Failed


def test_commands_for_people_and_for_programs(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    bob_id = bob.node_id
    for command, words in (
        (["status"], [alice.node_id, "open mesh", "1 of 1 peer reachable, 1 route\n", bob_id, '"bob"']),
        (["peers"], [bob_id, "active"]),
        (["routes"], [bob_id, '"bob"', bob_id[:8]]),
        (["trace", "bob"], ['1    "bob"', bob_id, "itself", " ms"]),
        (["discover"], ["discovery is off ([discovery] enabled = false)"]),
        (["mesh", "status"], ["mode", "open"]),
        (["features"], ["messaging", "running", "built-in"]),
        (["call", "rpc.methods"], ["messages.send"]),
        (["send", "bob", "hello"], [bob_id]),
        (["send", bob_id[:8], "-"], [bob_id]),
        (["inbox"], ["bob"]),
        (["inbox", "bob"], ["me: hello", "me: from a pipe"]),
    ):
        done = alice.pim(*command, stdin="from a pipe\n")
        assert (done.returncode, done.stderr) == (0, ""), done
        for word in words:
            assert word in done.stdout, (command, done.stdout)
        as_json = alice.pim("--json", *command, stdin="from a pipe\n")
        json.loads(as_json.stdout)


def test_reading_marks_read_unless_told_not_to(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    with bob.socket() as client:
        client.call("messages.subscribe")
        alice.call("messages.send", {"peer_node_id": bob.node_id, "body": "x\x1b[31m\u202e"})
        client.wait_for("message_received")
    assert "x\\x1b[31m\\u202e" in bob.pim("inbox", "alice", "--keep-unread").stdout
    assert json.loads(bob.pim("inbox", "--json").stdout)[0]["unread_count"] == 1
    bob.pim("inbox", "alice")
    assert json.loads(bob.pim("inbox", "--json").stdout)[0]["unread_count"] == 0


def test_what_add_kept_is_listed_before_it_is_reached_and_remove_undoes_it(shared_daemon: Daemon) -> None:
    alice = shared_daemon
    assert "`pim peers` shows it" in alice.pim("add", "127.0.0.1:1", "--label", "nas").stdout
    for command in ("peers", "status"):
        listed = alice.pim(command).stdout.splitlines()[-1].split(maxsplit=2)
        assert listed[:2] == ["127.0.0.1:1", "nas"]
    assert alice.pim("remove", "nas").stdout == "no longer configured, dialled or linked: 127.0.0.1:1\n"
    assert "nobody yet" in alice.pim("peers").stdout
    assert "[[peers]]" not in alice.config.read_text()
    again = alice.pim("remove", "nas")
    assert (again.returncode, "nobody here is called 'nas'" in again.stderr) == (1, True)


@pytest.mark.system
def test_an_address_without_its_interface_is_kept_with_what_is_missing_and_stops_no_start(
    daemon: MakeDaemon,
) -> None:
    where = "[fe80::a]:9100"
    alice = daemon("alice", f'[[peers]]\nmechanism = "tcp"\naddress = "{where}"\n').start()
    missing = "fe80::a is a link-local address: add the interface, such as [fe80::a%eth0]:9100"
    while not (rows := alice.call("peers.configured"))[0]["last_error"]:
        pass
    assert missing in rows[0]["last_error"]
    assert missing in alice.log.read_text()
    assert missing in alice.pim("peers").stdout
    other = alice.pim("add", "[fe80::b]:9100")
    assert (other.returncode, other.stderr) == (0, "")
    assert missing.replace("::a", "::b") in other.stdout
    assert alice.call("peers.add_static", {"address": "[fe80::b%eth0]:9100"})["warning"] is None


@pytest.mark.system
def test_a_listening_address_without_its_interface_says_what_is_missing(daemon: MakeDaemon) -> None:
    with pytest.raises(Failed, match=r"set \[transport\] listen_host to the address with its interface"):
        daemon("alice", PIMD_TRANSPORT__LISTEN_HOST="fe80::a").start()


def test_a_peer_is_removed_by_its_name(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    done = alice.pim("remove", "bob")
    assert done.stdout == f"no longer configured, dialled or linked: 127.0.0.1:{bob.mesh_port}\n"
    assert alice.call("peers.configured") == []


def test_sending_says_whether_there_is_a_way(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    bob_id = bob.node_id
    assert alice.pim("send", "bob", "hello").stdout.startswith(f"on its way to {bob_id} (message ")
    alice.pim("remove", "bob")
    done = alice.pim("send", "bob", "hello")
    assert done.stdout.startswith("waits here; no way to bob now, it goes out when there is one (message "), done


def test_the_node_itself_is_nobody_to_write_to_or_to_forget(shared_daemon: Daemon) -> None:
    alice = shared_daemon
    for command in (["send", "alice", "hello"], ["send", alice.node_id, "hello"], ["forget", "alice"]):
        done = alice.pim(*command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "node_id: this is the node itself (error -32602)" in done.stderr


def test_labels_and_forgetting(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    bob_id = bob.node_id
    alice.call("peers.label", {"node_id": bob_id, "label": "Bobby"})
    alice.pim("send", "Bobby", "hello")
    done = alice.pim("forget", "Bobby", "--delete-messages")
    assert f"{bob_id} is forgotten; 1 message deleted" in done.stdout
    assert alice.pim("send", "Bobby", "hello").returncode == 1


def test_exit_codes_and_what_they_say(daemon: MakeDaemon, tmp_path: Path) -> None:
    alice = daemon().start()
    for code, arguments, words in (
        (1, ["send", "nobody", "x"], "nobody here is called 'nobody'"),
        (1, ["call", "no.such"], "-32601"),
        (1, ["add", "a:b:c"], "-32012"),
        (1, ["trace", "ab" * 16], "-32010"),
        (1, ["pair", "nobody"], "nobody nearby is called 'nobody'"),
        (1, ["pair", "127.0.0.1:1"], "-32012"),
        (2, ["mesh"], "required"),
        (2, ["nonsense"], "invalid choice"),
        (2, [], "required"),
        (2, ["call", "status", "{"], "not JSON"),
        (2, ["call", "status", "3"], "object or array"),
        (3, ["--socket", str(tmp_path / "none"), "status"], "start one with `pimd`"),
        (3, ["--url", "http://127.0.0.1:1/rpc", "status"], "start one with `pimd`"),
        (
            3,
            ["--token-file", str(tmp_path / "none"), "--url", "http://127.0.0.1:1/rpc", "status"],
            "token cannot be read",
        ),
    ):
        done = alice.pim(*arguments)
        assert done.returncode == code, (arguments, done)
        assert words in done.stderr, (arguments, done)
        assert "Traceback" not in done.stderr
        as_json = alice.pim(*arguments, "--json")
        error = json.loads(as_json.stdout)["error"]
        assert (as_json.returncode, as_json.stderr) == (done.returncode, done.stderr)
        assert error["message"] in done.stderr
        assert error["code"] == code or f"(error {error['code']})" in done.stderr
    alice.kill(signal.SIGTERM)
    gone = alice.pim("status")
    assert (gone.returncode, gone.stdout) == (3, "")
    assert f"no daemon runs on {alice.data_dir}" in gone.stderr


@pytest.fixture
def by_default(daemon: MakeDaemon, tmp_path: Path) -> Daemon:
    """A daemon that plain `pim` finds."""
    alice = daemon(XDG_RUNTIME_DIR=str(tmp_path))
    del alice.environ["PIM_RPC_SOCKET"]
    alice.start()
    assert alice.node_id in alice.pim_anywhere("status").stdout
    return alice


def assert_no_daemon_on(data_dir: Path, alice: Daemon) -> None:
    by_flag = alice.pim_anywhere("--data-dir", str(data_dir), "status")
    by_environment = alice.pim_anywhere("status", PIM_DATA_DIR=str(data_dir))
    for done in (by_flag, by_environment):
        assert (done.returncode, done.stdout) == (3, ""), done
        assert f"no daemon runs on {data_dir}; start one with `pimd`" in done.stderr


@pytest.mark.system
def test_a_data_directory_means_its_own_daemon_and_no_other(by_default: Daemon, tmp_path: Path) -> None:
    assert_no_daemon_on(tmp_path / "none", by_default)
    other = tmp_path / "other"
    other.mkdir()
    (other / "rpc.token").write_text("0" * 64)
    for left_behind in (
        {},
        {"unix_socket": None, "http_url": "http://127.0.0.1:1/rpc"},
        # The RPC listeners of the daemon that was killed there are another's by now.
        {"unix_socket": by_default.runtime["unix_socket"], "http_url": None},
        {"unix_socket": None, "http_url": by_default.runtime["http_url"]},
    ):
        (other / "daemon.json").write_text(json.dumps(left_behind))
        assert_no_daemon_on(other, by_default)


@pytest.mark.system
def test_whoever_has_the_port_of_a_killed_daemon_does_not_get_its_token(by_default: Daemon, tmp_path: Path) -> None:
    asked: list[str] = []

    class Impostor(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers["Authorization"])
            self.send_error(400)

    with HTTPServer(("127.0.0.1", 0), Impostor) as server, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(server.serve_forever)
        (tmp_path / "rpc.token").write_text("0" * 64)
        (tmp_path / "lock").touch()
        left_behind = {"unix_socket": None, "http_url": f"http://127.0.0.1:{server.server_port}/rpc"}
        (tmp_path / "daemon.json").write_text(json.dumps(left_behind))
        assert_no_daemon_on(tmp_path, by_default)
        server.shutdown()
        serving.result()
    assert asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.system
def test_a_directory_that_may_not_be_read_is_not_taken_for_one_without_a_daemon(daemon: MakeDaemon) -> None:
    alice = daemon().start()
    (alice.data_dir / "daemon.json").chmod(0)
    done = alice.pim("status")
    assert done.returncode == 3
    assert f"{alice.data_dir / 'daemon.json'}: cannot be read: Permission denied; run pim as" in done.stderr


def test_a_socket_of_the_environment_counts_beside_its_data_directory(shared_daemon: Daemon, tmp_path: Path) -> None:
    alice = shared_daemon
    assert alice.node_id in alice.pim_anywhere("status", PIM_DATA_DIR=str(tmp_path / "none")).stdout
    assert alice.node_id in alice.pim_anywhere("status", PIM_DATA_DIR=str(alice.data_dir), PIM_RPC_SOCKET="").stdout


@pytest.mark.system
def test_it_finds_the_token_and_the_http_door_by_itself(daemon: MakeDaemon) -> None:
    alice = daemon(config="[rpc]\nunix_enabled = false\n").start()
    assert alice.node_id in alice.pim("status").stdout
    follow = alice.pim("inbox", "--follow")
    assert follow.returncode == 3
    assert "Unix socket" in follow.stderr


@pytest.mark.system
def test_it_finds_a_socket_that_the_configuration_moved(daemon: MakeDaemon, tmp_path: Path) -> None:
    alice = daemon(config=f'[rpc]\nunix_socket = "{tmp_path}/moved/pim.sock"\n')
    del alice.environ["PIM_RPC_SOCKET"]
    alice.start()
    assert alice.node_id in alice.pim("status").stdout


@contextmanager
def running_pim(at: Daemon, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the client until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pimd.cli", "--data-dir", str(at.data_dir), *arguments],
        env=at.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background lets them ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def next_line(of: IO[str] | None) -> str:
    assert of is not None
    return of.readline()


@pytest.mark.system
def test_following_survives_a_restart_of_the_daemon(pair: Pair) -> None:
    alice, bob = pair
    bob.environ["PIMD_TRANSPORT__LISTEN_PORT"] = str(bob.mesh_port)
    bob_id = bob.node_id
    with (
        running_pim(bob, "--json", "inbox", "--follow") as follower,
        running_pim(bob, "watch", "status") as watcher,
    ):
        alice.call("messages.send", {"peer_node_id": bob_id, "body": "before"})
        assert json.loads(next_line(follower.stdout))["body"] == "before"
        assert json.loads(next_line(watcher.stdout))["kind"] == "role_changed"
        bob.call("route.set_split_default", {"on": True})
        assert json.loads(next_line(watcher.stdout))["kind"] == "route_on"
        bob.kill()
        for process in (follower, watcher):
            assert "waiting for it to come back" in next_line(process.stderr)
        alice.call("messages.send", {"peer_node_id": bob_id, "body": "meanwhile"})
        bob.start()
        assert bob.call("status")["route_on"] is True
        assert json.loads(next_line(follower.stdout))["body"] == "meanwhile"
        assert "started anew" in next_line(watcher.stderr)
        event = json.loads(next_line(watcher.stdout))
        assert (event["kind"], event["seq"]) == ("role_changed", 1)
        for process in (follower, watcher):
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130


@pytest.mark.system
def test_what_cannot_be_watched_is_said(shared_daemon: Daemon) -> None:
    alice = shared_daemon
    unknown = alice.pim("watch", "nothing")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "messages.event" in unknown.stderr
    assert alice.pim("watch", "logs", "[]").returncode == 2
    assert "min_level" in alice.pim("watch", "logs", '{"min_level": 1}').stderr
    for on in (True, False):  # which is logged
        alice.call("route.set_split_default", {"on": on})
    with running_pim(alice, "watch", "logs.event", '{"min_level": "info"}') as watcher:
        assert json.loads(next_line(watcher.stdout))["level"] in ("info", "warn", "error")


@pytest.mark.system
def test_a_reader_that_had_enough_is_no_error(shared_daemon: Daemon) -> None:
    alice = shared_daemon
    command = f"{sys.executable} -m pimd.cli --data-dir {alice.data_dir} call rpc.discover | head -c 10"
    done = subprocess.run(["bash", "-c", command], env=alice.environ, capture_output=True, text=True, check=False)
    assert (len(done.stdout), done.stderr) == (10, "")


def test_version_and_help_need_no_daemon(tmp_path: Path) -> None:
    for argument in ("--version", "--help"):
        done = subprocess.run(
            [sys.executable, "-m", "pimd.cli", argument],
            env={**os.environ, "HOME": str(tmp_path), "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_client_imports_nothing_of_the_daemon() -> None:
    script = "import sys; import pimd.cli; print([m for m in sys.modules if m.startswith('pimd.') or m == 'aiohttp'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    low = ("pimd.cli", "pimd.paths", "pimd.characters", "pimd.local_time", "pimd.standard_streams", "pimd.terminal")
    assert not [name for name in eval(done.stdout) if not name.startswith(low)]  # noqa: S307


@pytest.mark.system
@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ("", 0, "good"),
        ('[transport]\nlisten_port = "x"\n[relay]\nenabled = 1\n', 2, "transport.listen_port"),
        *(
            pytest.param(*case, marks=pytest.mark.system)
            for case in (
                ("[node\n", 2, "not TOML"),
                ('[features]\ndisabled = ["peers"]\n', 2, "status -> peers"),
                ("[features.messaging]\naccept = 1\n", 2, "features.messaging.accept"),
                ('[node]\n[features]\nenabled = ["messagin"]\n', 2, "alice.toml:3: features.enabled: "),
                (
                    '[features]\ndisabled = ["peers"]\n',
                    2,
                    "features.status: feature status would fail: status -> peers",
                ),
                ("[features.messaging]\naccept = 1\n", 2, "alice.toml:2: features.messaging.accept: Input should"),
                (
                    '[mesh]\nmode = "private"\npassphrase_file = "/nope"\n',
                    2,
                    "alice.toml:3: mesh.passphrase_file: /nope: the passphrase file cannot be read: No such file or directory; set",
                ),
                (
                    '[mesh]\nmode = "private"\npassphrase_file = "/dev/null"\n',
                    2,
                    "file is empty; it must be the passphrase",
                ),
                ("[transport]\nlisten_prot = 1\n", 0, "did you mean transport.listen_port"),
            )
        ),
    ],
)
def test_check_config(daemon: MakeDaemon, config: str, code: int, words: str) -> None:
    alice = daemon(config=config)
    done = checked(alice)
    assert done.returncode == code, done
    assert words in done.stdout + done.stderr
    assert not alice.data_dir.exists()


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deadbeef", "node.name: 'deadbeef' reads as a node id"),
        ("bob\u3164", "node.name: 'bob\\u3164' holds letters that are not seen"),
    ],
)
def test_a_name_that_nobody_can_use_is_warned_about(daemon: MakeDaemon, name: str, words: str) -> None:
    assert words in checked(daemon(PIMD_NODE__NAME=name)).stderr


@pytest.mark.system
def test_check_config_measures_the_path_of_the_socket(daemon: MakeDaemon) -> None:
    alice = daemon(config=f'[rpc]\nunix_socket = "/{"s" * 107}"\n')
    del alice.environ["PIM_RPC_SOCKET"]
    done = checked(alice)
    assert (done.returncode, done.stdout) == (2, "")
    assert "alice.toml:2: rpc.unix_socket: /sss" in done.stderr
    alice.config.write_text("[rpc]\nunix_enabled = false\n")
    assert checked(alice).returncode == 0


def checked(one: Daemon) -> "subprocess.CompletedProcess[str]":
    """Run `--check-config`."""
    return subprocess.run(
        [sys.executable, "-m", "pimd", "--config", str(one.config), "--check-config"],
        env=one.environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.system
@pytest.mark.parametrize(
    ("mode", "environ", "told"),
    [(0o644, {}, 1), (0o640, {}, 1), (0o600, {}, 0), (0o644, {"PIMD_MESH__PASSPHRASE": "of the environment"}, 0)],
)
def test_a_passphrase_that_others_may_read_is_warned_about(
    daemon: MakeDaemon, mode: int, environ: dict[str, str], told: int
) -> None:
    mesh = '[mesh]\nmode = "private"\nkdf = { m_cost_kib = 64, t_cost = 1, p_cost = 1 }\n'
    alice = daemon(config=mesh + ("" if environ else 'passphrase = "correct horse battery"\n'), **environ)
    alice.config.chmod(mode)
    alice.start()
    said = [line for line in alice.log.read_text().splitlines() if "chmod 600" in line]
    assert len(said) == told
    assert "correct" not in "".join(said)
    assert (
        checked(alice).stderr.count(f"alice.toml:4: mesh.passphrase: others may read it: the file has mode {mode:04o}")
        == told
    )


@pytest.mark.system
def test_the_start_says_in_words_why_a_passphrase_cannot_be_read(daemon: MakeDaemon) -> None:
    alice = daemon(config='[mesh]\nmode = "private"\npassphrase_file = "/nope"\n')
    with pytest.raises(Failed, match="/nope: the passphrase file cannot be read: No such file or directory; set"):
        alice.start()


@pytest.mark.system
def test_a_peer_is_kept_though_the_passphrase_is_in_the_environment(daemon: MakeDaemon) -> None:
    mesh = '[mesh]\nmode = "private"\nkdf = { m_cost_kib = 64, t_cost = 1, p_cost = 1 }\n'
    alice = daemon(config=mesh, PIMD_MESH__PASSPHRASE="correct horse battery staple").start()
    alice.call("peers.add_static", {"address": "127.0.0.1:1"})
    assert 'address = "127.0.0.1:1"' in alice.call("config.get")["config"]
    assert alice.config.read_text() == mesh


@pytest.mark.system
def test_a_wrong_configuration_stops_the_start_with_a_line_for_each_problem(daemon: MakeDaemon) -> None:
    alice = daemon(config='[transport]\nlisten_port = "x"\n[relay]\nenabled = 1\n')
    with pytest.raises(Exception, match="exit 1") as failed:
        alice.start()
    lines = str(failed.value).removeprefix("exit 1: ").splitlines()
    assert [line.split(": ")[1] for line in lines] == ["transport.listen_port", "relay.enabled"]


@pytest.mark.system
def test_no_level_of_logging_shows_what_people_write(daemon: MakeDaemon) -> None:
    alice = daemon("alice", '[log]\nlevel = "debug"\n').start()
    alice.call("peers.import_identity", {"node_id": "ab" * 16, "x25519_pubkey": "09" + "00" * 31})
    alice.call("messages.send", {"peer_node_id": "ab" * 16, "body": "what nobody else may read"})
    with alice.socket() as client:
        client.call("logs.subscribe")
        alice.call("peers.label", {"node_id": "ab" * 16, "label": "somebody"})
    log = alice.log.read_text()
    assert "DEBUG pimd.database.database" in log
    assert "nobody else may read" not in log
    assert "nobody else may read" not in str(client.notifications)
