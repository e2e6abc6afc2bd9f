"""`config.save`: what a client sends back, secrets hidden, is what it saw; and what is wrong with it is told."""

import json
import tomllib
from typing import Any

import pytest

from pimd_features.config import HIDDEN, hidden
from pimd_features.config.restoring import NotRestored, Stored
from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon


def stored(text: str) -> Stored:
    return Stored(text, hidden(text))


@pytest.mark.parametrize(
    "text",
    [
        '[mesh]\npassphrase = "s3cret" # mine\nmesh_id = "x"\n',
        "[mesh]\npassphrase = 's3\\cret'\n",
        'mesh = { passphrase = "s3cret", mode = "private" }\n',
        '[features.bot]\nkeys = ["s3cret", "other"]\nproxy = "http://me:s3cret@host/"\nrooms = [ { token = "a" }, { token = "b" } ]\n',
        '[[bot.rooms]]\nname = "x"\ntoken = "s3cret"\n[bot.rooms.more]\npsk = 3\n[[bot.rooms]]\ntoken = "b"\n',
        '# passphrase = "s3cret"\n[a]\n# passphrase = "other"\n',
        '[mesh]\n# it was s3cret\npassphrase = "s3cret"\n',
    ],
)
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert "s3cret" not in hidden(text)
    assert stored(text).restored(hidden(text)) == text


def test_a_secret_of_several_lines_becomes_one_line() -> None:
    text = '[mesh]\npassphrase = """\ns3\ncret\x7fü"""\nx = 1\n'.replace("\x7f", "\\u007f")
    restored = stored(text).restored(hidden(text))
    assert tomllib.loads(restored) == tomllib.loads(text)
    assert restored.count("\n") == 3


def test_secrets_follow_the_table_that_they_stand_in() -> None:
    text = '[[features.bot.rooms]]\nname = "x"\ntoken = "of x"\n[[features.bot.rooms]]\nname = "y"\ntoken = "of y"\n'
    first, second = hidden(text).split("[[features.bot.rooms]]\n")[1:]
    swapped = f"[[features.bot.rooms]]\n{second}[[features.bot.rooms]]\n{first}"
    rooms = tomllib.loads(stored(text).restored(swapped))["features"]["bot"]["rooms"]
    assert rooms == [{"name": "y", "token": "of y"}, {"name": "x", "token": "of x"}]
    renamed = hidden(text).replace('"y"', '"z"')
    rooms = tomllib.loads(stored(text).restored(renamed))["features"]["bot"]["rooms"]
    assert rooms == [{"name": "x", "token": "of x"}, {"name": "z", "token": "of y"}]


@pytest.mark.parametrize(
    "sent",
    [
        f'[mesh]\nmesh_id = "{HIDDEN}"\n',
        f'[other]\npassphrase = "{HIDDEN}"\n',
        f'[mesh]\n[features.bot]\nkeys = ["{HIDDEN}"]\n',
        f'[[rooms]]\nname = "w"\n[[rooms]]\nname = "v"\ntoken = "{HIDDEN}"\n',
    ],
)
def test_stars_that_stand_for_nothing_known_are_told_of(sent: str) -> None:
    text = '[mesh]\npassphrase = "s3cret"\n[features.bot]\nkeys = ["a", "b"]\n[[rooms]]\nname = "x"\ntoken = "t"\n'
    with pytest.raises(NotRestored) as caught:
        stored(text).restored(sent)
    assert caught.value.line is not None
    assert HIDDEN in sent.splitlines()[caught.value.line - 1]
    with pytest.raises(NotRestored):
        stored(text).restored_values(tomllib.loads(sent))


def test_json_gets_its_secrets_back() -> None:
    text = '[mesh]\npassphrase = "s3cret"\n[features.bot]\nkeys = ["a", "b"]\n'
    assert stored(text).restored_values(tomllib.loads(hidden(text))) == tomllib.loads(text)


def test_what_is_no_toml_stays() -> None:
    assert stored("a = 1\n").restored(f"[mesh\n# {HIDDEN}") == f"[mesh\n# {HIDDEN}"


# --- over RPC


def get(daemon: Daemon) -> dict[str, Any]:
    return dict(daemon.call("config.get"))


