"""The configuration: the administrator's file, what the daemon decided beside it, and how both are changed."""

import asyncio
import contextlib
import errno
import hashlib
import threading
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import tomlkit
from tomlkit.exceptions import TOMLKitError

from pimd.addresses import Endpoint
from pimd.contract import BroadcastConfig, ConfigOrigin, ConfigProblem, ConfigText, PeerEntry, SavedConfig, WrongConfig
from pimd.ids import NodeId
from pimd.paths import SYSTEM_CONFIG, shown
from pimd.settings import Settings, SettingsError, load, old_tables
from pimd.settings.lines import line_of
from pimd.settings.restart import needing_restart
from pimd.store import config_edits as edits
from pimd.store import overrides as over
from pimd.store import text_file
from pimd.store.config_origins import origins
from pimd.store.config_save import Sent, returned
from pimd.store.default_route import DefaultRoute
from pimd.store.overrides import Override, Overrides, OverridesFile
from pimd.store.text_file import NotText, Text

NEW_FILE = "# Written by pimd; docs/configuration.md explains every key.\n"

T = TypeVar("T")
Edit = Callable[[tomlkit.TOMLDocument], bool]


class Daemon(Protocol):
    """What a running daemon makes of changed settings."""

    def check(self, settings: Settings) -> Iterator[tuple[Sequence[str | int], str]]:
        """Yield the keys of what its features do not accept, and why."""

    async def apply(self, before: Settings, files: Settings, after: Settings) -> Sequence[str]:
        """Put in force what can be; return the keys that need a restart.

        `before` are the settings in force, `files` what the files said until now.
        """


@dataclass(frozen=True)
class _Now:
    """The administrator's file and the overrides that count, as they are now."""

    text: Text
    file: Settings
    overrides: dict[str, Override]


