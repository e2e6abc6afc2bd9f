"""The configuration file is edited as a careful person would."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from pimd.addresses import Endpoint
from pimd.contract import BroadcastConfig, PeerEntry
from pimd.ids import NodeId
from pimd.settings import Settings, disabled_features, load
from pimd.store.config_file import ConfigFile

TEXT = """# my node
[node]
name = "kitchen" # the old laptop

[[peers]]
mechanism = "tcp"
address = "a:1" # first

[features]
disabled = ["logs"]
"""


def made(path: Path, text: str | None = TEXT) -> ConfigFile:
    if text is not None:
        path.write_text(text)
    settings = load(text or "", path, {}).settings
    return ConfigFile(path if text is not None else None, path, settings, "kitchen")


async def test_a_peer_is_added_and_removed_and_everything_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    node_id = NodeId(bytes(range(16)))
    await config.add_peer(PeerEntry(Endpoint.tcp("b", 2), node_id, "bob"))
    text = path.read_text()
    assert text.startswith('# my node\n[node]\nname = "kitchen" # the old laptop\n')
    assert "# first" in text
    peers = load(text, path, {}).settings.peers
    assert [(peer.address, peer.node_id, peer.label) for peer in peers] == [
        ("a:1", None, ""),
        ("b:2", str(node_id), "bob"),
    ]
    assert (tmp_path / "pim.toml.bak").read_text() == TEXT
    assert await config.remove_peer(Endpoint.tcp("b", 2)) is True
    assert await config.remove_peer(Endpoint.tcp("b", 2)) is False
    assert [peer.address for peer in load(path.read_text(), path, {}).settings.peers] == ["a:1"]


ADDED = '[[peers]]\nmechanism = "tcp"\naddress = "b:2"\n'
A_PEER = '[[peers]]\nmechanism = "tcp"\naddress = "a:1" # first\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# mine\n", f"# mine\n\n{ADDED}"),
        ("# mine\n\n", f"# mine\n\n{ADDED}"),
        ('[node]\nname = "x" # no end', f'[node]\nname = "x" # no end\n\n{ADDED}'),
        (A_PEER, f"{A_PEER}\n{ADDED}"),
        (f"{A_PEER}# node_id = 1\n", f"{A_PEER}# node_id = 1\n\n{ADDED}"),
        (f"{A_PEER}[relay]\n", f"{A_PEER}\n{ADDED}[relay]\n"),
        (f"{A_PEER}\n# for others\n[relay]\n", f"{A_PEER}\n{ADDED}\n# for others\n[relay]\n"),
        (f"{A_PEER}# also\n\n# more\n\n[relay]\n", f"{A_PEER}# also\n\n{ADDED}\n# more\n\n[relay]\n"),
    ],
)
async def test_a_peer_is_added_between_blank_lines_and_remarks_stay_with_their_tables(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "pim.toml"
    config = made(path, text)
    await config.add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert path.read_text() == expected
    await config.add_peer(PeerEntry(Endpoint.tcp("c", 3)))
    assert path.read_text() == expected.replace(ADDED, f"{ADDED}\n{ADDED.replace('b:2', 'c:3')}")


INLINE = """peers = [
  {mechanism = "tcp", address = "a:1", label = "ann"}, # upstairs
  {mechanism = "tcp", address = "b:2"}
]
[node]
name = "kitchen"
"""


@pytest.mark.parametrize("text", [INLINE, INLINE.replace("\n  ", "").replace(" # upstairs", "").replace("\n]", "]")])
async def test_peers_in_one_inline_array_are_added_and_removed_there(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pim.toml"
    config = made(path, text)
    await config.add_peer(PeerEntry(Endpoint.tcp("c", 3)))
    peers = load(path.read_text(), path, {}).settings.peers
    assert [(peer.address, peer.label) for peer in peers] == [("a:1", "ann"), ("b:2", ""), ("c:3", "")]
    assert set(re.findall("#.*", text)) <= set(re.findall("#.*", path.read_text()))
    assert await config.remove_peer(Endpoint.tcp("b", 2)) is True
    assert await config.remove_peer(Endpoint.tcp("b", 2)) is False
    assert [peer.address for peer in load(path.read_text(), path, {}).settings.peers] == ["a:1", "c:3"]
    for address in ("a:1", "c:3"):
        assert await config.remove_peer(Endpoint.parse(address)) is True
    assert (
        load(path.read_text(), path, {}).settings.model_dump()
        == load('[node]\nname = "kitchen"\n', path, {}).settings.model_dump()
    )


PEER = '[[peers]]\nmechanism = "tcp"\naddress = "{}"\n'
REMARK = "\n# the office, key 123\n"
MESH = '[mesh]\nmode = "open"\n'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (PEER.format("a:1") + REMARK + MESH, REMARK + MESH),
        (PEER.format("a:1") + REMARK + PEER.format("b:2"), REMARK + PEER.format("b:2")),
        (PEER.format("b:2") + "\n" + PEER.format("a:1") + REMARK + MESH, PEER.format("b:2") + REMARK + MESH),
        (PEER.format("a:1") + "# only of a\n" + MESH, MESH),
        (PEER.format("a:1") + REMARK, REMARK),
    ],
)
async def test_remarks_below_a_peer_that_goes_stay(tmp_path: Path, text: str, left: str) -> None:
    path = tmp_path / "pim.toml"
    assert await made(path, text).remove_peer(Endpoint.tcp("a", 1)) is True
    found = path.read_text()
    assert list(filter(None, found.splitlines())) == list(filter(None, left.splitlines()))
    load(found, path, {})


async def test_a_peer_that_is_in_the_file_already_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    config = made(path, PEER.format("a:1"))
    await config.add_peer(PeerEntry(Endpoint.tcp("a", 1), label="again"))
    assert path.read_text() == PEER.format("a:1")


async def test_a_file_without_a_last_newline_gets_it_first(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    await made(path, PEER.format("a:1").rstrip()).add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert path.read_text() == PEER.format("a:1") + "\n" + PEER.format("b:2")


async def test_without_a_file_the_users_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pim.toml"
    config = made(path, None)
    assert config.read().path == ""
    await config.add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert path.stat().st_mode & 0o777 == 0o600
    assert config.read().path == str(path)
    assert [peer.address for peer in load(path.read_text(), path, {}).settings.peers] == ["b:2"]


async def test_an_edit_is_on_disk_before_it_takes_the_place_of_the_file_and_its_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, "b:2" in path.read_text()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    await config.add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert synced[-2:] == [(f".{path.name}.{os.getpid()}.tmp", False), (tmp_path.name, True)]


async def test_the_mode_of_a_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    path.chmod(0o640)
    await config.remove_peer(Endpoint.tcp("a", 1))
    assert path.stat().st_mode & 0o777 == 0o640
    assert "peers" not in path.read_text()


@pytest.mark.parametrize(
    ("text", "name", "enabled", "expected"),
    [
        ("", "x", False, {"enabled": None, "disabled": ["x"]}),
        ("", "x", True, {"enabled": None, "disabled": []}),
        ('[features]\nenabled = ["a"]\n', "x", True, {"enabled": ["a", "x"], "disabled": []}),
        ('[features]\nenabled = ["a", "x"]\n', "x", False, {"enabled": ["a"], "disabled": ["x"]}),
        ('[features]\ndisabled = ["x", "y"]\n', "x", True, {"enabled": None, "disabled": ["y"]}),
    ],
)
async def test_a_feature_is_switched(tmp_path: Path, text: str, name: str, enabled: bool, expected: object) -> None:  # noqa: FBT001
    path = tmp_path / "pim.toml"
    await made(path, text).set_feature(name, enabled=enabled)
    found = load(path.read_text(), path, {}).settings.features
    assert {"enabled": found.enabled, "disabled": found.disabled} == expected


@pytest.mark.parametrize(
    "text",
    [
        "[features.discovery]\nenabled = {} # mine\n",
        "[features]\ndiscovery = {{enabled = {}}} # mine\n",
        "features = {{discovery = {{enabled = {}}}}} # mine\n",
        "features.discovery.enabled = {} # mine\n",
        "[features.discovery]\nenabled = {} # mine\n[relay]\n[features]\n",
        "[discovery]\nenabled = {} # mine\n",
        "discovery = {{enabled = {}}} # mine\n",
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
async def test_a_feature_that_has_a_table_is_switched_there_in_every_form(
    tmp_path: Path,
    text: str,
    enabled: bool,  # noqa: FBT001
) -> None:
    path = tmp_path / "pim.toml"
    await made(path, text.format(str(not enabled).lower())).set_feature("discovery", enabled=enabled)
    found = load(path.read_text(), path, {}).settings
    assert ("discovery" not in disabled_features(found)) is enabled
    assert f"enabled = {str(enabled).lower()}" in path.read_text()
    assert "# mine" in path.read_text()


async def test_a_file_is_edited_that_is_right_with_the_environment_only(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    text = '[mesh]\nmode = "private"\n'
    path.write_text(text)
    environ = {"PIMD_MESH__PASSPHRASE": "five or more random words"}
    config = ConfigFile(path, path, load(text, path, environ).settings, "kitchen", environ)
    await config.add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert path.read_text() == f"{text}\n{ADDED}"
    assert config.validate(text) == []


async def test_an_edit_whose_caller_is_gone_is_finished_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    path.unlink()
    os.mkfifo(path)
    async with asyncio.TaskGroup() as clients:
        first = clients.create_task(config.add_peer(PeerEntry(Endpoint.tcp("b", 2))))
        with await asyncio.to_thread(path.open, "w") as file:  # open once the first edit reads it
            first.cancel()
            await asyncio.wait([first])
            (tmp_path / "whole").write_text(TEXT)
            (tmp_path / "whole").replace(path)
            file.write(TEXT)
            assert first.cancelled()
            assert config._turn.locked()
            clients.create_task(config.add_peer(PeerEntry(Endpoint.tcp("c", 3))))
    assert [peer.address for peer in load(path.read_text(), path, {}).settings.peers] == ["a:1", "b:2", "c:3"]


async def test_a_file_that_is_no_text_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(OSError, match="does not load"):
        await config.add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert path.read_bytes() == b"# caf\xe9\n"


async def test_a_file_that_was_broken_meanwhile_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    path.write_text("[node\n")
    with pytest.raises(OSError, match="does not load"):
        await config.add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert path.read_text() == "[node\n"


async def test_a_directory_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    (tmp_path / "pim.toml.bak").mkdir()
    with pytest.raises(OSError, match="directory"):
        await config.add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert path.read_text() == TEXT
    assert sorted(os.listdir(tmp_path)) == ["pim.toml", "pim.toml.bak"]  # noqa: PTH208 - not blocking is what matters


async def test_validate_tells_every_problem(tmp_path: Path) -> None:
    config = made(tmp_path / "pim.toml")
    assert config.validate(TEXT) == []
    (first, second) = config.validate('[transport]\nlisten_port = "x"\n[relay]\nenabled = 3\n')
    assert (first.line, first.path) == (2, "transport.listen_port")
    assert (second.line, second.path) == (4, "relay.enabled")


async def test_what_features_read_of_it(tmp_path: Path) -> None:
    config = made(tmp_path / "pim.toml")
    assert [entry.endpoint.text for entry in config.peers()] == ["a:1"]
    assert config.node_name() == "kitchen"
    assert config.mesh_cidr() == ""
    assert config.interface() == ("pim0", 1400)
    assert config.read().text == TEXT
    assert Settings().interface.mtu == 1400


CLEANUP = "peer_cleanup = { enabled = true, max_unreachable_lifetime_s = 9, cleanup_interval_s = 9 }\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a remark",
        '[node]\nname = "x" # last line without an end',
        "[messaging]\n",
        "[messaging]\nbroadcast = { watch_incoming = true, min_peer_interval_s = 60 } # mine\n",
        "[messaging]\nbroadcast = {}\n[relay]\nenabled = true\n",
        "[messaging.broadcast] # mine\noutgoing_interval_s = 60\n# watch_incoming = true\n",
        "[messaging]\n[relay]\nenabled = true\n[messaging.broadcast]\noutgoing_interval_s = 40\n",
        f"[messaging.broadcast]\nwatch_incoming = true\n[relay]\nenabled = true\n[messaging]\n{CLEANUP}",
        f"[messaging]\n{CLEANUP}[relay]\nenabled = true\n",
        "[messaging]\nbroadcast.watch_incoming = true # dotted\nbroadcast.outgoing_interval_s = 40\n",
        "messaging.broadcast.watch_incoming = true\n",
        "messaging = { broadcast = { watch_incoming = true } }\n",
        "messaging = {}\n",
    ],
)
async def test_how_identities_are_broadcast_is_written_in_every_form_of_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pim.toml"
    config = made(path, text)
    others = load(text, path, {}).settings.model_dump(exclude={"messaging": {"broadcast"}})
    for wanted in (BroadcastConfig(300, watch_incoming=False, min_peer_interval_s=30), BroadcastConfig(None, True, 7)):  # noqa: FBT003
        await config.set_broadcast(wanted)
        assert config.broadcast() == wanted
        again = load(path.read_text(), path, {})  # as after a restart
        assert ConfigFile(path, path, again.settings, "kitchen").broadcast() == wanted
        assert again.settings.model_dump(exclude={"messaging": {"broadcast"}}) == others
        assert set(re.findall("#.*", text)) <= set(re.findall("#.*", path.read_text()))


async def test_changing_the_broadcast_keeps_comments_and_order(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    text = (
        "# first\n[messaging.broadcast] # how we are seen\noutgoing_interval_s = 60 # often\n"
        f"watch_incoming = true\n\n{TEXT}"
    )
    await made(path, text).set_broadcast(BroadcastConfig(90, watch_incoming=True, min_peer_interval_s=60))
    changed = text.replace("60 # often", "90 # often").replace("true\n\n", "true\nmin_peer_interval_s = 60\n\n")
    assert path.read_text() == changed


async def test_the_reference_file_takes_a_change_of_the_broadcast(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    text = (Path(__file__).parents[2] / "config" / "pimd.toml").read_text()
    config = made(path, text)
    await config.set_broadcast(BroadcastConfig(90, watch_incoming=False, min_peer_interval_s=60))
    left = path.read_text().splitlines()
    assert [line for line in text.splitlines() if line not in left] == []
    assert load(path.read_text(), path, {}).settings.messaging.broadcast.outgoing_interval_s == 90


async def test_without_a_file_a_change_of_the_broadcast_makes_the_users(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pim.toml"
    config = made(path, None)
    assert config.broadcast() == BroadcastConfig(None, watch_incoming=True, min_peer_interval_s=60)
    await config.set_broadcast(BroadcastConfig(90, watch_incoming=True, min_peer_interval_s=60))
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path.read_text(), path, {}).settings.messaging.broadcast.outgoing_interval_s == 90


async def test_a_broadcast_that_cannot_be_written_is_not_in_force(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    before = config.broadcast()
    (tmp_path / "pim.toml.bak").mkdir()
    with pytest.raises(OSError, match="directory"):
        await config.set_broadcast(BroadcastConfig(90, watch_incoming=False, min_peer_interval_s=60))
    assert config.broadcast() == before
    assert path.read_text() == TEXT


@pytest.mark.parametrize("broken", ["messaging = 3\n", "[messaging]\nbroadcast = true\n", "peers = 3\n"])
async def test_a_file_whose_keys_have_other_types_by_now_is_not_touched(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "pim.toml"
    config = made(path)
    path.write_text(broken)
    with pytest.raises(OSError, match="does not load"):
        await config.set_broadcast(BroadcastConfig(90, watch_incoming=False, min_peer_interval_s=60))
    with pytest.raises(OSError, match="does not load"):
        await config.add_peer(PeerEntry(Endpoint.tcp("b", 2)))
    assert path.read_text() == broken


async def test_an_accepted_key_is_written_where_the_old_one_stood_and_nothing_else_changes(tmp_path: Path) -> None:
    old, new, third = (NodeId(bytes([number]) * 16) for number in (0xAB, 2, 3))
    text = (
        "peers = [\n"
        f'  {{ mechanism = "tcp", address = "a:1", node_id = "{str(old).upper()}" }}, # his laptop\n'
        f'  {{ mechanism = "tcp", address = "b:1", node_id = "{third}" }},\n'
        '  { mechanism = "tcp", address = "c:1" },\n'
        f'  {{ mechanism = "tcp", address = "d:1", node_id = "{old}" }},\n'
        "]\n"
    )
    config = made(tmp_path / "pim.toml", text)
    a, c = Endpoint.tcp("a", 1), Endpoint.tcp("c", 1)
    assert await config.rename_peers([a, c], old, new) is True
    assert (tmp_path / "pim.toml").read_text() == text.replace(str(old).upper(), str(new))
    assert [entry.node_id for entry in config.peers()] == [new, third, None, old]
    assert await config.rename_peers([a], old, new) is False
    assert await config.rename_peers([a], new, third) is True
    assert [entry.node_id for entry in config.peers()] == [third, third, None, old]
