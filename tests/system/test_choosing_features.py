"""Features chosen by configuration and environment, seen from outside."""

import re

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Failed


def test_a_disabled_feature_was_never_imported_and_the_daemon_says_why(daemon: MakeDaemon) -> None:
    alice = daemon(config='[features]\ndisabled = ["messaging"]\n', PYTHONPROFILEIMPORTTIME="1").start()
    imported = set(re.findall(r"\| +(pimd_features[\w.]*)$", alice.log.read_text(), re.MULTILINE))
    # The package itself is imported through importlib, which this log leaves out; its modules are there.
    assert "pimd_features.peers.plugin" in imported
    assert not [module for module in imported if "messaging" in module]
    assert not [name for name in alice.call("rpc.methods") if name.startswith("messages.")]
    error = alice.ask("messages.send")["error"]
    assert error["code"] == -32601
    assert error["data"]["feature"] == "messaging"
    assert error["data"]["state"] == "disabled"
    assert "[features] disabled" in error["message"]
    assert {r["name"]: r["state"] for r in alice.call("features.list")}["messaging"] == "disabled"


def test_enable_and_disable_while_running_and_keep_it_in_the_file(daemon: MakeDaemon) -> None:
    alice = daemon(config='[features]\ndisabled = ["messaging"] # quiet\n').start()
    row = alice.call("features.enable", {"name": "messaging", "persist": True})
    assert row["state"] == "running"
    assert "messages.send" in row["methods"]
    assert alice.call("messages.list_conversations") == {"conversations": []}
    assert alice.config.read_text() == "[features]\ndisabled = [] # quiet\n"

    assert alice.call("features.disable", {"name": "messaging"})["state"] == "disabled"
    assert alice.ask("messages.list_conversations")["error"]["code"] == -32601
    refused = alice.ask("features.disable", {"name": "peers"})["error"]
    assert refused["code"] == -32602
    assert "status -> peers" in refused["message"]

    (alice.home / "alice.toml.bak").unlink()
    (alice.home / "alice.toml.bak").mkdir()  # the copy that is made of the file before it is changed cannot be written
    unsaved = alice.ask("features.enable", {"name": "messaging", "persist": True})["error"]
    assert unsaved["code"] == -32021
    assert "messaging is running, but that was not kept for later starts: " in unsaved["message"]
    assert "messaging" in alice.call("daemon.info")["features"]


@pytest.mark.system
@pytest.mark.parametrize("value", ["peers,status", '["peers", "status"]'])
def test_the_environment_beats_the_file(daemon: MakeDaemon, value: str) -> None:
    alice = daemon(config='[features]\nenabled = ["logs"]\n', PIMD_FEATURES__ENABLED=value).start()
    assert alice.call("daemon.info")["features"] == ["peers", "status"]


@pytest.mark.system
def test_a_build_variable_at_run_time_is_ignored_with_one_line(daemon: MakeDaemon) -> None:
    alice = daemon(PIMD_FEATURES="peers").start()
    assert len(alice.call("daemon.info")["features"]) == 7
    assert alice.log.read_text().count("PIMD_FEATURES is a build variable") == 1


@pytest.mark.system
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            '[features]\nrequired = ["status"]\ndisabled = ["peers"]\n',
            "status -> peers: status cannot run without peers",
        ),
        ('[features]\nrequired = ["statsu"]\nenabled = ["statsu"]\n', "did you mean status"),
        ("[features.messaging]\naccept = 3\n", r"features.messaging.accept"),
        ('[features.messaging]\nacept = "everyone"\n', r"features.messaging.acept"),
    ],
)
def test_a_choice_that_cannot_be_stops_the_start_with_one_line(daemon: MakeDaemon, config: str, message: str) -> None:
    with pytest.raises(Failed, match=message) as failed:
        daemon(config=config).start()
    assert failed.value.code == 1
    assert len(failed.value.stderr.splitlines()) == 1


@pytest.mark.system
@pytest.mark.parametrize("table", ["[features.messaging]\nenabled = false\n", '[features]\nenabled=["peers","logs"]\n'])
def test_other_ways_to_leave_one_out(daemon: MakeDaemon, table: str) -> None:
    alice = daemon(config=table).start()
    assert "messaging" not in alice.call("daemon.info")["features"]


@pytest.mark.system
def test_a_feature_that_nobody_has_is_named_with_the_nearest(daemon: MakeDaemon) -> None:
    alice = daemon(config='[features]\ndisabled = ["mesaging"]\n[features.lgos]\nx = 1\n').start()
    log = alice.log.read_text()
    assert "'mesaging', which does not exist; did you mean messaging?" in log
    assert "'lgos', which does not exist; did you mean logs?" in log
