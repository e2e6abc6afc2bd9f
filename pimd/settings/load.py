"""From a TOML text to settings: errors with file, line and key; doubtful keys as warnings."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from pimd.characters import hidden
from pimd.settings.lines import line_of
from pimd.settings.model import ENV_PREFIX, RADIO_SECTIONS, Settings, from_sources
from pimd.settings.sections import MeshSection, OldFeatureTable, is_loopback
from pimd.settings.unset import without_unset

UNUSED = (
    "transport.max_reconnect_attempts",
    "transport.peer_cleanup",
    "routing.max_hops",
    "routing.algorithm",
    "routing.route_expiry_s",
    "routing.dns_servers",
    "security.trust_store_file",
    "messaging.broadcast.peer_cleanup",
    "discovery.port",
    "discovery.broadcast_interval_ms",
    "discovery.peer_timeout_ms",
    "discovery.shared_key",
)
"""Keys of other programs that use the same file; they have no effect here."""
OLD_TABLES = frozenset(name for name, field in Settings.model_fields.items() if field.annotation is OldFeatureTable)


@dataclass(frozen=True)
class Problem:
    """One error; `path` is the dotted key."""

    message: str
    line: int | None = None
    column: int | None = None
    path: str | None = None
    source: str | None = None
    """The file's name, or `environment`."""

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.source or "configuration", self.line) if part is not None)
        return ": ".join(part for part in (where, self.path, self.message) if part)