class ConfigFile:
    """Implements `contract.Config`; edits raise OSError when nothing can be written, with nothing changed.

    Without an `own` file every edit goes into the configuration file.
    """

    def __init__(
        self,
        path: Path | None,
        create_at: Path,
        settings: Settings,
        name: str,
        environ: Mapping[str, str] | None = None,
        own: OverridesFile | None = None,
    ) -> None:
        self._path = path
        self._create_at = create_at
        self._settings = settings
        self._name = name
        self._environ = environ or {}
        self._own = own
        self.daemon: Daemon | None = None
        """Once it runs."""
        self._broadcast = _broadcast_of(settings)
        # Held by the editing thread, which continues when its caller is cancelled.
        self.default_route = DefaultRoute(self.route_wish, self.set_route_wish)
        self._turn = threading.Lock()

    # --- what is read

    def read(self) -> ConfigText:
        """The file as it is now, with the daemon's decisions in it."""
        text = self._content().content
        with contextlib.suppress(SettingsError, TOMLKitError):  # then it is shown as it is, so that it can be corrected
            text = self._merged(self._now())
        path = shown(self._path) if self._path is not None else ""
        return ConfigText(text, path, self._modified_ms(), hashlib.sha256(text.encode()).hexdigest())

    def peers(self) -> Sequence[PeerEntry]:
        """The peers that were in force at the start, and were changed since."""
        return [
            PeerEntry(peer.endpoint, NodeId.parse(peer.node_id) if peer.node_id is not None else None, peer.label)
            for peer in self._settings.peers
            if peer.endpoint is not None
        ]

    def mesh_cidr(self) -> str:
        """The configured address, or an empty string."""
        configured = self._settings.interface.mesh_ip
        return "" if configured == "auto" else configured

    def interface(self) -> tuple[str, int]:
        """Name and MTU of `[interface]`; no interface exists before there is a data plane."""
        return self._settings.interface.name, self._settings.interface.mtu

    def node_name(self) -> str:
        """The name that this node announces."""
        return self._name

    def broadcast(self) -> BroadcastConfig:
        """The configured settings, or those of the last `set_broadcast`."""
        return self._broadcast

    def route_wish(self) -> bool:
        """Whether the user wishes that this machine's traffic leaves through a gateway."""
        return self._settings.route.split_default

    def discovery(self) -> Mapping[str, Any]:
        """As configured at the start."""
        new = self._settings.features.tables.get("discovery", {})
        return {**old_tables(self._settings).get("discovery", {}), **new}

    def current(self) -> Settings:
        """The settings as the files are now; SettingsError when they do not load. Most of them count at the next start."""
        return self._loaded(self._now())

    def validate(self, text: str) -> Sequence[ConfigProblem]:
        """Everything wrong with `text`."""
        try:
            load(text, self._path, self._environ)
        except SettingsError as error:
            return _problems(error)
        return []

    def origins(self) -> Sequence[ConfigOrigin]:
        """Every setting as the files are now, and where its value comes from."""
        now = self._readable_now()
        own = self._own.path if self._own is not None else None
        return origins(self._loaded(now), now.file, now.text.content, self._path, self._environ, now.overrides, own)

    # --- what is changed

    async def add_peer(self, entry: PeerEntry) -> None:
        """Keep an entry; one that is there already stays as it is, and one that was disabled counts again."""
        key = over.peer_key(entry.endpoint)

        def change(now: _Now) -> bool:
            if over.base(key, now.file) is not None:
                return self._commit(now, _without(now.overrides, key))
            if key in now.overrides:
                return False
            return self._decide(now, {key: over.peer_value(entry)}, lambda document: edits.add_peer(document, entry))

        await self._change(change)

    async def remove_peer(self, endpoint: Endpoint) -> bool:
        """Take an entry out, or disable one of the administrator's; False without one."""
        key = over.peer_key(endpoint)

        def change(now: _Now) -> bool:
            known = now.overrides.get(key)
            if known is not None and known.value is None:
                return False  # disabled already
            if over.base(key, now.file) is None:
                return self._commit(now, _without(now.overrides, key))
            return self._decide(now, {key: None}, lambda document: edits.remove_peer(document, endpoint))

        return await self._change(change)

    async def rename_peers(self, endpoints: Collection[Endpoint], old: NodeId, new: NodeId) -> bool:
        """Write another `node_id` into the entries of these endpoints that name `old`; False without one.

        PermissionError when the administrator's file names `old`, which nothing but that file can change.
        """

        def change(now: _Now) -> bool:
            mine = dict(now.overrides)
            for key in map(over.peer_key, endpoints):
                known = mine.get(key)
                if known is not None and known.value is not None and known.value["node_id"] == str(old):
                    mine[key] = Override({**known.value, "node_id": str(new)}, known.over)
            named = [one for one in now.file.peers if one.endpoint in endpoints and one.node_id == str(old)]
            if named and not self._is_own(now.text):
                where = f"{self._path} demands node_id {old} at {named[0].address}"
                raise PermissionError(f"{where}; an administrator changes it there")
            edit: Edit = lambda document: edits.rename_peers(document, endpoints, old, new)  # noqa: E731
            return self._commit(now, mine, edit if named else None)

        return await self._change(change)

    async def set_feature(self, name: str, *, enabled: bool) -> None:
        """Switch a feature on or off, also for later starts."""
        key = f"{over.FEATURES}{name}"
        self._refuse_decided(key)
        edit: Edit = lambda document: edits.set_feature(document, name, enabled=enabled)  # noqa: E731
        await self._change(lambda now: self._decide(now, {key: enabled}, edit))

    async def set_broadcast(self, broadcast: BroadcastConfig) -> None:
        """Keep how identities are broadcast, then apply it."""
        changed = {key: value for key, value in vars(broadcast).items() if value != getattr(self._broadcast, key)}
        # Kept even when it is in force already: the file may have been edited since.
        values = {f"{over.BROADCAST}{key}": value for key, value in (changed or vars(broadcast)).items()}
        for key in values if changed else ():
            self._refuse_decided(key)
        edit: Edit = lambda document: edits.set_broadcast(document, vars(broadcast))  # noqa: E731
        await self._change(lambda now: self._decide(now, values, edit))
        self._put_in_force(broadcast)

    def _put_in_force(self, broadcast: BroadcastConfig) -> None:
        self._broadcast = broadcast
        messaging = self._settings.messaging
        sent = messaging.broadcast.model_copy(update=vars(broadcast))
        self._settings = self._settings.model_copy(
            update={"messaging": messaging.model_copy(update={"broadcast": sent})}
        )

    async def set_route_wish(self, *, on: bool) -> None:
        """Keep whether this machine's traffic is to leave through a gateway."""
        key = f"{over.ROUTE}split_default"
        self._refuse_decided(key)
        edit: Edit = lambda document: edits.set_key(document, key.split("."), value=on)  # noqa: E731
        await self._change(lambda now: self._decide(now, {key: on}, edit))
        route = self._settings.route.model_copy(update={"split_default": on})
        self._settings = self._settings.model_copy(update={"route": route})

    def _refuse_decided(self, key: str) -> None:
        variable = over.variable_of(key, self._environ)
        if variable is not None:
            raise PermissionError(f"the environment variable {variable} decides about it; change that")

    async def save(self, text: str, *, format: Literal["toml", "json"] = "toml", dry_run: bool = False) -> SavedConfig:  # noqa: A002 - as in the method's params
        """Put a whole new text in the place of what `read` returned, each change where its value comes from.

        `WrongConfig` lists all that is wrong with it; OSError with nothing changed.
        """
        before = self._settings
        files, settings, written_to = await self._run(lambda: self._saved(text, format, dry_run))
        if dry_run or self.daemon is None:
            return SavedConfig(needing_restart(before, settings), shown(written_to))
        return SavedConfig(await self.daemon.apply(before, files, settings), shown(written_to))

    def _saved(self, text: str, format_: str, dry_run: bool) -> tuple[Settings, Settings, Path]:  # noqa: FBT001
        with self._turn:
            sent = self._checked(text, format_)
            try:
                now = self._now()
                files = self._loaded(now)
                content, overrides = returned(sent, now.text.content, now.file, now.overrides, self._environ)
            except (
                SettingsError
            ):  # a file that does not load was shown as it is, and is replaced by what was made of it
                now = _Now(self._content(), sent.file, dict(self._own.overrides) if self._own is not None else {})
                files, content, overrides = self._settings, sent.whole, now.overrides
            if not dry_run:
                self._write(now, content, overrides)
                at_once = ("peers", "interface", "log", "route")
                self._settings = self._settings.model_copy(update={key: getattr(sent.settings, key) for key in at_once})
                self._put_in_force(_broadcast_of(sent.settings))
            is_beside = self._own is not None and content == now.text.content and overrides != now.overrides
            path = self._own.path if is_beside and self._own is not None else self._path or self._create_at
            return files, sent.settings, path

    def _checked(self, text: str, format_: str) -> Sent:
        try:
            sent = Sent.of(text, format_, self._path, self._environ)
        except SettingsError as error:
            raise WrongConfig(_problems(error)) from None
        wrong = self.daemon.check(sent.settings) if self.daemon is not None else ()
        problems = [
            ConfigProblem(message=message, line=line_of(sent.text or "", key), path=".".join(map(str, key)))
            for key, message in wrong
        ]
        if problems:
            raise WrongConfig(problems)
        return sent

    def forget_lapsed(self) -> None:
        """Drop the overrides whose value in the administrator's file has changed; called with the data directory held."""
        if self._own is None or self._own.overrides == (counting := self._now().overrides):
            return
        for key in sorted(self._own.overrides.keys() - counting.keys()):
            over.log.info("%s: what was set here lapses, since the configuration file says something else now", key)
        try:
            self._keep(counting)
        except OSError as error:
            over.log.warning("%s cannot be written: %s", self._own.path, error.strerror)

    # --- inside

    async def _change(self, change: Callable[[_Now], bool]) -> bool:
        return await self._run(lambda: self._changed(change))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    def _changed(self, change: Callable[[_Now], bool]) -> bool:
        with self._turn:
            return change(self._readable_now())

    def _now(self) -> _Now:
        text = self._content()
        file = load(text.content, self._path, self._environ).file
        held = self._own.overrides if self._own is not None else {}
        return _Now(text, file, over.live(held, file))

    def _readable_now(self) -> _Now:
        try:
            return self._now()
        except SettingsError as error:
            raise OSError(errno.EINVAL, f"the configuration file does not load: {error}", self._path) from error

    def _merged(self, now: _Now) -> str:
        return over.merged(now.text.content, now.overrides, self._environ)

    def _loaded(self, now: _Now) -> Settings:
        return load(self._merged(now), self._path, self._environ).settings

    def _is_own(self, text: Text) -> bool:
        """Tell whether the file is the daemon's own: of its user, and nothing in it but what the daemon writes."""
        if self._own is None:
            return True
        if self._path in {None, SYSTEM_CONFIG} or not text_file.is_own(self._path):
            return False
        return over.only_ours(tomllib.loads(text.content))

    def _decide(self, now: _Now, values: Mapping[str, Any], edit: Edit) -> bool:
        """Write a decision into the file, when that is the daemon's own, else beside it."""
        others = _without(now.overrides, *values)
        if self._is_own(now.text):
            return self._commit(now, others, edit)
        mine = {key: Override(value, over.base(key, now.file)) for key, value in values.items()}
        return self._commit(now, others | {key: one for key, one in mine.items() if not over.is_idle(key, one)})

    def _commit(self, now: _Now, overrides: Overrides, edit: Edit | None = None) -> bool:
        """Write what changed, and tell whether anything did; nothing is written that would not load."""
        try:
            content = now.text.content if edit is None else self._edited(now.text.content, edit)
            file = load(content, self._path, self._environ).file
            after = self._loaded(_Now(Text(content), file, over.live(overrides, file)))
        except (SettingsError, TOMLKitError) as error:
            raise OSError(errno.EINVAL, f"the configuration file does not load: {error}", self._path) from error
        self._write(now, content, overrides)
        changed = content != now.text.content or overrides != now.overrides
        self._settings = self._settings.model_copy(update={"peers": after.peers, "route": after.route})
        return changed

    def _edited(self, content: str, edit: Edit) -> str:
        text = content or NEW_FILE
        document = tomlkit.parse(text if text.endswith("\n") else f"{text}\n")
        return tomlkit.dumps(document) if edit(document) else content

    def _write(self, now: _Now, content: str, overrides: Overrides) -> None:
        before = self._own.overrides if self._own is not None else {}
        self._keep(overrides)
        try:
            if content != now.text.content:
                self._replace(content)
        except OSError:
            self._keep(before)
            raise

    def _keep(self, overrides: Overrides) -> None:
        if self._own is not None:
            self._own.write(overrides)

    def _content(self) -> Text:
        if self._path is None:
            return Text("")
        try:
            return text_file.read(self._path)
        except FileNotFoundError:
            return Text("")
        except NotText as error:
            raise OSError(errno.EINVAL, f"the configuration file does not load: it {error}", self._path) from None

    def _modified_ms(self) -> int:
        files = [self._path, self._own.path if self._own is not None else None]
        return max((int(one.stat().st_mtime * 1000) for one in files if one is not None and one.exists()), default=0)

    def _replace(self, content: str) -> Path:
        path = self._path or self._create_at
        text_file.replace(path, text_file.encode(content, self._content()))
        self._path = path
        return path


def _broadcast_of(settings: Settings) -> BroadcastConfig:
    sent = settings.messaging.broadcast
    return BroadcastConfig(sent.outgoing_interval_s, sent.watch_incoming, sent.min_peer_interval_s)


def _without(overrides: Overrides, *keys: str) -> dict[str, Override]:
    return {key: one for key, one in overrides.items() if key not in keys}


def _problems(error: SettingsError) -> list[ConfigProblem]:
    return [ConfigProblem(message=p.message, line=p.line, column=p.column, path=p.path) for p in error.problems]
