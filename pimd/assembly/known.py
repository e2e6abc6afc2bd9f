"""Every feature this source tree knows, and which of them this build contains."""

import importlib.resources
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class KnownFeature:
    """One row of the build's table."""

    name: str
    summary: str
    namespaces: tuple[str, ...]
    requires: tuple[str, ...]
    built: bool
    payload_kinds: tuple[str, ...] = ()
    """A feature that is off is never imported, so its kinds stand here."""


def known_features() -> dict[str, KnownFeature]:
    """Read `_build_features.json`, which the build writes; in a source checkout the table it is written from."""
    stamped = importlib.resources.files("pimd") / "_build_features.json"
    if stamped.is_file():
        return _rows(json.loads(stamped.read_text(encoding="utf-8"))["features"])
    project = Path(__file__).parents[2] / "pyproject.toml"
    return _rows(tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["pimd"]["features"])


def _rows(table: dict[str, dict[str, Any]]) -> dict[str, KnownFeature]:
    return {
        name: KnownFeature(
            name,
            row["summary"],
            tuple(row.get("namespaces", ())),
            tuple(row.get("requires", ())),
            row.get("built", True),
            tuple(row.get("payload_kinds", ())),
        )
        for name, row in table.items()
    }