class SettingsError(Exception):
    """The configuration is wrong; `problems` lists all errors."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class Origin:
    """The file or variables that settings were read from."""

    text: str = field(repr=False)
    source: str
    environ: Mapping[str, str] = field(repr=False)

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """Make a problem of a key, with the variable that sets it, or its line in the file."""
        variable = ENV_PREFIX + "__".join(map(str, path)).upper()
        if variable in self.environ:
            return Problem(message, path=variable, source="environment")
        return Problem(message, line_of(self.text, path), None, ".".join(map(str, path)), self.source)


@dataclass(frozen=True)
class Loaded:
    """Settings, and the warnings for the log."""

    settings: Settings
    warnings: tuple[str, ...]
    origin: Origin
    file: Settings
    """What the text alone says."""


def load(text: str, path: Path | None, environ: Mapping[str, str], table: Mapping[str, Any] | None = None) -> Loaded:
    """Read the file's text and the environment; `SettingsError` with all problems.

    With `table` that is what the text says, in another format than TOML.
    """
    source = str(path) if path is not None else "configuration"
    table = without_unset(_table(text, source) if table is None else table, Settings)
    try:
        # Strict, as JSON: the text "9100" is no port; in the environment every value is text.
        file = Settings.model_validate_json(to_json(table, serialize_unknown=True), strict=True)
    except ValidationError as error:
        raise SettingsError(_problems(error, text, source)) from None
    try:
        settings = from_sources(table, environ)
    except ValidationError as error:
        raise SettingsError(_problems(error, text, "environment")) from None
    origin = Origin(text, source, environ)
    wrong = [*_mesh_contradictions(settings.mesh, origin), *_contradictions(settings, origin)]
    if wrong:
        raise SettingsError(wrong)
    return Loaded(settings, (*_warnings(table, settings, origin), *_environment_warnings(environ)), origin, file)


def _table(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([_syntax(str(error), text, source)]) from None
    except RecursionError:
        raise SettingsError([Problem("is nested too deeply", source=source)]) from None


def _syntax(message: str, text: str, source: str) -> Problem:
    what, _, where = message.partition(" (at ")
    if where.startswith("line "):
        line, column = (int(part.split()[-1]) for part in where.rstrip(")").split(","))
        return Problem(f"not TOML: {what}", line, column, source=source)
    return Problem(f"not TOML: {what}", max(1, len(text.rstrip("\n").split("\n"))), source=source)


def _mesh_contradictions(mesh: MeshSection, origin: Origin) -> Iterator[Problem]:
    """Refuse settings with a passphrase that would leave the mesh open, or exclude this node."""
    given = mesh.passphrase_keys
    if mesh.mode == "private" and not given:
        line = line_of(origin.text, ["mesh", "mode"])
        message = 'mode = "private" needs a passphrase, or a passphrase_file'
        yield Problem(message, line, None, "mesh.passphrase", origin.source)
    if mesh.mode == "open":
        for key in given:
            yield origin.problem(
                ("mesh", key), 'keeps nobody out of an open mesh; set mode = "private" in [mesh], or take this out'
            )
    if len(given) > 1:
        yield origin.problem(("mesh", given[1]), f"is given beside {given[0]}; take one of them out")


def _contradictions(settings: Settings, origin: Origin) -> Iterator[Problem]:
    """Find contradictions that only file and environment together show."""
    rpc = settings.rpc
    if rpc.http_enabled and not rpc.allow_remote and not is_loopback(rpc.http_host):
        yield origin.problem(
            ("rpc", "http_host"),
            f"{rpc.http_host} is reachable from other machines; use 127.0.0.1, or set allow_remote = true to allow that",
        )
    endpoints = [peer.endpoint for peer in settings.peers]
    for index, endpoint in enumerate(endpoints):
        # Only the last one would apply, without the node_id that the first may demand.
        if endpoint is not None and endpoint in endpoints[:index]:
            yield origin.problem(
                ("peers", index, "address"), f"{endpoint.text} is there twice; take one of the two peers out"
            )


def _problems(error: ValidationError, text: str, source: str) -> list[Problem]:
    problems = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        location = found["loc"]
        message = (
            found["msg"]
            .removeprefix("Value error, ")
            .replace("Input should be", "must be")
            .replace("an object", "a table")
        )
        line = line_of(text, location) if source != "environment" else None
        path = ".".join(map(str, location))
        if source == "environment":
            path = ENV_PREFIX + "__".join(str(part).upper() for part in location)
        problems.append(Problem("is missing" if message == "Field required" else message, line, None, path, source))
    return problems


def _warnings(table: Mapping[str, Any], settings: Settings, origin: Origin) -> Iterator[str]:
    text, source = origin.text, origin.source
    if settings.mesh.mode == "open" and settings.mesh.mesh_id:
        message = 'keeps nobody out of an open mesh; for that set mode = "private" in [mesh], and a passphrase'
        yield str(origin.problem(("mesh", "mesh_id"), message))
    for name in RADIO_SECTIONS:
        if name in table:
            yield f"{source}:{line_of(text, [name])}: [{name}] is not used: pimd drives no radio hardware"
    for name in OLD_TABLES & table.keys():
        yield f"{source}:{line_of(text, [name])}: [{name}] is now called [features.{name}]; what stands here still counts"
    for dotted in UNUSED:
        parts = dotted.split(".")
        if _present(table, parts):
            yield f"{source}:{line_of(text, parts)}: {dotted} is not used by pimd"
    yield from _peer_warnings(settings, origin)
    for path, near in _unknown(table, settings, ()):
        hint = f"; did you mean {near}?" if near else ""
        yield f"{source}:{line_of(text, path)}: unknown key {'.'.join(map(str, path))} is ignored{hint}"


def _peer_warnings(settings: Settings, origin: Origin) -> Iterator[str]:
    for index, peer in enumerate(settings.peers):
        if peer.mechanism == "bluetooth":
            line = line_of(origin.text, ["peers", index])
            yield f"{origin.source}:{line}: the bluetooth peer {peer.ip} is not used: pimd links over tcp"
        if hidden(peer.label):
            message = f"{peer.label!a} holds letters that are not seen, so nobody can type it"
            yield str(origin.problem(("peers", index, "label"), message))


def _present(table: Any, path: list[str]) -> bool:
    for part in path:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


def _unknown(
    table: Any, model: BaseModel, at: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str | None]]:
    """Yield the path of each unknown key, with the nearest known one."""
    fields = type(model).model_fields
    for key, value in table.items():
        path = (*at, key)
        if key in fields:
            inner = getattr(model, key)
            if isinstance(inner, OldFeatureTable):
                continue  # the feature knows its keys
            if isinstance(inner, BaseModel) and isinstance(value, dict):
                yield from _unknown(value, inner, path)
            elif key == "peers":
                for index, one in enumerate(value):
                    yield from _unknown(one, inner[index], (key, index))
        elif not (path[0] in RADIO_SECTIONS or (at == ("features",) and isinstance(value, dict))):
            near = difflib.get_close_matches(key, fields, 1)
            yield path, ".".join(map(str, (*at, near[0]))) if near else None


def _environment_warnings(environ: Mapping[str, str]) -> Iterator[str]:
    sections = Settings.model_fields
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX):
            continue
        if name == "PIMD_FEATURES":
            yield "PIMD_FEATURES is a build variable and ignored here; at run time it is PIMD_FEATURES__ENABLED"
            continue
        section, _, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        model = sections[section].annotation if section in sections else None
        fields = getattr(model, "model_fields", {})
        top = key.partition("__")[0]
        if model is None or (top not in fields and section not in {"features", *OLD_TABLES}):
            known = [
                f"{ENV_PREFIX}{s}__{k}".upper()
                for s, f in sections.items()
                for k in getattr(f.annotation, "model_fields", {})
            ]
            near = difflib.get_close_matches(name, known, 1)
            yield f"the environment variable {name} is ignored: no such setting" + (
                f"; did you mean {near[0]}?" if near else ""
            )


def old_tables(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the tables of features that stand at their old place, by name, unchecked and without `enabled`."""
    tables = {name: getattr(settings, name) for name in OLD_TABLES}
    return {name: dict(table.model_extra) for name, table in tables.items() if table.model_extra}


TRUE = (True, "true", "True", "1")
"""In the environment every value is text."""


def disabled_features(settings: Settings) -> dict[str, str]:
    """Return the disabled features, each with the line that disables it."""
    reasons = {
        name: f"[features.{name}] enabled = false"
        for name, table in settings.features.tables.items()
        if table.get("enabled") in (False, "false", "False", "0")
    }
    reasons |= {name: f"[{name}] enabled = false" for name in OLD_TABLES if not getattr(settings, name).enabled}
    return {**reasons, **dict.fromkeys(settings.features.disabled, "listed in [features] disabled")}
