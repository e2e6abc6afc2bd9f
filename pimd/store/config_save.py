"""A whole new text of the configuration is taken apart: each change goes where the value came from."""

import copy
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import tomlkit
from tomlkit.exceptions import TOMLKitError

from pimd.addresses import Endpoint
from pimd.settings import Problem, Settings, SettingsError, load
from pimd.settings.unset import without_unset
from pimd.store import config_edits as edits
from pimd.store import overrides as over
from pimd.store.overrides import Override, Overrides

_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|#[^\n]*"
)
Table = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A text that somebody wants to be the configuration."""

    text: str | None
    """None where it came in another format than TOML."""
    table: Table
    settings: Settings
    """With the environment."""
    file: Settings

    @property
    def whole(self) -> str:
        """All of it as TOML."""
        return self.text if self.text is not None else tomlkit.dumps(self.table)

    @classmethod
    def of(cls, text: str, format_: str, path: Path | None, environ: Mapping[str, str]) -> Self:
        """Read and check it; `SettingsError` with all problems."""
        if format_ == "json":
            table = _from_json(text)
            loaded = load("", path, environ, table)
            return cls(None, without_unset(table, Settings), loaded.settings, loaded.file)
        text = text.removeprefix("\ufeff")  # the byte order mark of an editor
        loaded = load(text, path, environ)
        return cls(text, without_unset(tomllib.loads(text), Settings), loaded.settings, loaded.file)


def returned(
    sent: Sent, text: str, file: Settings, overrides: Overrides, environ: Mapping[str, str]
) -> tuple[str, dict[str, Override]]:
    """Return the administrator's text and the overrides that together say what was sent.

    `text` and `file` are the administrator's now. Comments and form are those of what was sent if it has comments of its own;
    else, as from a form, those that are here now.
    """
    counting = {key: one for key, one in overrides.items() if over.variable_of(key, environ) is None}
    silent = {key: one for key, one in overrides.items() if key not in counting}
    target, values = _taken_apart(sent, without_unset(tomllib.loads(text), Settings), counting)
    shown = over.merged(text, counting, environ)
    content = _written(text if _adds_nothing(sent.text, text, shown) else sent.text or "", target)
    if content is None:  # no form that can be edited: what was sent counts, and all of it stands in the file
        return sent.whole, {}
    after = load(content, None, environ).file if values else file
    mine = {key: Override(value, over.base(key, after)) for key, value in values.items()}
    return content, silent | {key: one for key, one in mine.items() if not over.is_idle(key, one)}


def _from_json(text: str) -> Table:
    try:
        table = json.loads(text)
    except ValueError as error:
        line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
        raise SettingsError([Problem(f"not JSON: {getattr(error, 'msg', error)}", line, column)]) from None
    if not isinstance(table, dict):
        raise SettingsError([Problem("must be a JSON object")])
    return _without_null(table)


def _without_null(table: Table) -> Table:
    """TOML has no null; a form that sends one means that the key is not set."""
    return {key: _without_null(one) if isinstance(one, dict) else one for key, one in table.items() if one is not None}


def _adds_nothing(sent: str | None, text: str, shown: str) -> bool:
    """Tell whether a text has no comments, or only those that it was shown with beside what is no part of the file."""
    comments = _comments(sent) if sent is not None else []
    return bool(text) and (not comments or (shown != text and comments == _comments(shown)))


def _comments(text: str) -> list[str]:
    return [found[0].rstrip() for found in _TOKEN.finditer(text) if found[0].startswith("#")]


# --- what belongs to the file, and what to the overrides


def _taken_apart(sent: Sent, now: Table, overrides: Overrides) -> tuple[Table, dict[str, Any]]:
    """Return what the administrator's file is to say, and the values of overrides beside it."""
    target = copy.deepcopy(sent.table)
    values: dict[str, Any] = {}
    _peers_apart(target, now, overrides, values)
    for key, one in overrides.items():
        if key.startswith(over.FEATURES):
            name = key.removeprefix(over.FEATURES)
            is_on = over.base(key, sent.file) not in {"off", "unlisted"}
            values[key] = is_on
            _as_now(target, now, ["features", "enabled"], name)
            _as_now(target, now, ["features", "disabled"], name)
            _key_as_now(target, now, ["features", name, "enabled"])
            _key_as_now(target, now, [name, "enabled"])
        elif not key.startswith(over.PEERS):
            path = key.split(".")
            value = _at(sent.table, path)
            if value is not None or one.value is None:
                values[key] = value
                _key_as_now(target, now, path)
    return target, values


