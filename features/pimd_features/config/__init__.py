"""The configuration file, read over RPC with its secrets hidden."""

import json
import tomllib
from typing import Literal

from pimd.contract import ASSEMBLY, CONFIG, Feature, Params, PluginContext, Result, Timestamp, rfc3339, rpc
from pimd_features.config.hiding import HIDDEN, Hiding, hidden


class ConfigGetParams(Params):
    """The format in which the configuration is returned."""

    format: Literal["toml", "json"] = "toml"


class ConfigGetResult(Result):
    """The file as it is on disk, with its secrets hidden."""

    format: Literal["toml", "json"]
    config: str
    source_path: str
    last_modified: Timestamp


@rpc("config.get", reads=True)
async def get(ctx: PluginContext, params: ConfigGetParams) -> ConfigGetResult:
    """Return the configuration file; passphrases, keys, tokens and passwords in URLs are shown as ********, also those commented out.

    Without a file the text is empty and so is `source_path`.
    """
    found = ctx.services[CONFIG].read()
    hiding = Hiding([("features", *path) for path in ctx.services[ASSEMBLY].secret_settings()])
    as_json = params.format == "json"
    text = json.dumps(hiding.values(tomllib.loads(found.text)), default=str) if as_json else hiding.text(found.text)
    path = str(found.path) if found.path is not None else ""
    return ConfigGetResult(
        format=params.format, config=text, source_path=path, last_modified=rfc3339(found.modified_ms)
    )


__all__ = ["FEATURE", "HIDDEN", "hidden"]

FEATURE = Feature(
    name="config",
    summary="The configuration file, read over RPC with its secrets hidden.",
    namespaces=("config",),
    methods=(get,),
    uses=(ASSEMBLY, CONFIG),
)