def test_a_client_saves_and_what_can_be_is_in_force(daemon: MakeDaemon) -> None:
    alice = daemon(config='# mine\n[node]\nname = "hall" # here\n\n[mesh]\n# passphrase = "s3cret"\n')
    alice.config.chmod(0o640)
    alice.start()
    alice.call("peers.add_static", {"address": "127.0.0.1:9", "label": "nine"})
    assert "127.0.0.1:9" not in alice.config.read_text()
    found = get(alice)
    assert 'address = "127.0.0.1:9"' in found["config"]
    assert "s3cret" not in found["config"]
    refused = alice.ask("config.save", {"config": "[node]\n", "if_hash": "0" * 64})["error"]
    assert (refused["code"], "changed meanwhile" in refused["message"]) == (-32021, True)
    wanted = found["config"].replace('"nine"', '"neun"') + (
        '[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:10"\n[log]\nlevel = "debug"\n[interface]\nmtu = 0\nname = "pim7"\n'
        '[features]\ndisabled = ["groups"]\n[messaging.broadcast]\nmin_peer_interval_s = 7\n[rpc]\nallowed_hosts = ["x"]\n'
    )
    params = {"config": wanted, "format": "toml", "if_hash": found["hash"]}
    dry = alice.call("config.save", {**params, "dry_run": True})
    assert dry == {"saved": False, "requires_restart": ["rpc.allowed_hosts"], "written_to": str(alice.config)}
    assert get(alice) == found
    assert alice.call("config.save", params) == {**dry, "saved": True}
    text = alice.config.read_text()
    assert text.startswith('# mine\n[node]\nname = "hall" # here\n\n[mesh]\n# passphrase = "s3cret"\n')
    assert "neun" not in text
    assert "mtu" not in text
    assert alice.config.stat().st_mode & 0o777 == 0o640
    rows = {row["address"]: row["label"] for row in alice.call("peers.configured")}
    assert rows == {"127.0.0.1:9": "neun", "127.0.0.1:10": None}
    assert alice.call("status")["interface"]["name"] == "pim7"
    assert alice.call("peers.get_broadcast_state")["min_peer_interval_s"] == 7
    states = {row["name"]: row["state"] for row in alice.call("features.list")}
    assert states["groups"] != "running"
    origins = {row["key"]: row for row in alice.call("config.origins")}
    assert (origins["node.name"]["origin"], origins["node.name"]["place"]) == ("environment", "PIMD_NODE__NAME")
    assert (origins["interface.name"]["origin"], origins["peers.tcp:127.0.0.1:9"]["origin"]) == ("file", "daemon")
    shown = alice.pim("config", "show", "--origin").stdout
    assert "the environment: PIMD_NODE__NAME" in shown
    assert alice.pim("config", "show").stdout.rstrip("\n") == get(alice)["config"].rstrip("\n")


def test_what_is_wrong_is_told_and_logged_under_config(shared_daemon: Daemon) -> None:
    alice = shared_daemon
    text = '[transport]\nlisten_port = "x"\n[features.messaging]\naccept = "nobody"\n'
    error = alice.ask("config.save", {"config": text, "dry_run": True})["error"]
    assert error["code"] == -32020
    assert [(one["line"], one["path"]) for one in error["data"]] == [(2, "transport.listen_port")]
    error = alice.ask("config.save", {"config": text.replace('"x"', "9_100")})["error"]
    assert [(one["line"], one["path"]) for one in error["data"]] == [(4, "features.messaging.accept")]
    error = alice.ask("config.save", {"config": f'[mesh]\npassphrase = "{HIDDEN}"\n'})["error"]
    assert [(one["line"], one["path"]) for one in error["data"]] == [(2, "mesh.passphrase")]
    error = alice.ask("config.save", {"config": "[node\n"})["error"]
    assert (error["code"], error["data"][0]["line"]) == (-32020, 1)
    assert alice.ask("config.save", {})["error"]["code"] == -32602
    assert alice.config.read_text() == ""
    lines = [line for line in alice.log.read_text().splitlines() if "config.save" in line]
    assert len(lines) == 4
    assert all(" WARNING config: " in line for line in lines)
    assert json.loads(alice.call("config.get", {"format": "json"})["config"]) == {}
