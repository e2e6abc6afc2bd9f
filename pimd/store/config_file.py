"""The configuration file: read, checked, edited with its comments and order kept, replaced atomically."""

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, InlineTable, Table, Whitespace

from pimd.addresses import Endpoint
from pimd.contract import BroadcastConfig, ConfigProblem, ConfigText, PeerEntry
from pimd.ids import NodeId
from pimd.paths import sync_directory
from pimd.settings import Settings, SettingsError, load, old_tables
from pimd.settings.load import OLD_TABLES

NEW_FILE = "# Written by pimd; docs/configuration.md explains every key.\n"
BACKUP_SUFFIX = ".bak"


class ConfigFile:
    """Implements `contract.Config`; edits raise OSError when the file cannot be written, with nothing changed."""

    def __init__(
        self,
        path: Path | None,
        create_at: Path,
        settings: Settings,
        name: str,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._path = path
        self._create_at = create_at
        self._settings = settings
        self._name = name
        self._environ = environ or {}
        sent = settings.messaging.broadcast
        self._renamed: dict[Endpoint, NodeId] = {}
        self._broadcast = BroadcastConfig(sent.outgoing_interval_s, sent.watch_incoming, sent.min_peer_interval_s)
        # Held by the editing thread, which continues when its caller is cancelled.
        self._turn = threading.Lock()

    def read(self) -> ConfigText:
        """The file as it is now."""
        try:
            text = self._path.read_text(encoding="utf-8") if self._path is not None else ""
            modified_ms = int(self._path.stat().st_mtime * 1000) if self._path is not None else 0
        except FileNotFoundError:
            text, modified_ms = "", 0
        return ConfigText(text, self._path, modified_ms, hashlib.sha256(text.encode()).hexdigest())

    def peers(self) -> Sequence[PeerEntry]:
        """The `[[peers]]` that were in force at the start, with the keys that were accepted since."""
        return [
            PeerEntry(peer.endpoint, self._node_id(peer.endpoint, peer.node_id), peer.label)
            for peer in self._settings.peers
            if peer.endpoint is not None
        ]

    def _node_id(self, endpoint: Endpoint, text: str | None) -> NodeId | None:
        return self._renamed.get(endpoint, NodeId.parse(text)) if text is not None else None

    def mesh_cidr(self) -> str:
        """The configured address, or an empty string."""
        configured = self._settings.interface.mesh_ip
        return "" if configured == "auto" else configured

    def interface(self) -> tuple[str, int]:
        """Name and MTU of `[interface]` as at the start; no interface exists before there is a data plane."""
        return self._settings.interface.name, self._settings.interface.mtu

    def node_name(self) -> str:
        """The name that this node announces."""
        return self._name

    def broadcast(self) -> BroadcastConfig:
        """The configured settings, or those of the last `set_broadcast`."""
        return self._broadcast

    async def set_broadcast(self, broadcast: BroadcastConfig) -> None:
        """Write `[messaging.broadcast]`, then apply it."""

        def edit(document: tomlkit.TOMLDocument) -> bool:
            messaging = document.setdefault("messaging", tomlkit.table(is_super_table=True))
            inline = isinstance(messaging, InlineTable)
            table = messaging.setdefault("broadcast", tomlkit.inline_table() if inline else tomlkit.table())
            _set_keys(table, vars(broadcast))
            return True

        await self._edit(edit)
        self._broadcast = broadcast

    def discovery(self) -> Mapping[str, Any]:
        """As configured at the start."""
        new = self._settings.features.tables.get("discovery", {})
        return {**old_tables(self._settings).get("discovery", {}), **new}

    def current(self) -> Settings:
        """The settings of the file as it is now; SettingsError when it does not load. Most of them count at the next start."""
        return load(self.read().text, self._path, self._environ).settings

    def validate(self, text: str) -> Sequence[ConfigProblem]:
        """Everything wrong with `text`."""
        try:
            load(text, self._path, self._environ)
        except SettingsError as error:
            return [ConfigProblem(message=p.message, line=p.line, column=p.column, path=p.path) for p in error.problems]
        return []

    async def add_peer(self, entry: PeerEntry) -> None:
        """Append to the peers in the form that the file uses; an existing entry stays as it is."""

        def edit(document: tomlkit.TOMLDocument) -> bool:
            peers = document.get("peers", [])
            if any(_is_at(peer, entry.endpoint) for peer in peers):
                return False
            if isinstance(peers, Array):
                peers.append(_filled(tomlkit.inline_table(), entry))
            else:
                _append_table(document, "peers", _filled(tomlkit.table(), entry))
            return True

        await self._edit(edit)

    async def remove_peer(self, endpoint: Endpoint) -> bool:
        """Remove every peer with that endpoint; False without one."""

        def edit(document: tomlkit.TOMLDocument) -> bool:
            peers = document.get("peers", [])
            going = [index for index, peer in enumerate(peers) if _is_at(peer, endpoint)]
            for index in reversed(going):
                _remove_from(document, "peers", index)
            return bool(going)

        return await self._edit(edit)

    async def rename_peers(self, endpoints: Collection[Endpoint], old: NodeId, new: NodeId) -> bool:
        """Write another `node_id` into the entries of these endpoints that name `old`; False without one."""

        def edit(document: tomlkit.TOMLDocument) -> bool:
            named = [
                peer
                for peer in document.get("peers", [])
                if peer.get("node_id", "").lower() == str(old) and any(_is_at(peer, one) for one in endpoints)
            ]
            for peer in named:
                peer["node_id"] = str(new)
            return bool(named)

        changed = await self._edit(edit)
        self._renamed |= dict.fromkeys(endpoints, new)
        return changed

    async def set_feature(self, name: str, *, enabled: bool) -> None:
        """Make `[features]` say that a feature is on, or off."""

        def edit(document: tomlkit.TOMLDocument) -> bool:
            features = document.setdefault("features", tomlkit.table())
            for key, belongs in (("enabled", enabled), ("disabled", not enabled)):
                _set_member(features, key, name, belongs=belongs)
            # `enabled` counts at the old place of the table, too.
            for table in (features.get(name), document.get(name) if name in OLD_TABLES else None):
                if isinstance(table, dict) and "enabled" in table:
                    table["enabled"] = enabled
            return True

        await self._edit(edit)

    async def save(self, text: str) -> Path:
        """Replace the whole file."""
        return await asyncio.to_thread(self._saved, text)

    def _saved(self, text: str) -> Path:
        with self._turn:
            return self._replace(text)

    async def _edit(self, edit: Any) -> bool:
        return await asyncio.to_thread(self._edited, edit)

    def _edited(self, edit: Any) -> bool:
        with self._turn:
            text = self._changed(edit)
            if text is not None:
                self._replace(text)
            return text is not None

    def _changed(self, edit: Any) -> str | None:
        """Return the file's text after an edit, None when that changes nothing."""
        try:
            text = self.read().text or NEW_FILE
            text += "" if text.endswith("\n") else "\n"
            load(text, self._path, self._environ)  # an edit relies on the type of every key
            document = tomlkit.parse(text)
            if not edit(document):
                return None
            text = tomlkit.dumps(document)
            load(text, self._path, self._environ)  # never write a file that would not load
        except (SettingsError, TOMLKitError, UnicodeDecodeError) as error:
            raise OSError(errno.EINVAL, f"the configuration file does not load: {error}", self._path) from error
        return text

    def _replace(self, text: str) -> Path:
        path = self._path or self._create_at
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        if path.exists():
            _write(path.with_name(path.name + BACKUP_SUFFIX), path.read_bytes(), mode)
        _write(path, text.encode(), mode)
        self._path = path
        return path


def _is_at(peer: Any, endpoint: Endpoint) -> bool:
    """Tell whether a table of a valid file names this endpoint, in any of its spellings."""
    return peer["mechanism"] == "tcp" and Endpoint.parse(peer["address"]) == endpoint


def _filled(table: Any, entry: PeerEntry) -> Any:
    """Write a peer into an empty table."""
    table["mechanism"] = "tcp"
    table["address"] = entry.endpoint.text
    if entry.node_id is not None:
        table["node_id"] = str(entry.node_id)
    if entry.label:
        table["label"] = entry.label
    return table


def _append_table(document: tomlkit.TOMLDocument, name: str, table: Table) -> None:
    """Append to an array of tables behind a blank line; text below a blank line after the last table stays below."""
    tables = document.get(name)
    if tables:
        for remark in _cut_tail(tables[-1]):
            table.add(remark)
    if tables or not document.as_string().endswith("\n\n"):
        table.trivia.indent = "\n"
    document.setdefault(name, tomlkit.aot()).append(table)


def _remove_from(document: tomlkit.TOMLDocument, name: str, index: int) -> None:
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


def _set_member(features: Any, key: str, name: str, *, belongs: bool) -> None:
    """Add a name to a list, or remove it; an absent `enabled` means all features, and stays absent."""
    members = features.get(key)
    if members is None:
        if belongs and key == "disabled":
            features[key] = [name]
    elif belongs and name not in members:
        members.append(name)
    elif not belongs and name in members:
        members.remove(name)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file so that after a crash it is the old or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
