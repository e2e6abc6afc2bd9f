"""The configuration, read over RPC with its secrets hidden, and saved."""

import hashlib
import json
import logging
import tomllib
from typing import Any, Literal

from pydantic import Field

from pimd.contract import (
    ASSEMBLY,
    CONFIG,
    ConfigProblem,
    ConfigSaveRejected,
    ConfigText,
    ConfigValidationFailed,
    Feature,
    NoParams,
    Params,
    PluginContext,
    Result,
    RpcError,
    Timestamp,
    WrongConfig,
    rfc3339,
    rpc,
)
from pimd_features.config.errors import ConfigUnreadable
from pimd_features.config.hiding import HIDDEN, Hiding, hidden
from pimd_features.config.restoring import NotRestored, Stored

log = logging.getLogger("config")
"""The source under which clients look for rejections."""


class ConfigGetParams(Params):
    """The format in which the configuration is returned."""

    format: Literal["toml", "json"] = "toml"


class ConfigGetResult(Result):
    """The configuration as the files are now, with its secrets hidden."""

    format: Literal["toml", "json"]
    config: str
    source_path: str
    last_modified: Timestamp
    hash: str = Field(description="SHA-256 of the TOML text as it is shown, for `if_hash` of config.save.")


class ConfigSaveParams(Params):
    """A whole new text."""

    config: str
    format: Literal["toml", "json"] = "toml"
    dry_run: bool = False
    if_hash: str | None = Field(default=None, description="The `hash` of the text that this is based on.")


class ConfigSaveResult(Result):
    """What became of it."""

    saved: bool
    requires_restart: list[str] = Field(description="Dotted keys of changes that count from the next start on.")
    written_to: str


class OriginRow(Result):
    """One setting, and where its value comes from."""

    key: str
    value: Any
    origin: Literal["environment", "daemon", "file", "default"] = Field(
        description="`daemon`: added or switched while it ran, and kept in its data directory."
    )
    place: str = Field(description="The variable, or the file; empty for a default.")
    line: int | None = Field(default=None, description="In the configuration file.")


@rpc("config.get", errors=(ConfigUnreadable,), reads=True)
async def get(ctx: PluginContext, params: ConfigGetParams) -> ConfigGetResult:
    """Return the configuration: the file, with what the daemon keeps beside it put in.

    Passphrases, keys, tokens and passwords in URLs are shown as ********, also those commented out. Without a file
    `source_path` is empty.
    """
    found, hiding = _read(ctx), _hiding(ctx)
    shown = hiding.text(found.text)
    as_json = params.format == "json"
    try:
        text = json.dumps(hiding.values(tomllib.loads(found.text)), default=str) if as_json else shown
    except tomllib.TOMLDecodeError as error:
        raise ConfigUnreadable(f"the configuration is no TOML: {error}") from error
    return ConfigGetResult(
        format=params.format,
        config=text,
        source_path=found.path,
        last_modified=rfc3339(found.modified_ms),
        hash=_hash(shown),
    )


@rpc("config.save", errors=(ConfigUnreadable, ConfigValidationFailed, ConfigSaveRejected))
async def save(ctx: PluginContext, params: ConfigSaveParams) -> ConfigSaveResult:
    """Make this text what config.get returns: each change is written where the value comes from, and applied where it can be.

    ******** keeps the secret that is stored there. Comments of the file stay when the text has none. With `dry_run` nothing is
    written. Empty texts for numbers, `mtu = 0` and `mesh_ip = ""` mean that a key is not set. `data` of -32020 is the array of
    problems.
    """
    try:
        return await _saved(ctx, params)
    except RpcError as error:
        log.warning("config.save: the text was rejected: %s", error.message)
        raise


async def _saved(ctx: PluginContext, params: ConfigSaveParams) -> ConfigSaveResult:
    found = _read(ctx)
    stored = Stored(found.text, _hiding(ctx).text(found.text))
    if params.if_hash is not None and params.if_hash != _hash(stored.shown):
        raise ConfigSaveRejected("the configuration was changed meanwhile; get it again, and change that")
    if not stored.is_shown and HIDDEN in params.config:
        raise ConfigSaveRejected(
            "what config.get shows instead of a configuration that it cannot show is none; nothing was saved"
        )
    try:
        text = _restored(stored, params)
        saved = await ctx.services[CONFIG].save(text, format=params.format, dry_run=params.dry_run)
    except NotRestored as error:
        raise _wrong([ConfigProblem(message=str(error), path=error.path, line=error.line)]) from None
    except WrongConfig as error:
        raise _wrong(list(error.problems)) from None
    except OSError as error:
        raise ConfigSaveRejected(f"the configuration was not saved: {error}") from error
    return ConfigSaveResult(
        saved=not params.dry_run, requires_restart=list(saved.requires_restart), written_to=saved.written_to
    )


@rpc("config.origins", errors=(ConfigUnreadable,), reads=True)
async def origins(ctx: PluginContext, _: NoParams) -> list[OriginRow]:
    """List every setting with its value, secrets hidden, and where that comes from.

    The environment beats what the daemon keeps, that beats the configuration file, and that the default.
    """
    hiding = _hiding(ctx)
    try:
        found = ctx.services[CONFIG].origins()
    except OSError as error:
        raise ConfigUnreadable(str(error)) from error
    return [
        OriginRow(
            key=one.key,
            value=hiding.values(one.value, tuple(one.key.split("."))),
            origin=one.kind,
            place=one.place,
            line=one.line,
        )
        for one in found
    ]


def _read(ctx: PluginContext) -> ConfigText:
    try:
        return ctx.services[CONFIG].read()
    except OSError as error:
        raise ConfigUnreadable(f"the configuration cannot be read: {error}") from error


def _hiding(ctx: PluginContext) -> Hiding:
    return Hiding([("features", *path) for path in ctx.services[ASSEMBLY].secret_settings()])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _restored(stored: Stored, params: ConfigSaveParams) -> str:
    if not stored.is_shown or HIDDEN not in params.config:
        return params.config
    if params.format == "toml":
        return stored.restored(params.config)
    try:
        sent = json.loads(params.config)
    except ValueError:
        return params.config  # what is wrong with it is told when it is saved
    return json.dumps(stored.restored_values(sent), default=str)


def _wrong(problems: list[ConfigProblem]) -> ConfigValidationFailed:
    first = problems[0]
    where = ": ".join(str(part) for part in (first.line and f"line {first.line}", first.path, first.message) if part)
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    data = [problem.model_dump(mode="json") for problem in problems]
    return ConfigValidationFailed(f"the configuration is wrong: {where}{more}", data)


__all__ = ["FEATURE", "HIDDEN", "hidden"]

FEATURE = Feature(
    name="config",
    summary="The configuration, read over RPC with its secrets hidden, and saved.",
    namespaces=("config",),
    methods=(get, save, origins),
    errors=(ConfigUnreadable,),
    uses=(ASSEMBLY, CONFIG),
)
