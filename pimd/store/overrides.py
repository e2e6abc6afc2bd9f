"""What the daemon itself decided, on request, about settings: each beside the value of the file that it takes the place of."""

import json
import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from pimd.addresses import Endpoint
from pimd.contract import PeerEntry
from pimd.ids import NodeId
from pimd.settings import Loaded, Settings, disabled_features, load
from pimd.settings.load import OLD_TABLES
from pimd.settings.model import ENV_PREFIX
from pimd.settings.sections import PeerSection
from pimd.store import config_edits as edits
from pimd.store.text_file import replace

log = logging.getLogger("pimd.settings")

NAME = "settings.json"
VERSION = 1
PEERS, FEATURES, BROADCAST, ROUTE = "peers.", "features.", "messaging.broadcast.", "route."
"""Beginnings of the keys that may be overridden."""


class OverridesError(Exception):
    """The file of the overrides cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class Override:
    """One decision: for a peer its `node_id` and `label`, or None where it is disabled; for other keys the value."""

    value: Any
    over: Any
    """What the administrator's file said then; once that is another value, the override lapses."""


Overrides = Mapping[str, Override]
"""Dotted key, such as `peers.tcp:a:9100` or `features.logs`, to the decision."""


def peer_key(endpoint: Endpoint) -> str:
    """Return the key of a peer."""
    return f"{PEERS}{endpoint}"


def peer_value(entry: PeerEntry) -> dict[str, Any]:
    """Return what an override of a peer holds."""
    return {"node_id": str(entry.node_id) if entry.node_id is not None else None, "label": entry.label}


def base(key: str, file: Settings) -> Any:
    """Return what the administrator's file says about a key, as JSON has it."""
    if key.startswith(PEERS):
        return next((_of_peer(one) for one in file.peers if str(one.endpoint) == key.removeprefix(PEERS)), None)
    if key.startswith(FEATURES):
        return _of_feature(key.removeprefix(FEATURES), file)
    if key.startswith(BROADCAST):
        return getattr(file.messaging.broadcast, key.removeprefix(BROADCAST), None)
    return file.route.split_default


def _of_peer(peer: PeerSection) -> dict[str, Any]:
    return {"node_id": peer.node_id, "label": peer.label}


def _of_feature(name: str, file: Settings) -> str | None:
    if name in disabled_features(file):
        return "off"
    if file.features.enabled is not None:
        return "on" if name in file.features.enabled else "unlisted"
    old = getattr(file, name) if name in OLD_TABLES else None
    is_listed = old is not None and "enabled" in old.model_fields_set
    return "on" if is_listed or file.features.tables.get(name, {}).get("enabled") is True else None


def is_idle(key: str, one: Override) -> bool:
    """Tell whether an override says what the file says anyway."""
    if key.startswith(FEATURES):
        return one.over in (("on",) if one.value else ("off", "unlisted"))
    return bool(one.value == one.over)


def only_ours(table: Mapping[str, Any]) -> bool:
    """Tell whether a file says nothing but what may be overridden: then nobody set anything else in it."""
    messaging, features = table.get("messaging", {}), table.get("features", {})
    of_features = [one for key, one in features.items() if key not in {"enabled", "disabled"}]
    return (
        table.keys() <= {"peers", "features", "messaging", "route"}
        and all(isinstance(one, dict) and one.keys() <= {"enabled"} for one in of_features)
        and messaging.keys() <= {"broadcast"}
        and messaging.get("broadcast", {}).keys() <= {"outgoing_interval_s", "watch_incoming", "min_peer_interval_s"}
    )


def variable_of(key: str, environ: Mapping[str, str]) -> str | None:
    """Return the environment variable that decides about a key, which no override beats."""
    if key.startswith(PEERS):
        return None
    path = key.replace(".", "__").upper()
    names = [f"{ENV_PREFIX}{path}"]
    if key.startswith(FEATURES):
        name = key.removeprefix(FEATURES).upper()
        names = [f"{ENV_PREFIX}{one}" for one in ("FEATURES__ENABLED", "FEATURES__DISABLED", f"{path}__ENABLED")]
        names.append(f"{ENV_PREFIX}{name}__ENABLED")
    given = {one.upper(): one for one in environ}
    return next((given[one] for one in names if one in given), None)


def live(overrides: Overrides, file: Settings) -> dict[str, Override]:
    """Return those that did not lapse."""
    return {key: one for key, one in overrides.items() if one.over == base(key, file)}


def merged(text: str, overrides: Overrides, environ: Mapping[str, str]) -> str:
    """Return the administrator's text with live overrides put into it, but those that the environment decides about."""
    counting = {key: one for key, one in overrides.items() if variable_of(key, environ) is None}
    if not counting:
        return text
    try:
        return _with(text, counting)
    # tomlkit fails in its own ways over forms that it does not expect; what the text says is enough then.
    except (TOMLKitError, ValueError, LookupError, TypeError, AttributeError):
        return _with(tomlkit.dumps(tomllib.loads(text)), counting)


def _with(text: str, overrides: Overrides) -> str:
    document = tomlkit.parse(text if not text or text.endswith("\n") else f"{text}\n")
    for key, one in overrides.items():
        _put_in(document, key, one.value)
    result = tomlkit.dumps(document)
    tomllib.loads(result)
    return result


def _put_in(document: tomlkit.TOMLDocument, key: str, value: Any) -> None:
    if key.startswith(PEERS):
        endpoint = Endpoint.parse(key.removeprefix(PEERS))
        edits.remove_peer(document, endpoint)
        if value is not None:
            edits.add_peer(document, peer_of(endpoint, value))
    elif key.startswith(FEATURES):
        edits.set_feature(document, key.removeprefix(FEATURES), enabled=value)
    elif key.startswith(BROADCAST):
        edits.set_broadcast(document, {key.removeprefix(BROADCAST): value})
    elif key.startswith(ROUTE):
        edits.set_key(document, key.split("."), value)


def peer_of(endpoint: Endpoint, value: Mapping[str, Any]) -> PeerEntry:
    """Return the entry that an override of a peer stands for."""
    node_id = value.get("node_id")
    return PeerEntry(endpoint, NodeId.parse(node_id) if node_id else None, value.get("label") or "")


def with_overrides(loaded: Loaded, path: Path | None, environ: Mapping[str, str], overrides: Overrides) -> Settings:
    """Return the settings in force: of the environment, the overrides, and the file, in this order."""
    counting = live(overrides, loaded.file)
    text = merged(loaded.origin.text, counting, environ)
    return loaded.settings if text == loaded.origin.text else load(text, path, environ).settings


class OverridesFile:
    """`settings.json` in the data directory; `OverridesError` when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.overrides: Overrides = _read(path)

    def write(self, overrides: Overrides) -> None:
        """Replace the file; OSError with nothing changed."""
        if overrides == self.overrides:
            return
        held = {key: vars(one) for key, one in overrides.items()}
        text = json.dumps({"version": VERSION, "overrides": held}, indent=1, ensure_ascii=False)
        replace(self.path, f"{text}\n".encode(), backup=False)
        self.overrides = dict(overrides)


def _read(path: Path) -> dict[str, Override]:
    try:
        found = json.loads(path.read_bytes())
        if found["version"] > VERSION:
            raise OverridesError(f"{path}: was written by a newer pimd; install that one again")
        return {key: Override(one["value"], one["over"]) for key, one in found["overrides"].items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OverridesError(
            f"{path}: cannot be read: {error.strerror}; check who owns it, or choose another data directory"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OverridesError(
            f"{path}: is damaged ({error}); move it away to start without the peers that were added, and what was switched"
        ) from error
