"""Where the value of each setting comes from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from pimd.contract import ConfigOrigin
from pimd.paths import shown as as_text
from pimd.settings import Settings
from pimd.settings.lines import line_of
from pimd.settings.model import ENV_PREFIX
from pimd.store import overrides as over
from pimd.store.overrides import Overrides

HIDDEN = "********"


def origins(
    settings: Settings,
    file: Settings,
    text: str,
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Overrides,
    own: Path | None,
) -> Sequence[ConfigOrigin]:
    """List all settings in force, each with the variable, the daemon's file, or the line of the administrator's."""
    variables = {name.upper(): name for name in environ if name.startswith(ENV_PREFIX)}

    def origin(key: tuple[str | int, ...], named: str, value: Any) -> ConfigOrigin:
        variable = variables.get(ENV_PREFIX + "__".join(map(str, key)).upper())
        shown = HIDDEN if isinstance(value, SecretStr) else as_text(value) if isinstance(value, Path) else value
        if variable is not None:
            return ConfigOrigin(named, shown, "environment", variable)
        if own is not None and _is_overridden(named, settings, file, overrides):
            return ConfigOrigin(named, shown, "daemon", as_text(own))
        if path is not None and _is_given(file, key):
            return ConfigOrigin(named, shown, "file", as_text(path), line_of(text, key))
        return ConfigOrigin(named, shown, "default", "")

    return [origin(*one) for one in [*_leaves(settings), *_peers(settings, file, overrides)]]


def _leaves(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str, Any]]:
    def walk(value: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str | int, ...], str, Any]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, (*at, key))
        else:
            yield at, ".".join(at), value

    for section, value in settings.model_dump().items():
        if section != "peers":
            yield from walk(value, (section,))


def _peers(
    settings: Settings, file: Settings, overrides: Overrides
) -> Iterator[tuple[tuple[str | int, ...], str, Any]]:
    lines = {str(peer.endpoint or peer.ip): index for index, peer in enumerate(file.peers)}
    for peer in settings.peers:
        name = str(peer.endpoint or peer.ip)
        value = {key: one for key, one in (("node_id", peer.node_id), ("label", peer.label)) if one}
        yield ("peers", lines.get(name, -1)), f"{over.PEERS}{name}", value
    for key, one in overrides.items():
        if key.startswith(over.PEERS) and one.value is None:
            yield ("peers", -1), key, "disabled"


def _is_overridden(key: str, settings: Settings, file: Settings, overrides: Overrides) -> bool:
    if key in {"features.enabled", "features.disabled"}:
        name = key.rpartition(".")[2]
        return bool(getattr(settings.features, name) != getattr(file.features, name))
    if key.startswith(over.FEATURES) and key.endswith(".enabled"):
        return key.removesuffix(".enabled") in overrides
    return key in overrides


def _is_given(file: Settings, key: tuple[str | int, ...]) -> bool:
    """Tell whether the file says it; a number stands for an entry of a list."""
    inner: Any = file
    for part in key:
        if isinstance(part, int):
            return part >= 0
        if isinstance(inner, dict):
            if part not in inner:
                return False
            inner = inner[part]
        elif part in getattr(inner, "model_fields_set", ()):
            inner = getattr(inner, part)
        else:
            return False
    return True
