"""Commands about the configuration."""

import argparse
import json
from typing import Any

from pimd.cli.commands import say
from pimd.cli.connection import Connection, call
from pimd.cli.text import table, visible


def show(connection: Connection, options: argparse.Namespace) -> None:
    """The configuration as text, or with `--origin` each setting and where its value comes from."""
    if options.origin:
        rows = call(connection, "config.origins")
        cells = [(visible(row["key"]), visible(_value(row["value"])), visible(_origin(row))) for row in rows]
        say(options, rows, table(("SETTING", "VALUE", "FROM"), cells))
    else:
        found = call(connection, "config.get")
        say(options, found, found["config"].rstrip("\n"))


def _value(value: Any) -> str:
    """Write a value as the file does; `-` where there is none."""
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _origin(row: dict[str, Any]) -> str:
    if row["origin"] == "environment":
        return f"the environment: {row['place']}"
    if row["origin"] == "daemon":
        return f"set while it ran: {row['place']}"
    if row["origin"] == "file":
        return row["place"] if row["line"] is None else f"{row['place']}:{row['line']}"
    return "default"
