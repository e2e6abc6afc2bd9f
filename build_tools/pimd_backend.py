"""PEP 517 backend: hatchling, plus `-C features=a,b` as another way to set PIMD_FEATURES (hatchling ignores config settings)."""

import os
from typing import Any

from hatchling import build as hatchling

get_requires_for_build_editable = hatchling.get_requires_for_build_editable
get_requires_for_build_sdist = hatchling.get_requires_for_build_sdist
get_requires_for_build_wheel = hatchling.get_requires_for_build_wheel


def _apply(config_settings: dict[str, Any] | None) -> None:
    chosen = (config_settings or {}).get("features")
    if chosen is not None:
        os.environ["PIMD_FEATURES"] = ",".join(chosen) if isinstance(chosen, list) else chosen


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel of the chosen features."""
    _apply(config_settings)
    return str(hatchling.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build an editable wheel; the whole source stays on the path, only the entry points follow the choice."""
    _apply(config_settings)
    return str(hatchling.build_editable(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    """Build the sdist, which is always whole."""
    os.environ.pop("PIMD_FEATURES", None)
    return str(hatchling.build_sdist(sdist_directory, config_settings))
