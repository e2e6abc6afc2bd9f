"""Resolves the NAME-OR-ID of a command line to a node id."""

import re
from typing import Any

from pimd.cli.connection import Connection, call, call_many
from pimd.cli.errors import PimError
from pimd.cli.text import visible

ID = re.compile(r"[0-9a-fA-F]{32}")
ID_PREFIX = re.compile(r"[0-9a-fA-F]{8,31}")


def resolve(connection: Connection, wanted: str) -> str:
    """Return a node id: a full id as it is, a label of ours, a name only one peer gave itself, or the start of an id.

    This node's own name comes last. `PimError` with the candidates when that is not exactly one.
    """
    if ID.fullmatch(wanted):
        return wanted.lower()
    rows = call(connection, "peers.list", {"all": True})
    ours = labelled(rows, wanted)
    if ours is not None:
        return ours
    names = self_given(connection, rows)
    named = [row["node_id"] for row in rows if names.get(row["node_id"]) == wanted]
    if named:
        return _only(named, wanted, rows, names)
    if ID_PREFIX.fullmatch(wanted):
        starting = [row["node_id"] for row in rows if row["node_id"].startswith(wanted.lower())]
        if starting:
            return _only(starting, wanted, rows, names)
    own = call(connection, "peers.export_identity")
    if own["name"] == wanted:
        return str(own["node_id"])
    raise PimError(
        f"nobody here is called {visible(wanted)!r}; `pim peers` lists whom this node knows{_known(rows, names)}"
    )


def labelled(rows: list[dict[str, Any]], wanted: str) -> str | None:
    """Return the id with that label; None without one, `PimError` when several have it."""
    ids = [row["node_id"] for row in rows if row["label"] == wanted]
    return _only(ids, wanted, rows, {}) if ids else None


def resolve_nearby(nearby: list[dict[str, Any]], names: dict[str, str], wanted: str) -> str | None:
    """Return a full id as it is, else that of the one node with such a name, or whose id starts so.

    `names` has those of known nodes, too: a stranger nearby is not taken for one that is away. None when there is none,
    `PimError` with the candidates when there are several.
    """
    if ID.fullmatch(wanted):
        return wanted.lower()
    addresses = {row["node_id"]: row["address"] for row in nearby if row["node_id"] is not None}
    ids = {*addresses, *filter(ID.fullmatch, names)}
    found = {id_ for id_ in ids if names.get(id_) == wanted}
    if not found and ID_PREFIX.fullmatch(wanted):
        found = {id_ for id_ in ids if id_.startswith(wanted.lower())}
    if len(found) > 1:
        lines = "".join(f"\n  {id_}  {addresses.get(id_, 'not nearby')}" for id_ in sorted(found))
        raise PimError(f"{visible(wanted)!r} can mean several nodes; give an id or an address:{lines}")
    return next(iter(found), None)


def self_given(connection: Connection, rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the names that peers gave themselves, by id."""
    ids = [row["node_id"] for row in rows if row["x25519_pubkey"] is not None]
    exported = call_many(connection, [("peers.export_identity", {"node_id": id_}) for id_ in ids])
    return {id_: one["name"] for id_, one in zip(ids, exported, strict=True) if one is not None}


def shown(row: dict[str, Any], names: dict[str, str]) -> str:
    """A label as it is, a self-given name in quotes, else an empty text."""
    if row["label"]:
        return visible(row["label"])
    given = names.get(row["node_id"])
    return f'"{visible(given)}"' if given else "-"


def _only(ids: list[str], wanted: str, rows: list[dict[str, Any]], names: dict[str, str]) -> str:
    if len(ids) == 1:
        return ids[0]
    lines = "".join(f"\n  {row['node_id']}  {shown(row, names)}" for row in rows if row["node_id"] in ids)
    raise PimError(f"{visible(wanted)!r} can mean several peers; give an id, or label one with peers.label:{lines}")


def _known(rows: list[dict[str, Any]], names: dict[str, str]) -> str:
    return "".join(f"\n  {row['node_id']}  {shown(row, names)}" for row in rows[:10])
