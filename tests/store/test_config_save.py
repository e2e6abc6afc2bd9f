"""A whole new text is taken apart: each change goes where its value came from, and the rest of the file stays."""

# ruff: noqa: ASYNC240 - a test may block its own loop for a look at a file

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pimd.addresses import Endpoint
from pimd.contract import BroadcastConfig, PeerEntry, WrongConfig
from pimd.settings import load
from pimd.store.config_file import ConfigFile
from pimd.store.overrides import OverridesFile, with_overrides

TEXT = """# the administrator's
[node]
name = "kitchen" # here

[[peers]]
mechanism = "tcp"
address = "a:1" # first
label = "ann"

[features]
disabled = ["logs"] # no
"""
A, B = Endpoint.tcp("a", 1), Endpoint.tcp("b", 2)


def started(home: Path) -> ConfigFile:
    path, own = home / "pim.toml", OverridesFile(home / "settings.json")
    loaded = load(path.read_text(), path, {})
    return ConfigFile(path, path, with_overrides(loaded, path, {}, own.overrides), "kitchen", {}, own)


@pytest.fixture
async def config(tmp_path: Path) -> ConfigFile:
    """With one override of each kind."""
    (tmp_path / "pim.toml").write_text(TEXT)
    config = started(tmp_path)
    await config.add_peer(PeerEntry(B, label="bob"))
    await config.remove_peer(A)
    await config.set_feature("logs", enabled=True)
    await config.set_broadcast(BroadcastConfig(40, watch_incoming=True, min_peer_interval_s=60))
    return config


def shown(config: ConfigFile) -> dict[str, Any]:
    return tomllib.loads(config.read().text)


async def test_what_is_sent_back_unchanged_changes_nothing(config: ConfigFile, tmp_path: Path) -> None:
    before = (tmp_path / "settings.json").read_bytes()
    for text in (config.read().text, tomlkit.dumps(shown(config))):
        assert (await config.save(text)).requires_restart == []
        assert (tmp_path / "pim.toml").read_text() == TEXT
        assert (tmp_path / "settings.json").read_bytes() == before


async def test_a_form_changes_a_key_of_the_file_and_comments_stay(config: ConfigFile, tmp_path: Path) -> None:
    wanted = shown(config)
    wanted["node"]["name"] = "hall"
    wanted["transport"] = {"listen_port": 9200}
    saved = await config.save(tomlkit.dumps(wanted))
    assert saved.requires_restart == ["node.name", "transport.listen_port"]
    assert saved.written_to == str(tmp_path / "pim.toml")
    assert (tmp_path / "pim.toml").read_text() == TEXT.replace(
        "kitchen", "hall"
    ) + "\n[transport]\nlisten_port = 9200\n"
    assert shown(config) == wanted
    assert (tmp_path / "pim.toml.bak").read_text() == TEXT


async def test_changes_of_what_the_daemon_keeps_stay_there(config: ConfigFile, tmp_path: Path) -> None:
    wanted = shown(config)
    wanted["peers"][0]["label"] = "bert"
    wanted["messaging"]["broadcast"]["outgoing_interval_s"] = 50
    wanted["features"]["disabled"] = ["logs"]
    saved = await config.save(tomlkit.dumps(wanted))
    assert saved.written_to == str(tmp_path / "settings.json")
    assert (tmp_path / "pim.toml").read_text() == TEXT
    again = started(tmp_path)
    assert again.peers() == [PeerEntry(B, label="bert")]
    assert again.broadcast().outgoing_interval_s == 50
    assert again.current().features.disabled == ["logs"]
    assert "features.logs" not in OverridesFile(tmp_path / "settings.json").overrides


async def test_an_address_that_is_edited_stays_with_the_daemon(config: ConfigFile, tmp_path: Path) -> None:
    wanted = shown(config)
    wanted["peers"][0]["address"] = "b:3"
    await config.save(tomlkit.dumps(wanted))
    assert (tmp_path / "pim.toml").read_text() == TEXT
    assert started(tmp_path).peers() == [PeerEntry(Endpoint.tcp("b", 3), label="bob")]


