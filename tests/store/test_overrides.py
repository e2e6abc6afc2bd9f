"""What the daemon decides beside an administrator's file: kept in its data directory, and gone when that file changes."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pimd.addresses import Endpoint
from pimd.contract import BroadcastConfig, PeerEntry
from pimd.ids import NodeId
from pimd.settings import disabled_features, load
from pimd.store.config_file import ConfigFile
from pimd.store.overrides import NAME, OverridesError, OverridesFile, with_overrides

TEXT = """# the administrator's
[node]
name = "kitchen"

[[peers]]
mechanism = "tcp"
address = "a:1" # first
label = "ann"

[features]
disabled = ["logs"]
"""
A, B = Endpoint.tcp("a", 1), Endpoint.tcp("b", 2)
OLD, NEW = NodeId(b"\x01" * 16), NodeId(b"\x02" * 16)


class Place:
    """A file of an administrator and a data directory, over any number of starts."""

    def __init__(self, home: Path) -> None:
        self.path = home / "pim.toml"
        self.own = home / "data" / NAME
        self.own.parent.mkdir()
        self.write(TEXT)

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def start(self, environ: Mapping[str, str] | None = None) -> ConfigFile:
        own, environ = OverridesFile(self.own), environ or {}
        path = self.path if self.path.exists() else None
        loaded = load(self.path.read_text() if path else "", path, environ)
        settings = with_overrides(loaded, path, environ, own.overrides)
        config = ConfigFile(path, self.own.with_name("pim.toml"), settings, "kitchen", environ, own)
        config.forget_lapsed()
        return config


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def addresses(config: ConfigFile) -> list[str]:
    return [entry.endpoint.text for entry in config.peers()]


async def test_what_is_added_removed_and_switched_holds_over_a_restart_and_the_file_stays(place: Place) -> None:
    config = place.start()
    await config.add_peer(PeerEntry(B, OLD, "bob"))
    assert await config.remove_peer(A) is True
    await config.set_feature("logs", enabled=True)
    await config.set_feature("groups", enabled=False)
    await config.set_broadcast(BroadcastConfig(40, watch_incoming=False, min_peer_interval_s=60))
    assert place.path.read_text() == TEXT
    for again in (config, place.start()):
        assert again.peers() == [PeerEntry(B, OLD, "bob")]
        assert set(disabled_features(again.current())) == {"groups"}
        assert again.broadcast() == BroadcastConfig(40, watch_incoming=False, min_peer_interval_s=60)
        shown = load(again.read().text, None, {}).settings
        assert [peer.address for peer in shown.peers] == ["b:2"]
        assert shown.features.disabled == ["groups"]
    assert place.own.stat().st_mode & 0o777 == 0o600
    assert not place.own.with_name("pim.toml").exists()


async def test_adding_a_removed_peer_of_the_administrator_lifts_that(place: Place) -> None:
    config = place.start()
    assert await config.remove_peer(A) is True
    assert await config.remove_peer(A) is False
    await config.add_peer(PeerEntry(A, label="other"))
    assert config.peers() == [PeerEntry(A, label="ann")]
    assert OverridesFile(place.own).overrides == {}


async def test_a_peer_that_was_added_is_removed_again(place: Place) -> None:
    config = place.start()
    await config.add_peer(PeerEntry(B))
    await config.add_peer(PeerEntry(B, label="again"))
    assert config.peers()[-1] == PeerEntry(B)
    assert await config.remove_peer(B) is True
    assert await config.remove_peer(B) is False
    assert OverridesFile(place.own).overrides == {}


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (TEXT.replace('"ann"', '"anna"'), ["a:1", "b:2"]),
        (TEXT.replace('label = "ann"', f'node_id = "{NEW}"'), ["a:1", "b:2"]),
        (TEXT.replace("kitchen", "hall"), ["b:2"]),
        (TEXT + '\n[[peers]]\nmechanism = "tcp"\naddress = "b:2"\nlabel = "his"\n', ["b:2"]),
    ],
)
async def test_an_override_lapses_when_the_file_says_something_else(
    place: Place, then: str, expected: list[str]
) -> None:
    config = place.start()
    await config.remove_peer(A)
    await config.add_peer(PeerEntry(B, OLD, "bob"))
    place.write(then)
    config = place.start()
    assert addresses(config) == expected
    if "his" in then:
        assert config.peers() == [PeerEntry(B, None, "his")]


async def test_what_lapsed_does_not_come_back(place: Place) -> None:
    await place.start().remove_peer(A)
    place.write(TEXT.replace('"ann"', '"anna"'))
    assert addresses(place.start()) == ["a:1"]
    place.write(TEXT)
    assert addresses(place.start()) == ["a:1"]


@pytest.mark.parametrize(
    ("then", "off"),
    [
        (TEXT, set()),
        (TEXT.replace('["logs"]', '["groups"]'), {"groups"}),
        (TEXT.replace('disabled = ["logs"]', 'enabled = ["logs"]'), set()),
    ],
)
async def test_a_switch_lapses_too(place: Place, then: str, off: set[str]) -> None:
    await place.start().set_feature("logs", enabled=True)
    place.write(then)
    assert set(disabled_features(place.start().current())) == off


async def test_a_switch_back_to_what_the_file_says_is_no_override(place: Place) -> None:
    config = place.start()
    await config.set_feature("logs", enabled=True)
    await config.set_feature("logs", enabled=False)
    assert OverridesFile(place.own).overrides == {}


async def test_a_feature_that_is_off_by_default_is_switched_on(place: Place) -> None:
    await place.start().set_feature("mailbox", enabled=True)
    assert place.start().current().features.tables["mailbox"] == {"enabled": True}


async def test_the_environment_beats_the_daemon_which_beats_the_file(place: Place) -> None:
    place.write(TEXT + "[messaging.broadcast]\noutgoing_interval_s = 100\n")
    config = place.start()
    await config.set_broadcast(BroadcastConfig(40, watch_incoming=False, min_peer_interval_s=60))
    await config.set_feature("groups", enabled=False)
    environ = {"PIMD_MESSAGING__BROADCAST__OUTGOING_INTERVAL_S": "200", "PIMD_FEATURES__DISABLED": "status"}
    beaten = place.start(environ)
    assert beaten.broadcast() == BroadcastConfig(200, watch_incoming=False, min_peer_interval_s=60)
    assert set(disabled_features(beaten.current())) == {"status"}
    with pytest.raises(PermissionError, match="PIMD_MESSAGING__BROADCAST__OUTGOING_INTERVAL_S"):
        await beaten.set_broadcast(BroadcastConfig(50, watch_incoming=False, min_peer_interval_s=60))
    with pytest.raises(PermissionError, match="PIMD_FEATURES__DISABLED"):
        await beaten.set_feature("logs", enabled=True)
    assert place.start().broadcast().outgoing_interval_s == 40


async def test_an_id_that_the_administrator_demands_is_not_replaced(place: Place) -> None:
    text = TEXT.replace('label = "ann"', f'node_id = "{OLD}"')
    place.write(text)
    config = place.start()
    await config.add_peer(PeerEntry(B, OLD))
    with pytest.raises(PermissionError, match=r"pim\.toml demands node_id"):
        await config.rename_peers([A, B], OLD, NEW)
    assert await config.rename_peers([B], OLD, NEW) is True
    assert [entry.node_id for entry in place.start().peers()] == [OLD, NEW]


@pytest.mark.parametrize(
    ("text", "is_own"),
    [
        ("", True),
        ("# only remarks\n", True),
        ('[[peers]]\nmechanism = "tcp"\naddress = "a:1"\n', True),
        ('[features]\ndisabled = ["logs"]\n[features.groups]\nenabled = false\n', True),
        ("[messaging.broadcast]\nwatch_incoming = false\n", True),
        (TEXT, False),
        ('[features]\nrequired = ["status"]\n', False),
        ('[features.messaging]\naccept = "contacts"\n', False),
        ("[relay]\nenabled = true\n", False),
    ],
)
async def test_a_file_with_nothing_but_what_the_daemon_writes_is_its_own(
    place: Place,
    text: str,
    is_own: bool,  # noqa: FBT001
) -> None:
    """Such a file an earlier version of the daemon made; it goes on as it was."""
    place.write(text)
    config = place.start()
    await config.add_peer(PeerEntry(B))
    assert ("b:2" in place.path.read_text()) is is_own
    assert (B in {entry.endpoint for entry in place.start().peers()}) is True
    assert place.own.exists() is not is_own
    assert await config.remove_peer(B) is True
    assert "b:2" not in place.path.read_text()


async def test_a_file_that_its_owner_made_read_only_is_not_written(place: Place) -> None:
    place.write("# mine\n")
    place.path.chmod(0o444)
    await place.start().add_peer(PeerEntry(B))
    assert place.path.read_text() == "# mine\n"
    assert addresses(place.start()) == ["b:2"]


async def test_the_file_of_the_system_is_never_the_daemons(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("# mine\n")
    monkeypatch.setattr("pimd.store.config_file.SYSTEM_CONFIG", place.path)
    await place.start().add_peer(PeerEntry(B))
    assert place.path.read_text() == "# mine\n"


async def test_without_a_file_none_is_made(place: Place) -> None:
    place.path.unlink()
    await place.start().add_peer(PeerEntry(B))
    assert addresses(place.start()) == ["b:2"]
    assert [path.name for path in place.own.parent.iterdir()] == [NAME]


async def test_what_cannot_be_kept_changes_nothing(place: Place) -> None:
    config = place.start()
    place.own.with_name(f".{NAME}.new").mkdir()
    place.own.mkdir()
    with pytest.raises(OSError, match="directory"):
        await config.add_peer(PeerEntry(B))
    assert addresses(config) == ["a:1"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 1}', "is damaged"),
        ('{"version": 1, "overrides": {"peers.tcp:a:1": 3}}', "is damaged"),
        ('{"version": 2, "overrides": {}}', "newer pimd"),
    ],
)
def test_a_file_that_is_none_of_ours_ends_the_start(place: Place, content: str, said: str) -> None:
    place.own.write_text(content)
    with pytest.raises(OverridesError, match=said):
        place.start()


async def test_where_each_value_comes_from(place: Place) -> None:
    config = place.start()
    await config.add_peer(PeerEntry(B, OLD, "bob"))
    await config.remove_peer(A)
    await config.set_feature("groups", enabled=False)
    rows = {one.key: one for one in place.start({"PIMD_TRANSPORT__LISTEN_PORT": "9200"}).origins()}
    assert (rows["node.name"].kind, rows["node.name"].place, rows["node.name"].line) == ("file", str(place.path), 3)
    port = rows["transport.listen_port"]
    assert (port.value, port.kind, port.place) == (9200, "environment", "PIMD_TRANSPORT__LISTEN_PORT")
    assert rows["relay.enabled"].kind == "default"
    for key, value in (
        ("peers.tcp:b:2", {"node_id": str(OLD), "label": "bob"}),
        ("peers.tcp:a:1", "disabled"),
        ("features.disabled", ["logs", "groups"]),
    ):
        assert (rows[key].value, rows[key].kind, rows[key].place) == (value, "daemon", str(place.own))


async def test_the_wish_for_a_gateway_has_the_same_order(place: Place) -> None:
    config = place.start()
    assert config.route_wish() is False
    await config.set_route_wish(on=True)
    assert config.route_wish() is place.start().route_wish() is True
    place.write(TEXT + "[route]\nsplit_default = true\n")
    assert place.start().route_wish() is True
    await place.start().set_route_wish(on=False)
    assert place.start().route_wish() is False
    decided = place.start({"PIMD_ROUTE__SPLIT_DEFAULT": "true"})
    assert decided.route_wish() is True
    with pytest.raises(PermissionError, match="PIMD_ROUTE__SPLIT_DEFAULT"):
        await decided.set_route_wish(on=False)
