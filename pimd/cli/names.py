"""Asks the daemon whom a NAME-OR-ID means, and shows names."""

import re
from typing import Any

from pimd.cli.connection import Connection, call
from pimd.cli.errors import AnsweredError
from pimd.cli.text import visible, visible_name

ID = re.compile(r"[0-9a-fA-F]{32}")
METHOD_NOT_FOUND = -32601


def resolve(connection: Connection, wanted: str) -> str:
    """Return the one node id that a label, a name, an id or its start means; `AnsweredError` with the candidates."""
    try:
        return str(call(connection, "peers.resolve", {"name": wanted})["node_id"])
    except AnsweredError as error:
        # Without the feature `peers` there are neither names nor labels.
        if error.error.get("code") == METHOD_NOT_FOUND and ID.fullmatch(wanted):
            return wanted.lower()
        raise


def resolve_or_address(connection: Connection, wanted: str, scope: str, address: str) -> dict[str, str]:
    """Return `node_id`, `config_entry_id` or `address`, whichever the text means in that scope of `peers.resolve`."""
    found = call(connection, "peers.resolve", {"name": wanted, "scope": scope, "address": address})
    return {key: found[key] for key in ("node_id", "config_entry_id", "address") if found[key] is not None}


def shown(row: dict[str, Any]) -> str:
    """A label as it is, else a self-given name in quotes, else a dash; "forgotten" for a node that is still linked."""
    if own := row.get("own_label", row["label"]):  # rows of peers have both: their label may be a self-given name
        return visible(own)
    if row.get("forgotten"):
        return "forgotten"
    return f'"{visible_name(row["name"])}"' if row["name"] else "-"