async def test_a_disabled_peer_that_is_written_again_counts(config: ConfigFile, tmp_path: Path) -> None:
    wanted = shown(config)
    wanted["peers"].append({"mechanism": "tcp", "address": "a:1", "label": "anna"})
    await config.save(tomlkit.dumps(wanted))
    assert (tmp_path / "pim.toml").read_text() == TEXT.replace('"ann"', '"anna"')
    assert set(started(tmp_path).peers()) == {PeerEntry(A, label="anna"), PeerEntry(B, label="bob")}


async def test_new_peers_stand_in_the_file_and_removed_ones_are_gone(config: ConfigFile, tmp_path: Path) -> None:
    wanted = shown(config)
    wanted["peers"].append({"mechanism": "tcp", "address": "c:1"})
    await config.save(tomlkit.dumps(wanted))
    assert (
        '# first\nlabel = "ann"\n\n[[peers]]\nmechanism = "tcp"\naddress = "c:1"\n'
        in (tmp_path / "pim.toml").read_text()
    )
    del wanted["peers"]
    await config.save(tomlkit.dumps(wanted))
    assert started(tmp_path).peers() == []
    assert "c:1" not in (tmp_path / "pim.toml").read_text()


async def test_comments_of_an_editor_are_kept(config: ConfigFile, tmp_path: Path) -> None:
    text = config.read().text.replace("# here", "# there") + "# the end\n"
    await config.save(text)
    found = (tmp_path / "pim.toml").read_text()
    assert "# there" in found
    assert "# the end" in found
    assert tomllib.loads(found) == {**tomllib.loads(TEXT), "messaging": {"broadcast": {}}}
    assert started(tmp_path).peers() == [PeerEntry(B, label="bob")]


async def test_without_overrides_a_text_with_comments_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    path.write_text(TEXT)
    text = TEXT.replace("\n\n", "\n").replace("[node]", "[node] # mine\n")
    await started(tmp_path).save(text)
    assert path.read_text() == text


async def test_what_means_unset_is_not_written(config: ConfigFile, tmp_path: Path) -> None:
    form = (
        'interface = { name = "pim0", mtu = 0, mesh_ip = "" }\n'
        'transport = { listen_port = 9_100, connect_timeout_ms = "" }\ngateway = { max_connections = "" }\n'
        '[discovery]\nport = ""\nconnect_relays = false\n[messaging.broadcast]\noutgoing_interval_s = ""\n'
    )
    saved = await config.save(form + '[node]\nname = "kitchen"\n')
    assert saved.requires_restart == ["discovery.connect_relays"]
    found = tomllib.loads((tmp_path / "pim.toml").read_text())
    assert found["interface"] == {"name": "pim0"}
    assert found["transport"] == {"listen_port": 9100}
    assert found["discovery"] == {"connect_relays": False}
    assert '""' not in (tmp_path / "pim.toml").read_text()


