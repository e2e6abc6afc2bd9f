"""Documents name everything there is: members of the contract, error codes, event streams, settings."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import get_args

import pytest
from pydantic import BaseModel

import pimd.contract
from pimd.settings import Settings
from scripts import contract
from scripts.contract import Entry, Member

DOCS = Path(__file__).parents[2] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text()


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return contract.entries()


# --- the contract


def test_the_document_is_what_the_sources_say(entries: list[Entry]) -> None:
    assert contract.TARGET.read_text() == contract.document(entries), "run scripts/contract"


def test_everything_that_is_exported_has_a_heading_and_every_member_an_entry(entries: list[Entry]) -> None:
    text = contract.TARGET.read_text()
    headings = set(re.findall(r"^#{3,4} `([\w.]+)`$", text, re.MULTILINE))
    assert set(pimd.contract.__all__) - headings == set()
    for name in pimd.contract.__all__:
        kind = getattr(pimd.contract, name)
        if isinstance(kind, type) and kind.__module__.startswith("pimd."):
            called = {
                one for one, value in vars(kind).items() if isinstance(value, FunctionType | property | classmethod)
            }
            missing = {one for one in called if not one.startswith("_") and f"{name}.{one}" not in headings}
            fields = {one for one in vars(kind).get("__annotations__", {}) if not one.startswith("_")} - {
                "model_config"
            }
            section = text.partition(f"\n### `{name}`\n")[2].partition("\n### ")[0]
            missing |= {one for one in fields - called if f"* `{one}: " not in section}
            assert missing == set(), name


def test_every_member_says_who_calls_it_and_what_an_error_means(entries: list[Entry]) -> None:
    assert [line for entry in entries for line in entry.lacks()] == []
    said = {entry.name: entry for entry in entries}
    for name in ("start", "handle_payload", "on_peer_forgotten", "shutdown"):
        member = next(one for one in said["DaemonPlugin"].members if one.name == name)
        assert "\nCalled by the daemon" in member.text
        assert "\nErrors: " in member.text


def test_a_member_that_says_nothing_is_told() -> None:
    silent = Member("dial", "def dial(self)", "Dial.", is_called=True)
    entry = Entry("Mesh", "pimd.contract.mesh", "class Mesh", "It links.\n\nErrors: none.", members=(silent,))
    assert entry.lacks() == [
        "Mesh.dial: no paragraph of it, or of Mesh, or of pimd.contract.mesh begins with 'Called by'"
    ]


def test_the_modules_are_in_the_order_in_which_they_are_to_be_read(entries: list[Entry]) -> None:
    modules = [entry.module.removeprefix("pimd.contract.") for entry in entries]
    listed = contract.reading_order()
    assert list(dict.fromkeys(modules))[: len(listed)] == listed


# --- error codes and streams


def test_every_error_code_and_every_stream_has_a_row() -> None:
    text = contract.TARGET.read_text()
    for row in (*contract.error_rows(), *contract.stream_rows()):
        assert f"\n| {' | '.join(row)} |\n" in text
        assert all(cell for cell in row), row
    streams = {stream.name for feature in contract.features() for stream in feature.events}
    assert streams >= {"messages.event", "peers.event", "logs.event", "status.event"}
    methods = {method["name"] for method in json.loads((DOCS / "openrpc.json").read_text())["methods"]}
    assert {f"{name.removesuffix('.event')}.subscribe" for name in streams} - methods == set()
    assert {int(row[0]) for row in contract.error_rows()} >= {-32601, -32603, -32060}


# --- settings


def keys(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key below a model."""
    for name, field in model.model_fields.items():
        inner = [one for one in (field.annotation, *get_args(field.annotation)) if _is_model(one)]
        if inner:
            yield from keys(inner[0], (*path, name))
        else:
            yield (*path, name)


def _is_model(one: object) -> bool:
    return isinstance(one, type) and issubclass(one, BaseModel)


def all_keys() -> list[tuple[str, ...]]:
    of_features = [
        ("features", feature.name, *path) for feature in contract.features() for path in keys(feature.settings)
    ]
    return [*keys(Settings), *of_features]


def is_documented(path: tuple[str, ...], document: str) -> bool:
    """Whether a row of its table, or of a table above that, names the key."""
    for depth in range(1, len(path)):
        table = ".".join(path[:depth])
        start = re.compile(rf"^\| `(\[{re.escape(table)}\]|\[\[{re.escape(table)}\]\])[ `]")
        rest = path[depth:]
        for row in document.splitlines():
            words = set(re.findall(r"`(?:\[+[\w.]+\]+ )?([\w.]+)", row))
            if start.match(row) and (".".join(rest) in words or set(rest) <= words):
                return True
    return False


@pytest.mark.parametrize("path", all_keys(), ids=".".join)
def test_every_setting_has_a_row(path: tuple[str, ...]) -> None:
    assert is_documented(path, CONFIGURATION), f"docs/configuration.md has no row for {'.'.join(path)}"


def test_a_setting_that_is_named_elsewhere_only_has_no_row() -> None:
    table = "| `[mesh] mode` | `open` | see `kdf` |\n`[mesh] other`\n| `[mesh] kdf` | 1 | `t_cost` |\n"
    found = [is_documented(path, table) for path in (("mesh", "mode"), ("mesh", "kdf", "t_cost"), ("mesh", "other"))]
    assert found == [True, True, False]
