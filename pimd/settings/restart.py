"""Which changed settings a running daemon puts in force, and which wait for its next start."""

from collections.abc import Iterator, Mapping
from typing import Any

from pimd.settings.load import OLD_TABLES, UNUSED
from pimd.settings.model import RADIO_SECTIONS, Settings

AT_ONCE = ("peers", "messaging.broadcast", "features.enabled", "features.disabled", "interface", "log.level", "route")
WITHOUT_EFFECT = (*UNUSED, *RADIO_SECTIONS, "gateway", "routing")
"""Nothing is different after a restart either."""


def changed_keys(before: Settings, after: Settings) -> list[str]:
    """Return the dotted keys whose values differ; a list counts as one value."""
    return sorted(_changed(before.model_dump(), after.model_dump()))


def needing_restart(before: Settings, after: Settings) -> list[str]:
    """Return the keys that differ and that a running daemon does not put in force."""
    return [key for key in changed_keys(before, after) if not _is_at_once(key)]


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for key in before.keys() | after.keys():
        one, other = before.get(key), after.get(key)
        if isinstance(one, dict) or isinstance(other, dict):
            yield from _changed(one or {}, other or {}, f"{at}{key}.")
        elif one != other:
            yield f"{at}{key}"


def _is_at_once(key: str) -> bool:
    section, _, rest = key.partition(".")
    if rest == "enabled" and section in OLD_TABLES:
        return True
    if section == "features" and rest.count(".") == 1 and rest.endswith(".enabled"):
        return True
    return any(key == one or key.startswith(f"{one}.") for one in (*AT_ONCE, *WITHOUT_EFFECT))