async def test_a_dry_run_writes_nothing(config: ConfigFile, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    saved = await config.save(TEXT.replace("kitchen", "hall"), dry_run=True)
    assert saved.requires_restart == ["node.name"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


async def test_json_is_taken_as_well(config: ConfigFile, tmp_path: Path) -> None:
    wanted = {**shown(config), "relay": {"enabled": False}, "log": {"level": None}}
    assert (await config.save(json.dumps(wanted), format="json")).requires_restart == ["relay.enabled"]
    assert (tmp_path / "pim.toml").read_text() == TEXT + "\n[relay]\nenabled = false\n"
    with pytest.raises(WrongConfig, match="not JSON"):
        await config.save("{", format="json")


async def test_everything_wrong_is_told_with_line_and_key(config: ConfigFile, tmp_path: Path) -> None:
    with pytest.raises(WrongConfig) as caught:
        await config.save('[transport]\nlisten_port = "x"\n[relay]\nenabled = 3\n')
    assert [(one.line, one.path) for one in caught.value.problems] == [
        (2, "transport.listen_port"),
        (4, "relay.enabled"),
    ]
    with pytest.raises(WrongConfig) as caught:
        await config.save("[node\n")
    assert caught.value.problems[0].line == 1
    assert (tmp_path / "pim.toml").read_text() == TEXT


async def test_a_file_that_was_broken_meanwhile_is_replaced_by_one_that_loads(
    config: ConfigFile, tmp_path: Path
) -> None:
    (tmp_path / "pim.toml").write_text("[node\n")
    assert config.read().text == "[node\n"
    await config.save(TEXT)
    assert (tmp_path / "pim.toml").read_text() == TEXT
    assert started(tmp_path).peers() == [PeerEntry(B, label="bob")]
    (tmp_path / "pim.toml").write_text("[node\n")
    await config.save('{"node": {"name": "hall"}}', format="json")
    assert (tmp_path / "pim.toml").read_text() == '[node]\nname = "hall"\n'


async def test_what_cannot_be_written_changes_nothing(config: ConfigFile, tmp_path: Path) -> None:
    (tmp_path / "pim.toml.bak").mkdir()
    before = (tmp_path / "settings.json").read_bytes()
    with pytest.raises(OSError, match="directory"):
        await config.save('[node]\nname = "hall"\n')
    assert (tmp_path / "settings.json").read_bytes() == before
    assert (tmp_path / "pim.toml").read_text() == TEXT


KEYS = {
    "node": st.fixed_dictionaries({}, optional={"name": st.sampled_from(["x", "#y", "z z"])}),
    "relay": st.fixed_dictionaries({}, optional={"enabled": st.booleans()}),
    "features": st.fixed_dictionaries(
        {},
        optional={name: st.lists(st.sampled_from(["logs", "groups"]), unique=True) for name in ("enabled", "disabled")},
    ),
    "messaging": st.fixed_dictionaries(
        {},
        optional={"broadcast": st.fixed_dictionaries({}, optional={"outgoing_interval_s": st.integers(30, 99)})},
    ),
    "peers": st.lists(
        st.builds(
            lambda number, label: {"mechanism": "tcp", "address": f"a:{number}", **({"label": label} if label else {})},
            st.integers(1, 4),
            st.sampled_from(["", "ann", "# no"]),
        ),
        unique_by=lambda peer: peer["address"],
        max_size=3,
    ),
}
TABLES = st.fixed_dictionaries({}, optional=KEYS)


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])  # to make one of these small takes minutes
@given(before=TABLES, wanted=TABLES, data=st.data())
def test_what_was_sent_is_what_is_there(
    before: dict[str, Any], wanted: dict[str, Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the file and the daemon say, and in what form it is sent."""
    home = tmp_path_factory.mktemp("save")
    (home / "pim.toml").write_text("# first\n" + tomlkit.dumps(before))
    config = started(home)

    def run(change: Any) -> None:
        config._changed(change)

    for number in data.draw(st.lists(st.integers(1, 4), max_size=2)):
        entry = PeerEntry(Endpoint.tcp("a", number), label="mine")
        key = f"peers.{entry.endpoint}"
        value = {"node_id": None, "label": "mine"} if data.draw(st.booleans()) else None
        run(lambda now, key=key, value=value: config._decide(now, {key: value}, lambda _: False))
    if data.draw(st.booleans()):
        run(lambda now: config._decide(now, {"features.logs": False}, lambda _: False))
    if data.draw(st.booleans()):
        run(lambda now: config._decide(now, {"messaging.broadcast.outgoing_interval_s": 77}, lambda _: False))
    text = tomlkit.dumps(wanted) + data.draw(st.sampled_from(["", "# end\n"]))
    expected = load(text, None, {}).settings
    config._saved(text, "toml", False)  # noqa: FBT003
    found = started(home).current()
    assert sorted(found.peers, key=repr) == sorted(expected.peers, key=repr)
    assert (found.node, found.relay, found.messaging.broadcast) == (
        expected.node,
        expected.relay,
        expected.messaging.broadcast,
    )
    for name in ("logs", "groups"):
        assert is_on(found, name) == is_on(expected, name)


def is_on(found: Any, name: str) -> bool:
    features = found.features
    return name not in features.disabled and (features.enabled is None or name in features.enabled)