def _peers_apart(target: Table, now: Table, overrides: Overrides, values: dict[str, Any]) -> None:
    ours = {key: one.value for key, one in overrides.items() if key.startswith(over.PEERS)}
    here = {_peer_key(peer): peer for peer in now.get("peers", [])}
    wanted = {_peer_key(peer): peer for peer in target.get("peers", [])}
    new = [key for key in wanted if key is not None and key not in here and key not in ours]
    gone = [key for key, value in ours.items() if value is not None and key not in wanted]
    # An address that was edited is another key; it stays with who had the old one.
    moved = dict(zip(new, gone, strict=False))
    mine = {key for key, value in ours.items() if value is not None and key in wanted} | moved.keys()
    values |= {key: _peer_value(wanted[key]) for key in mine}
    disabled = [key for key, value in ours.items() if value is None and key not in wanted and key in here]
    values |= dict.fromkeys(disabled)
    peers = [peer for peer in target.get("peers", []) if _peer_key(peer) not in mine]
    _set(target, ["peers"], [*peers, *(here[key] for key in disabled)] or None)


def _peer_key(peer: Mapping[str, Any]) -> str | None:
    return over.peer_key(Endpoint.parse(peer["address"])) if peer.get("mechanism") == "tcp" else None


def _peer_value(peer: Mapping[str, Any]) -> Table:
    return {"node_id": peer.get("node_id", "").lower() or None, "label": peer.get("label", "")}


def _as_now(target: Table, now: Table, path: list[str], member: str) -> None:
    """Make a list have a member as it has it now; a list of enabled features that is gone stays away, since that means all."""
    before, after = _at(now, path) or [], _at(target, path)
    others = [one for one in after or [] if one != member]
    if path[-1] == "enabled":
        if after is not None and (member in before) != (member in after):
            _set(target, path, [*others, member] if member in before else others)
    elif member in before:
        _set(target, path, after if member in (after or []) else [*others, member])
    else:
        is_kept = others or (after is not None and _at(now, path) is not None)
        _set(target, path, others if is_kept else None)


def _key_as_now(target: Table, now: Table, path: list[str]) -> None:
    _set(target, path, _at(now, path))


def _at(table: Any, path: list[str]) -> Any:
    for part in path:
        table = table.get(part) if isinstance(table, dict) else None
    return table


def _set(table: Table, path: list[str], value: Any) -> None:
    """Set a key, or with None take it out, with tables that are empty then."""
    *above, last = path
    tables = [table]
    for part in above:
        inner = tables[-1].get(part)
        if inner is None:
            if value is None:
                return
            inner = tables[-1][part] = {}
        tables.append(inner)
    if value is not None:
        tables[-1][last] = value
        return
    tables[-1].pop(last, None)
    for part, outer, inner in reversed(list(zip(above, tables, tables[1:], strict=False))):
        if not inner:
            outer.pop(part)


# --- a text that says it


def _written(text: str, target: Table) -> str | None:
    """Return the text, changed so that it says exactly `target`; None where that cannot be done."""
    try:
        if _alike(tomllib.loads(text), target):
            return text
        document = tomlkit.parse(text if not text or text.endswith("\n") else f"{text}\n")
        _make_equal(document, target, top=True)
        content = tomlkit.dumps(document)
        return content if _alike(tomllib.loads(content), target) else None
    # tomlkit fails in its own ways over forms that it does not expect.
    except (TOMLKitError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _alike(one: Table, other: Table) -> bool:
    """Tell whether two tables say the same; empty tables say nothing, and the order of the peers does not count.

    An empty list says something: `enabled = []` of `[features]` is no feature at all.
    """
    return _plain(one) == _plain(other)


def _plain(table: Table) -> Table:
    inner = {key: _plain(one) if isinstance(one, dict) else one for key, one in table.items()}
    if isinstance(peers := inner.get("peers"), list):
        inner["peers"] = sorted(peers, key=repr) or {}
    return {key: one for key, one in inner.items() if one != {}}


def _make_equal(table: Any, target: Table, *, top: bool = False) -> None:
    for key in [key for key in table if key not in target]:
        if top and key == "peers":
            _peers_equal(table, [])
        elif isinstance(table[key], dict):
            _make_equal(table[key], {})
        else:
            edits.set_key(table, [key], None)
    for key, value in target.items():
        held = table.get(key)
        if top and key == "peers":
            _peers_equal(table, value)
        elif isinstance(value, dict) and isinstance(held, dict):
            _make_equal(held, value)
        elif held is None and isinstance(value, dict):
            if _plain(value):
                table[key] = tomlkit.item(value)
        elif held is None or held.unwrap() != value:
            edits.set_key(table, [key], value)


def _peers_equal(document: Any, wanted: list[Table]) -> None:
    left = {_peer_key(peer) or repr(peer): peer for peer in wanted}
    held = document.get("peers", [])
    for index in reversed(range(len(held))):
        plain = held[index].unwrap()
        peer = left.pop(_peer_key(plain) or repr(plain), None)
        if peer is None:
            edits.remove_at(document, "peers", index)
        else:
            _make_equal(held[index], peer)
    for peer in left.values():
        edits.append_peer(document, peer)
