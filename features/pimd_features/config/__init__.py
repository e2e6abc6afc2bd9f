"""The configuration file, read over RPC with its secrets hidden."""

import json
import re
import tomllib
from typing import Any, Literal

from pimd.contract import CONFIG, Feature, Params, PluginContext, Result, Timestamp, rfc3339, rpc

HIDDEN = "********"
SECRET_KEYS = ("passphrase", "shared_key")
_SECRET_LINE = re.compile(
    rf"""^(\s*(?:[A-Za-z0-9_"'-]+\s*\.\s*)*["']?(?:{"|".join(SECRET_KEYS)})["']?\s*=\s*)(?P<value>\S.*)$""",
    re.MULTILINE,
)
_SECRET_VALUE = re.compile(r'("(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')(.*)')


class ConfigGetParams(Params):
    """The format in which the configuration is returned."""

    format: Literal["toml", "json"] = "toml"


class ConfigGetResult(Result):
    """The file as it is on disk, with its secrets hidden."""

    format: Literal["toml", "json"]
    config: str
    source_path: str
    last_modified: Timestamp


@rpc("config.get")
async def get(ctx: PluginContext, params: ConfigGetParams) -> ConfigGetResult:
    """Return the configuration file; passphrases and keys in it are shown as ********.

    Without a file the text is empty and so is `source_path`.
    """
    found = ctx.services[CONFIG].read()
    text = hidden(found.text)
    if params.format == "json":
        text = json.dumps(_hidden_values(tomllib.loads(found.text)), default=str)
    path = str(found.path) if found.path is not None else ""
    return ConfigGetResult(
        format=params.format, config=text, source_path=path, last_modified=rfc3339(found.modified_ms)
    )


def hidden(text: str) -> str:
    """Replace the secrets of a TOML text; the whole text where they cannot be found safely."""
    masked = _SECRET_LINE.sub(_mask, text)
    try:
        if _hidden_values(tomllib.loads(text)) == tomllib.loads(masked):
            return masked
    except tomllib.TOMLDecodeError:
        pass
    return f"# this file holds secrets in a form that cannot be shown here, or is no TOML\n# {HIDDEN}\n"


def _mask(found: re.Match[str]) -> str:
    value = _SECRET_VALUE.match(found["value"])
    if value is None:
        return found[0]
    return f'{found[1]}"{HIDDEN}"{value[2]}'


def _hidden_values(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: HIDDEN if key in SECRET_KEYS else _hidden_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hidden_values(inner) for inner in value]
    return value


FEATURE = Feature(
    name="config",
    summary="The configuration file, read over RPC with its secrets hidden.",
    namespaces=("config",),
    methods=(get,),
    uses=(CONFIG,),
)
