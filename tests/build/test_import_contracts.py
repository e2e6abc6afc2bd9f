"""Who may import what: every rule is broken on purpose, and the tree keeps all of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.import_rules import Rules
from tests.system.daemon import PROJECT

RULES = Rules.load(PROJECT / "pyproject.toml")
FEATURES = "Features stand on the contract alone"
CONTRACT = "The contract names its own foundations"
PROTOCOLS = "Protocols do no I/O"
MESH = "The mesh brings no packages"
CLIENT = "The client stands alone"
ASSEMBLY = "Only the assembly names the features"
COMPUTED = "Only the assembly loads modules by a computed name"
KIT = "The kit for tests is for tests"
SOCKETS = "Sockets belong to the network, the RPC listeners and the client"
SQLITE = "SQLite belongs to the database and to who keeps rows in it"

FEATURE = "features/pimd_features/logs/__init__.py"
DISCOVERY = "features/pimd_features/discovery/mdns.py"
EXAMPLE = "docs/examples/pim_feature_echo/pim_feature_echo.py"

BROKEN = [
    (FEATURE, "import pimd.store.node_key", FEATURES),
    (FEATURE, "import pimd.lab", FEATURES),
    (FEATURE, "from pimd.store import config_file", FEATURES),
    (FEATURE, "from pimd.contract import models", FEATURES),
    (FEATURE, "from pimd.proto.cards import GATEWAY", FEATURES),
    (FEATURE, "import pimd.database as db", FEATURES),
    (FEATURE, "import pimd_features.peers", FEATURES),
    (FEATURE, "from pimd_features import peers", FEATURES),
    (FEATURE, "from .. import peers", FEATURES),
    (FEATURE, "import zeroconf", FEATURES),
    (FEATURE, "import aiohttp.web", FEATURES),
    (FEATURE, "import jsonrpcserver", FEATURES),
    (FEATURE, "from pydantic import json_schema", FEATURES),
    (FEATURE, "import socket", SOCKETS),
    (FEATURE, "import sqlite3", SQLITE),
    (FEATURE, "from importlib import import_module as load\nload('pimd.' + 'store')", COMPUTED),
    ("features/pimd_features/__init__.py", "import pimd_features.peers", FEATURES),
    (DISCOVERY, "import zeroconf._core", FEATURES),
    (EXAMPLE, "import pimd.store", FEATURES),
    ("pimd/contract/mesh.py", "import pimd.store.keystore", CONTRACT),
    ("pimd/contract/mesh.py", "from pimd import settings", CONTRACT),
    ("pimd/contract/mesh.py", "import pimd.database.file", CONTRACT),
    ("pimd/contract/mesh.py", "import cryptography.hazmat", CONTRACT),
    ("pimd/proto/tlv.py", "import datetime", PROTOCOLS),
    ("pimd/proto/tlv.py", "import subprocess", PROTOCOLS),
    ("pimd/proto/tlv.py", "import nacl.utils", PROTOCOLS),
    ("pimd/proto/tlv.py", "from nacl import utils", PROTOCOLS),
    ("pimd/proto/tlv.py", "import pimd.clock", PROTOCOLS),
    ("pimd/proto/tlv.py", "import pydantic", PROTOCOLS),
    ("pimd/proto/tlv.py", "import sqlite3", PROTOCOLS),
    ("pimd/mesh/backoff.py", "import aiosqlite", MESH),
    ("pimd/mesh/backoff.py", "import aiohttp", MESH),
    ("pimd/mesh/backoff.py", "import aiohttp", SOCKETS),
    ("pimd/mesh/backoff.py", "import socket", SOCKETS),
    ("pimd/mesh/backoff.py", "from asyncio import streams", SOCKETS),
    ("pimd/cli/text.py", "import pimd.contract", CLIENT),
    ("pimd/cli/text.py", "from pimd import settings", CLIENT),
    ("pimd/cli/text.py", "import pydantic", CLIENT),
    ("pimd/mesh/backoff.py", "import pimd_features.logs", ASSEMBLY),
    ("pimd/rpc/auth.py", "from importlib import import_module\nimport_module('pimd_features.logs')", ASSEMBLY),
    ("pimd/rpc/auth.py", "import importlib\nimportlib.import_module(name='pimd_features.logs')", ASSEMBLY),
    ("pimd/rpc/auth.py", "__import__('pimd_features.logs')", ASSEMBLY),
    ("pimd/rpc/auth.py", "import importlib\nimportlib.import_module(f'pimd_features.{x}')", COMPUTED),
    ("pimd/rpc/auth.py", "import importlib\nimportlib.import_module('.logs', 'pimd_features')", COMPUTED),
    ("pimd/store/mirror.py", "import selectors", SOCKETS),
    ("pimd/app.py", "from pimd.testing import conformance", KIT),
    ("pimd/lab/lab.py", "import pimd.testing.alone", KIT),
    ("pimd/startup.py", "import pytest", KIT),
    ("pimd/startup.py", "from pimd import pytest_plugin", KIT),
    (EXAMPLE, "import pimd.testing", KIT),
    ("pimd/mesh/backoff.py", "import sqlite3", SQLITE),
]
HIDDEN = [
    "def later() -> None:\n    import pimd.store",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pimd.store",
    "try:\n    from pimd import store as s\nexcept ImportError:\n    pass",
    "class A:\n    import pimd.store as s",
    "import importlib\nlambda: importlib.import_module('pimd.store')",
]
ALLOWED = [
    (FEATURE, "import pimd.contract as c\nfrom pimd.contract import Mesh\nfrom pimd.ids import NodeId"),
    (FEATURE, "from pimd_features.logs import rows\nfrom . import rows\nimport os.path\nfrom pydantic import Field"),
    (DISCOVERY, "import ifaddr\nfrom zeroconf import Error, asyncio\nfrom pimd.contract import Mesh"),
    ("pimd/contract/mesh.py", "from pimd.proto import cards\nfrom pimd.database import Database\nimport asyncio"),
    ("pimd/proto/tlv.py", "from collections import abc\nfrom nacl.public import Box\nfrom pimd.proto import cards"),
    ("pimd/mesh/backoff.py", "import asyncio\nfrom pimd.store import keystore"),
    ("pimd/cli/text.py", "import http.client\nfrom pimd import __version__, paths"),
    ("pimd/rpc/auth.py", "import socket\nfrom aiohttp import web"),
    ("pimd/pytest_plugin.py", "import pytest\nfrom pimd.testing import Alone"),
    ("pimd/assembly/choice.py", "import importlib\nimportlib.import_module(f'pimd_features.{x}')"),
]


def breaks(root: Path, where: str, text: str) -> list[str]:
    """Return the names of the rules that a tree of this one file, and the modules it may mean, breaks."""
    for module in (
        "pimd/proto/cards.py",
        "pimd/store/keystore.py",
        "pimd/store/config_file.py",
        "pimd/contract/models.py",
    ):
        (root / module).parent.mkdir(parents=True, exist_ok=True)
        (root / module).touch()
    for package in ("pimd/settings", "pimd/store", "features/pimd_features/peers"):
        (root / package).mkdir(parents=True, exist_ok=True)
        (root / package / "__init__.py").touch()
    (root / where).parent.mkdir(parents=True, exist_ok=True)
    (root / where).write_text(f"{text}\n")
    return [line.rpartition(": ")[2] for line in RULES.violations(root)]


@pytest.mark.parametrize(("where", "text", "rule"), BROKEN)
def test_an_import_that_is_not_listed_breaks_its_rule(tmp_path: Path, where: str, text: str, rule: str) -> None:
    assert rule in breaks(tmp_path, where, text)


def test_every_rule_is_broken_above() -> None:
    names = {rule.name for rule in RULES.allow_lists} | {rule.name for rule in RULES.reserved}
    adding = {
        "Discovery speaks DNS-SD",
        "Sessions of messages encrypt",
        "Groups encrypt and sign with keys made for it",
    }
    assert names - adding == {rule for _, _, rule in BROKEN}  # these only add to the list of features


@pytest.mark.parametrize("text", HIDDEN)
def test_an_import_counts_wherever_it_stands(tmp_path: Path, text: str) -> None:
    assert breaks(tmp_path, FEATURE, text) == [FEATURES]


@pytest.mark.parametrize(("where", "text"), ALLOWED)
def test_what_is_listed_may_be_imported(tmp_path: Path, where: str, text: str) -> None:
    assert breaks(tmp_path, where, text) == []


def test_a_violation_names_file_line_and_both_modules(tmp_path: Path) -> None:
    (tmp_path / "pimd" / "proto").mkdir(parents=True)
    (tmp_path / "pimd" / "proto" / "tlv.py").write_text("import struct\nimport time\n")
    assert RULES.violations(tmp_path) == [f"pimd/proto/tlv.py:2: pimd.proto.tlv imports time: {PROTOCOLS}"]


def test_the_tree_keeps_all_rules_and_needs_all_that_is_allowed() -> None:
    assert RULES.violations(PROJECT) == []
    assert RULES.unused(PROJECT) == []


def test_what_is_allowed_and_not_needed_any_more_is_told(tmp_path: Path) -> None:
    assert len(RULES.unused(tmp_path)) == sum(len(rule.allow) for rule in RULES.allow_lists)
    breaks(tmp_path, "pimd/proto/tlv.py", "import struct")
    assert f"pyproject.toml: {PROTOCOLS}: struct is allowed, and nobody imports it" not in RULES.unused(tmp_path)


@pytest.mark.parametrize(("line", "verdict"), [("", "KEPT"), ("import pimd.rpc.limits", "BROKEN")])
def test_layers_point_downwards_only(tmp_path: Path, line: str, verdict: str) -> None:
    shutil.copytree(PROJECT / "pimd", tmp_path / "pimd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    with (tmp_path / "pimd" / "proto" / "tlv.py").open("a") as module:
        module.write(f"{line}\n")
    lint = Path(sys.executable).with_name("lint-imports")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([lint, "--no-cache"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert f"Layers point downwards only {verdict}" in done.stdout
    assert (done.returncode == 0) == (verdict == "KEPT")
