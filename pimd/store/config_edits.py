"""Edits of a configuration text: comments, order and form stay, and values change."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.items import Array, InlineTable, Table, Whitespace

from pimd.addresses import Endpoint
from pimd.contract import PeerEntry
from pimd.ids import NodeId
from pimd.settings.load import OLD_TABLES


def add_peer(document: tomlkit.TOMLDocument, entry: PeerEntry) -> bool:
    """Append to the peers in the form that the text uses; an existing entry stays as it is, and False comes back."""
    peers = document.get("peers", [])
    if any(is_at(peer, entry.endpoint) for peer in peers):
        return False
    values = {
        "mechanism": "tcp",
        "address": entry.endpoint.text,
        "node_id": str(entry.node_id) if entry.node_id is not None else None,
        "label": entry.label,
    }
    append_peer(document, {key: value for key, value in values.items() if value})
    return True


def append_peer(document: tomlkit.TOMLDocument, values: Mapping[str, Any]) -> None:
    """Append to the peers in the form that the text uses."""
    peers = document.get("peers", [])
    is_inline = isinstance(peers, Array)
    table: Any = tomlkit.inline_table() if is_inline else tomlkit.table()
    for key, value in values.items():
        table[key] = value
    if is_inline:
        peers.append(table)
    else:
        _append_table(document, "peers", table)


def remove_peer(document: tomlkit.TOMLDocument, endpoint: Endpoint) -> bool:
    """Remove every peer with that endpoint; False without one."""
    peers = document.get("peers", [])
    going = [index for index, peer in enumerate(peers) if is_at(peer, endpoint)]
    for index in reversed(going):
        remove_at(document, "peers", index)
    return bool(going)


def rename_peers(document: tomlkit.TOMLDocument, endpoints: Collection[Endpoint], old: NodeId, new: NodeId) -> bool:
    """Write another `node_id` into the entries of these endpoints that name `old`; False without one."""
    named = [
        peer
        for peer in document.get("peers", [])
        if peer.get("node_id", "").lower() == str(old) and any(is_at(peer, one) for one in endpoints)
    ]
    for peer in named:
        peer["node_id"] = str(new)
    return bool(named)


def set_feature(document: tomlkit.TOMLDocument, name: str, *, enabled: bool) -> bool:
    """Make `[features]` say that a feature is on, or off."""
    features = document.setdefault("features", tomlkit.table())
    wanted = (("enabled", enabled), ("disabled", not enabled))
    said = [_set_member(features, key, name, belongs=belongs) for key, belongs in wanted]
    # `enabled` counts at the old place of the table, too.
    for table in (features.get(name), document.get(name) if name in OLD_TABLES else None):
        if isinstance(table, dict) and "enabled" in table:
            table["enabled"] = enabled
            said.append(True)
    if enabled and not any(said) and "enabled" not in features:
        set_key(document, ["features", name, "enabled"], value=True)  # it may be off by default
    return True


def set_key(document: tomlkit.TOMLDocument, path: Sequence[str], value: Any) -> bool:
    """Set one key below tables, which are made where they are not there; None takes the key out."""
    table: Any = document
    for at, part in enumerate(path[:-1]):
        if value is None and part not in table:
            return False
        inline = isinstance(table, InlineTable)
        is_last = at == len(path) - 2
        table = table.setdefault(part, tomlkit.inline_table() if inline else tomlkit.table(is_super_table=not is_last))
    _set_keys(table, {path[-1]: value})
    return True


def set_broadcast(document: tomlkit.TOMLDocument, values: Mapping[str, Any]) -> bool:
    """Write keys of `[messaging.broadcast]`, and remove those that are None."""
    messaging = document.setdefault("messaging", tomlkit.table(is_super_table=True))
    inline = isinstance(messaging, InlineTable)
    table = messaging.setdefault("broadcast", tomlkit.inline_table() if inline else tomlkit.table())
    _set_keys(table, values)
    return True


def is_at(peer: Any, endpoint: Endpoint) -> bool:
    """Tell whether a table of a valid file names this endpoint, in any of its spellings."""
    return peer["mechanism"] == "tcp" and Endpoint.parse(peer["address"]) == endpoint


def _append_table(document: tomlkit.TOMLDocument, name: str, table: Table) -> None:
    """Append to an array of tables behind a blank line; text below a blank line after the last table stays below."""
    tables = document.get(name)
    if tables:
        for remark in _cut_tail(tables[-1]):
            table.add(remark)
    if tables or not document.as_string().endswith("\n\n"):
        table.trivia.indent = "\n"
    document.setdefault(name, tomlkit.aot()).append(table)


def remove_at(document: tomlkit.TOMLDocument, name: str, index: int) -> None:
    """Remove a table from an array; a comment below it after a blank line stays."""
    items = document[name]
    tail = "" if isinstance(items, Array) else "".join(item.as_string() for item in _cut_tail(items[index]))
    del items[index]
    if not items:
        at = next(at for at, (key, _) in enumerate(document.body) if key is not None and key.key == name)
        del document[name]
        document.body[at] = (None, Whitespace(tail))
    elif tail and index < len(items):
        items[index].trivia.indent = tail + items[index].trivia.indent
    elif tail:
        items[-1].add(Whitespace(tail))


def _cut_tail(table: Table) -> list[Any]:
    """Take the text after the first blank line below the last key: it belongs to what follows in the file."""
    body = table.value.body
    last = max((index for index, (key, _) in enumerate(body) if key is not None), default=-1)
    blank = (index for index in range(last + 1, len(body)) if isinstance(body[index][1], Whitespace))
    start = next(blank, len(body))
    tail = [item for _, item in body[start:]]
    del body[start:]
    return tail


def _set_keys(table: Any, values: Mapping[str, Any]) -> None:
    """Set keys of a table, and remove those that are None; comments behind its last key stay behind it."""
    tail = []
    while isinstance(table, Table) and table.value.body and table.value.body[-1][0] is None:
        tail.append(table.value.body.pop()[1])
    # Removals come last: tomlkit mishandles dotted keys after a removal.
    for key, value in sorted(values.items(), key=lambda item: item[1] is None):
        if value is None:
            table.pop(key, None)
        elif table.get(key) != value:
            table[key] = value
    for remark in reversed(tail):
        table.add(remark)


def _set_member(features: Any, key: str, name: str, *, belongs: bool) -> bool:
    """Add a name to a list, or remove it, and tell whether it changed; an absent `enabled` stays absent, and means all."""
    members = features.get(key)
    if members is None:
        if belongs and key == "disabled":
            features[key] = [name]
        return belongs and key == "disabled"
    if belongs == (name in members):
        return False
    (members.append if belongs else members.remove)(name)
    return True
