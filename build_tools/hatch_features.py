"""Build and metadata hooks: PIMD_FEATURES=a,b chooses the features of the wheel (unset or `all`: all; `none`: the core)."""

import atexit
import json
import os
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "PIMD_FEATURES"


def selection(root: str) -> tuple[dict[str, Any], list[str]]:
    """Return the `[tool.pimd]` table and the chosen features in its order; ValueError for a choice that cannot be."""
    table: dict[str, Any] = tomllib.loads(Path(root, "pyproject.toml").read_text())["tool"]["pimd"]
    known = list(table["features"])
    raw = os.environ.get(VARIABLE, "all").strip()
    wanted = {"all": known, "none": [], "": []}.get(raw, [name.strip() for name in raw.split(",") if name.strip()])
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise ValueError(f"{VARIABLE} names {', '.join(unknown)}, which nobody knows; known are {', '.join(known)}")
    for name in wanted:
        missing = [required for required in table["features"][name].get("requires", []) if required not in wanted]
        if missing:
            raise ValueError(f"{VARIABLE}: {name} requires {', '.join(missing)}; add it, or leave {name} out")
    return table, [name for name in known if name in wanted]


class FeatureBuildHook(BuildHookInterface[Any]):
    """Adds the chosen features' code and the list of all features to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Change nothing in sdists and editable wheels."""
        if self.target_name != "wheel" or version == "editable":
            return
        table, wanted = selection(self.root)
        for name in wanted:
            build_data["force_include"][f"features/pimd_features/{name}"] = f"pimd_features/{name}"
        rows = {
            name: {
                "summary": row["summary"],
                "namespaces": row.get("namespaces", []),
                "requires": row.get("requires", []),
                "payload_kinds": row.get("payload_kinds", []),
                "built": name in wanted,
            }
            for name, row in table["features"].items()
        }
        stamps = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, stamps, ignore_errors=True)
        stamp = stamps / "_build_features.json"
        stamp.write_text(json.dumps({"features": rows}, indent=1) + "\n")
        os.utime(stamp, (0, 0))
        build_data["force_include"][str(stamp)] = "pimd/_build_features.json"


class FeatureMetadataHook(MetadataHookInterface):
    """Sets the dependencies and entry points of the chosen features; the version is the same for every choice."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill the dynamic fields."""
        table, wanted = selection(self.root)
        metadata["description"] = "An encrypted mesh of nearby machines, served over JSON-RPC."
        own = [dependency for name in wanted for dependency in table["features"][name].get("dependencies", [])]
        metadata["dependencies"] = [*table["core-dependencies"], *own]
        metadata["entry-points"] = {
            "pimd.features": {name: f"pimd_features.{name}:FEATURE" for name in wanted},
            "pytest11": {"pimd": "pimd.pytest_plugin"},  # read by pytest alone, where there is one
        }
