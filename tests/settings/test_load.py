"""What the configuration means, and how it says what is wrong."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.settings import Problem, Settings, SettingsError, disabled_features, load

PROJECT = Path(__file__).parents[2]
FILE = Path("pim.toml")


def loaded(text: str, environ: Mapping[str, str] | None = None) -> Settings:
    return load(text, FILE, environ or {}).settings


def problems(text: str, environ: Mapping[str, str] | None = None) -> list[Problem]:
    with pytest.raises(SettingsError) as caught:
        load(text, FILE, environ or {})
    return list(caught.value.problems)


def warnings(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    return list(load(text, FILE, environ or {}).warnings)


def uncommented(text: str) -> str:
    """The reference file with every setting in force, its placeholders left out."""
    lines = []
    for line in text.splitlines():
        setting = re.match(r"# (\w+ = .*|\[\[peers\]\])", line)
        if setting and not re.match(r'# \w+ = ""', line):
            lines.append(setting[1])
        elif line.startswith("["):
            lines.append(line)
    return "\n".join(lines)


def test_an_empty_file_is_all_defaults() -> None:
    assert loaded("").model_dump() == Settings().model_dump()
    assert warnings("") == []


def test_the_reference_file_is_the_defaults() -> None:
    text = (PROJECT / "config" / "pimd.toml").read_text()
    assert loaded(text).model_dump(exclude={"features"}) == Settings().model_dump(exclude={"features"})
    full = loaded(uncommented(text))
    assert [peer.address for peer in full.peers] == ["192.168.1.7:9100"]
    given = {**full.model_dump(), "peers": []}
    given["node"] = Settings().model_dump()["node"]  # an example, not a default
    given["features"] = Settings().model_dump()["features"]
    assert given == Settings().model_dump()
    assert not [warning for warning in warnings(uncommented(text)) if "unknown" in warning]


def test_the_reference_file_has_every_key() -> None:
    """Each field of each section stands there, but for those that are accepted without effect."""
    text = (PROJECT / "config" / "pimd.toml").read_text()
    unused = {"max_reconnect_attempts", "trust_store_file", "shared_key", "mesh_ipv6"}
    unused |= {"mesh_ipv4_prefix", "mesh_ipv6_prefix"}
    for name, section in Settings.model_fields.items():
        fields: dict[str, Any] = getattr(section.annotation, "model_fields", {})
        if name == "routing":
            continue
        for key in set(fields) - unused - ({"peer_cleanup"} if name == "transport" else set()):
            assert re.search(rf"^# {key} = ", text, re.MULTILINE), f"[{name}] {key} is missing"


@pytest.mark.parametrize("path", sorted((PROJECT / "config" / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_load_without_unknown_keys(path: Path) -> None:
    found = load(path.read_text(), path, {})
    assert not [warning for warning in found.warnings if "unknown" in warning]


def test_the_desktop_clients_file_names_what_is_not_used() -> None:
    text = (PROJECT / "config" / "examples" / "desktop.toml").read_text()
    found = "\n".join(warnings(text))
    for word in ("[bluetooth] is not used", "[wifi_direct] is not used", "max_reconnect_attempts", "route_expiry_s"):
        assert word in found
    for key in ("port", "broadcast_interval_ms", "peer_timeout_ms"):
        assert f"discovery.{key} is not used" in found


@pytest.mark.parametrize(
    ("text", "line", "path", "words"),
    [
        ('[transport]\nlisten_port = "9100"\n', 2, "transport.listen_port", "integer"),
        ('[transport]\nlisten_host = "nonsense"\n', 2, "transport.listen_host", "IP address of this machine"),
        ('[transport]\nlisten_host = ""\n', 2, "transport.listen_host", "IP address of this machine"),
        ('[rpc]\nallow_remote = true\nhttp_host = "nonsense"\n', 3, "rpc.http_host", "IP address of this machine"),
        ("[transport]\nlisten_port = 65536\n", 2, "transport.listen_port", "65535"),
        ("[transport]\n\nlisten_port = -1\n", 3, "transport.listen_port", "greater"),
        ('[node]\nname = ""\n', 2, "node.name", "1 to 64"),
        ('[node]\nname = "a\\u0007"\n', 2, "node.name", "must hold no control"),
        (f'[node]\nname = "{"x" * 65}"\n', 2, "node.name", "64"),
        ('[security]\nauthorization_policy = "everyone"\n', 2, "security.authorization_policy", "allow_all"),
        ('[security]\nauthorized_peers = ["xyz"]\n', 2, "security.authorized_peers.0", "hexadecimal"),
        ("[security]\nrequire_encryption = false\n", 2, "security.require_encryption", "unencrypted"),
        ('[[peers]]\nmechanism = "tcp"\n', 1, "peers.0", "address"),
        (
            '[[peers]]\nmechanism = "tcp"\naddress = "x:1"\n[[peers]]\nmechanism = "pigeon"\n',
            5,
            "peers.1.mechanism",
            "tcp",
        ),
        ('[[peers]]\naddress = "x:1"\n', 1, "peers.0.mechanism", "missing"),
        ('[[peers]]\nmechanism = "tcp"\naddress = "fe80::1:9100"\n', 1, "peers.0", "IPv6"),
        ('[[peers]]\nmechanism = "tcp"\naddress = "[x]:9100"\n', 1, "peers.0", "IPv6"),
        ('[[peers]]\nmechanism = "tcp"\naddress = "a:0x1"\n', 1, "peers.0", "65535"),
        ('[[peers]]\nmechanism = "tcp"\naddress = "relay..example.org:9100"\n', 1, "peers.0", "no host name"),
        (f'[[peers]]\nmechanism = "tcp"\naddress = "{"x" * 64}.org:9100"\n', 1, "peers.0", "1 to 63"),
        ('[[peers]]\nmechanism = "tcp"\naddress = " a:9100"\n', 1, "peers.0", "no host name"),
        ('[[peers]]\nmechanism = "bluetooth"\nip = "no"\n', 1, "peers.0", "IPv4 or IPv6"),
        ('[mesh]\nmode = "private"\n', 2, "mesh.passphrase", "passphrase"),
        ('[mesh]\nmode = "private"\npassphrase = ""\npassphrase_file = ""\n', 2, "mesh.passphrase", "needs"),
        ('[mesh]\npassphrase = "s3cret"\n', 2, "mesh.passphrase", 'set mode = "private"'),
        ('[mesh]\nmode = "open"\n\npassphrase_file = "/x"\n', 4, "mesh.passphrase_file", 'set mode = "private"'),
        (
            '[mesh]\nmode = "private"\npassphrase_file = "/x"\npassphrase = "s3cret"\n',
            3,
            "mesh.passphrase_file",
            "beside passphrase; take one",
        ),
        (
            '[[peers]]\nmechanism = "tcp"\naddress = "a:1"\n[[peers]]\nmechanism = "tcp"\naddress = "a:1"\n',
            6,
            "peers.1.address",
            "twice",
        ),
        ("[mesh]\nkdf = { m_cost_kib = 15, p_cost = 2 }\n", 2, "mesh.kdf", "at least 8 times p_cost"),
        ('[rpc]\nhttp_host = "0.0.0.0"\n', 2, "rpc.http_host", "allow_remote"),
        ("[messaging.broadcast]\noutgoing_interval_s = 29\n", 2, "messaging.broadcast.outgoing_interval_s", "30"),
        (
            "[messaging.peer_cleanup]\nenabled = true\n",
            1,
            "messaging.peer_cleanup.max_unreachable_lifetime_s",
            "missing",
        ),
        (
            "[messaging.peer_cleanup]\nenabled = true\nmax_unreachable_lifetime_s = 1\ncleanup_interval_s = 9223372036854775808\n",
            4,
            "messaging.peer_cleanup.cleanup_interval_s",
            "less than",
        ),
        ("transport = 3\n", 1, "transport", "table"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_key(text: str, line: int, path: str, words: str) -> None:
    (found, *_) = problems(text)
    assert (found.line, found.path) == (line, path)
    assert words in found.message
    assert str(found).startswith(f"pim.toml:{line}: {path}: ")
    assert "\n" not in str(found)
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    "host", ["relay.example.org", "example.org.", "bücher.example", "[fe80::1%eth0]", "192.0.2.1", "x" * 63]
)
def test_addresses_that_can_be_dialled_load(host: str) -> None:
    (peer,) = loaded(f'[[peers]]\nmechanism = "tcp"\naddress = "{host}:9100"\n').peers
    assert peer.address == f"{host}:9100"


@pytest.mark.parametrize("host", ["::", "0.0.0.0", "192.0.2.1", "::1", "fe80::1%eth0", "localhost"])  # noqa: S104
def test_addresses_to_listen_on_load(host: str) -> None:
    assert loaded(f'[transport]\nlisten_host = "{host}"\n').transport.listen_host == host


def test_the_cleanup_of_identities_is_used_and_the_others_are_named() -> None:
    table = "enabled = false\nmax_unreachable_lifetime_s = 1\ncleanup_interval_s = 2\n"
    sections = ("messaging", "messaging.broadcast", "transport")
    text = "".join(f"[{section}.peer_cleanup]\n{table}" for section in sections)
    found = loaded(text).messaging.peer_cleanup
    assert (found.enabled, found.max_unreachable_lifetime_s, found.cleanup_interval_s) == (False, 1, 2)
    named = [warning.split()[1] for warning in warnings(text)]
    assert sorted(named) == ["messaging.broadcast.peer_cleanup", "transport.peer_cleanup"]


def test_the_environment_changes_one_key_of_the_cleanup() -> None:
    found = loaded("", {"PIMD_MESSAGING__PEER_CLEANUP__ENABLED": "false"}).messaging.peer_cleanup
    assert (found.enabled, found.max_unreachable_lifetime_s, found.cleanup_interval_s) == (False, 7_776_000, 86_400)


def test_a_passphrase_of_the_environment_needs_a_private_mesh_too() -> None:
    (found,) = problems("", {"PIMD_MESH__PASSPHRASE": "s3cret"})
    assert str(found).startswith("environment: PIMD_MESH__PASSPHRASE: keeps nobody out of an open mesh")
    file = '[mesh]\npassphrase = "s3cret"\n'
    assert loaded(file, {"PIMD_MESH__MODE": "private"}).mesh.passphrase_keys == ["passphrase"]
    assert "s3cret" not in repr(load(file, FILE, {"PIMD_MESH__MODE": "private"}))


def test_an_empty_passphrase_is_none() -> None:
    assert warnings('[mesh]\npassphrase = ""\npassphrase_file = ""\n') == []


def test_the_id_of_an_open_mesh_is_warned_about() -> None:
    (found,) = warnings('[mesh]\nmesh_id = "home"\n')
    assert found.startswith("pim.toml:2: mesh.mesh_id: keeps nobody out of an open mesh")


def test_all_problems_are_told_at_once() -> None:
    assert len(problems('[transport]\nlisten_port = "x"\nconnect_timeout_ms = 1\n[relay]\nenabled = "yes"\n')) == 3


@pytest.mark.parametrize("text", ["a =", "[a", 'x = "', "a = 1\na = 2", "[t]\n[t]", "\x00"])
def test_what_is_no_toml_is_told_with_its_line(text: str) -> None:
    (found,) = problems(text)
    assert found.line is not None
    assert "TOML" in found.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[transport]\nlisten_prot = 1\n", "transport.listen_prot is ignored; did you mean transport.listen_port?"),
        ("[transprot]\na = 1\n", "pim.toml:1: unknown key transprot is ignored; did you mean transport?"),
        ("[pimd]\nx = 1\n", "pim.toml:1: unknown key pimd is ignored"),
        ('[[peers]]\nmechanism = "tcp"\naddress = "a:1"\nlable = "x"\n', "peers.0.lable is ignored; did you mean peers.0.label?"),
        ('[[peers]]\nmechanism = "tcp"\naddress = "a:1"\nlabel = "bob\u200b"\n', "peers.0.label: 'bob\\u200b' holds"),
        ("[routing]\nmax_hops = 3\n", "pim.toml:2: routing.max_hops is not used by pimd"),
    ],
)  # fmt: skip
def test_doubts_are_warnings_with_the_nearest_known_key(text: str, message: str) -> None:
    assert any(message in warning for warning in warnings(text))


def test_the_environment_beats_the_file() -> None:
    environ = {
        "PIMD_RPC__HTTP_PORT": "1",
        "PIMD_RPC__ALLOWED_HOSTS": "a, b",
        "PIMD_FEATURES__DISABLED": '["x"]',
        "PIMD_RELAY__ENABLED": "false",
        "PIMD_MESH__MODE": "private",
        "PIMD_MESH__PASSPHRASE": "secret",
        "UNRELATED__X": "1",
    }
    found = loaded('[rpc]\nhttp_port = 2\nhttp_host = "::1"\n', environ)
    assert (found.rpc.http_port, found.rpc.http_host, found.rpc.allowed_hosts) == (1, "::1", ["a", "b"])
    assert found.features.disabled == ["x"]
    assert found.relay.enabled is False
    assert "secret" not in repr(found)
    assert warnings("", environ) == []


def test_a_wrong_variable_is_named() -> None:
    (found,) = problems("", {"PIMD_RPC__HTTP_PORT": "x"})
    assert "environment: PIMD_RPC__HTTP_PORT: " in str(found)


def test_unknown_variables_are_named_with_the_nearest() -> None:
    assert warnings("", {"PIMD_RPC__HTTP_PROT": "1"}) == [
        "the environment variable PIMD_RPC__HTTP_PROT is ignored: no such setting; did you mean PIMD_RPC__HTTP_PORT?"
    ]
    (bare,) = warnings("", {"PIMD_FEATURES": "peers"})
    assert "build variable" in bare


def test_disabled_features_have_their_reason() -> None:
    text = '[features]\ndisabled = ["a"]\n[features.b]\nenabled = false\n[features.c]\nenabled = true\n[discovery]\nenabled = false\n'
    assert disabled_features(loaded(text)) == {
        "a": "listed in [features] disabled",
        "b": "[features.b] enabled = false",
        "discovery": "[discovery] enabled = false",
    }


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        load(text, FILE, {})
    except SettingsError as error:
        assert error.problems  # noqa: PT017 - most texts are wrong, not all


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(Settings.model_fields)),
        st.dictionaries(
            st.sampled_from(["enabled", "name", "mode", "kdf", "listen_port", "peers", "x"]), SCALARS, max_size=4
        )
        | SCALARS,
        max_size=4,
    )
)
def test_no_table_raises_anything_else(table: dict[str, Any]) -> None:
    import tomlkit

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if inner is not None}
        return value

    text = tomlkit.dumps(strip(table))
    tomllib.loads(text)
    try:
        load(text, FILE, {})
    except SettingsError as error:
        assert all("\n" not in str(problem) for problem in error.problems)  # noqa: PT017
