"""The build's table of features says what the declarations say."""

import importlib
import tomllib

import pytest

from pimd.contract import Feature
from tests.system.daemon import PROJECT

TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["pimd"]["features"]


@pytest.mark.parametrize("name", TABLE)
def test_table_and_declaration_agree(name: str) -> None:
    feature: Feature = importlib.import_module(f"pimd_features.{name}").FEATURE
    row = TABLE[name]
    assert feature.name == name
    assert feature.summary == row["summary"]
    assert list(feature.namespaces) == row.get("namespaces", [])
    assert list(feature.requires) == row.get("requires", [])
    assert list(feature.plugin.payload_kinds if feature.plugin else ()) == row.get("payload_kinds", [])


def test_every_package_of_features_is_in_the_table() -> None:
    packages = {path.parent.name for path in (PROJECT / "features" / "pimd_features").glob("*/__init__.py")}
    assert packages == set(TABLE)
