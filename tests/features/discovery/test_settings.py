"""The settings of discovery are its own; what stands in `[discovery]`, their old place, still counts."""

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pimd.settings
from pimd.app import feature_choice
from pimd.assembly.choice import AssemblyError, Candidate
from pimd.assembly.plan import Plan
from pimd.contract import Feature
from pimd.settings import load
from pimd.store.config_file import ConfigFile
from pimd_features.discovery import FEATURE
from pimd_features.discovery.settings import DiscoverySettings

FILE = Path("pim.toml")
PROJECT = Path(__file__).parents[3]


def plan(text: str, environ: dict[str, str] | None = None, feature: Feature | None = FEATURE) -> Plan:
    candidates = [Candidate("discovery", "1", "built-in", lambda: feature)] if feature is not None else []
    return Plan(feature_choice(load(text, FILE, environ or {}).settings), {}, candidates)


def in_force(text: str, environ: dict[str, str] | None = None) -> Any:
    return plan(text, environ).imports["discovery"].settings


@pytest.mark.parametrize("table", ["discovery", "features.discovery"])
def test_the_keys_count_at_the_new_place_and_at_the_old(table: str) -> None:
    found = in_force(f"[{table}]\nconnect_relays = false\n")
    assert found == DiscoverySettings(connect_relays=False)
    assert isinstance(found, DiscoverySettings)


def test_the_new_place_beats_the_old_for_each_key_by_itself() -> None:
    text = (
        "[discovery]\nconnect_relays = false\nconnect_gateways = false\n[features.discovery]\nconnect_relays = true\n"
    )
    assert in_force(text) == DiscoverySettings(connect_relays=True, connect_gateways=False)


@pytest.mark.parametrize("name", ["PIMD_DISCOVERY__CONNECT_RELAYS", "PIMD_FEATURES__DISCOVERY__CONNECT_RELAYS"])
def test_the_environment_beats_the_file_at_both_places(name: str) -> None:
    text = f"[{'discovery' if 'FEATURES' not in name else 'features.discovery'}]\nconnect_relays = true\n"
    assert in_force(text, {name: "false"}) == DiscoverySettings(connect_relays=False)
    assert list(load(text, FILE, {name: "false"}).warnings[1:]) == []


def test_the_new_name_of_the_table_is_said_once() -> None:
    text = "[node]\nname = 'x'\n[discovery]\nenabled = true\nconnect_relays = false\nconnect_gateways = true\n"
    assert load(text, FILE, {}).warnings == (
        "pim.toml:3: [discovery] is now called [features.discovery]; what stands here still counts",
    )
    assert load("[features.discovery]\nconnect_relays = false\n", FILE, {}).warnings == ()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[discovery]\nconnect_relays = 3\n", ("discovery", "connect_relays")),
        ("[discovery]\nport = 65536\n", ("discovery", "port")),
        ("[features.discovery]\nconnect_relays = 3\n", ("features", "discovery", "connect_relays")),
        ("[discovery]\nport = 1\n[features.discovery]\nport = -1\n", ("features", "discovery", "port")),
        ("[features.discovery]\nconect_relays = true\n", ("features", "discovery", "conect_relays")),
    ],
)
def test_a_wrong_value_is_told_where_it_stands(text: str, key: tuple[str, ...]) -> None:
    with pytest.raises(AssemblyError, match=re.escape(".".join(key))) as error:
        plan(text)
    assert error.value.key == key


def test_keys_of_other_programs_at_the_old_place_are_named_and_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert in_force("[discovery]\nconect_relays = false\nwifi = 3\n") == DiscoverySettings()
    assert "unknown key discovery.conect_relays is ignored; did you mean connect_relays?" in caplog.messages
    assert "unknown key discovery.wifi is ignored" in caplog.messages


def test_a_build_without_discovery_takes_the_table() -> None:
    made = plan("[discovery]\nport = 9101\nconnect_relays = false\n", feature=None)
    assert made.faults == {}


def test_the_core_has_no_settings_of_discovery() -> None:
    assert set(pimd.settings.Settings().discovery.model_dump()) == {"enabled"}


def test_the_table_can_be_read_through_the_configuration() -> None:
    text = "[discovery]\nconnect_relays = false\nport = 1\n[features.discovery]\nport = 2\n"
    config = ConfigFile(FILE, FILE, load(text, FILE, {}).settings, "x")
    assert config.discovery() == {"connect_relays": False, "port": 2}


def test_the_reference_file_has_every_key() -> None:
    text = (PROJECT / "config" / "pimd.toml").read_text()
    for key in set(DiscoverySettings.model_fields) - {"shared_key"}:
        assert re.search(rf"^# {key} = ", text, re.MULTILINE), key


def test_the_check_of_a_configuration_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "pim.toml"
    path.write_text("[discovery]\nenabled = true\nconnect_relays = 3\n")
    command = [sys.executable, "-m", "pimd", "--check-config", "--config", str(path), "--data-dir", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert found.returncode == 2
    assert f"{path}:1: [discovery] is now called [features.discovery]" in found.stderr
    assert f"{path}:3: discovery.connect_relays: " in found.stderr
