"""The commands about routes, nodes nearby, and the mesh."""

import argparse
from typing import Any

from pimd.cli.commands import say, with_port
from pimd.cli.connection import Connection, call, call_many
from pimd.cli.errors import NotReachedError, PimError
from pimd.cli.names import labelled, resolve, resolve_nearby, self_given, shown
from pimd.cli.text import span, table, visible

SHORT = 8
"""Digits of an id where the whole one stands elsewhere; `pim` takes so many for the whole."""


def routes(connection: Connection, options: argparse.Namespace) -> None:
    """List the selected route to every node."""
    found = call(connection, "route.table")
    peers = call_many(connection, [("peers.list", None)])[0] or []
    names, rows = self_given(connection, peers), {row["node_id"]: row for row in peers}
    text = table(
        ("DESTINATION", "NAME", "VIA", "HOPS", "AGE"),
        [
            (
                route["destination"],
                shown(rows[route["destination"]], names) if route["destination"] in rows else "-",
                route["via"][:SHORT],
                str(route["hops"]),
                span(route["age_s"]),
            )
            for route in sorted(found["routes"], key=lambda route: (route["hops"], route["destination"]))
        ],
    )
    say(options, found, text if found["routes"] else "no routes; `pim status` shows whom this node is linked with")


def trace(connection: Connection, options: argparse.Namespace) -> None:
    """Print each hop on the way to a node; fails when the destination does not answer."""
    node_id = resolve(connection, options.who)
    found = call(connection, "route.trace", {"node_id": node_id})
    lines = [table(("HOP", "NAME", "ID", "NEXT HOP", "TIME"), map(_hop, found["hops"]))] if found["hops"] else []
    if found["reached"] and found["note"]:
        lines.append(found["note"])
    if lines or options.json:
        say(options, found, "\n".join(lines))
    if not found["reached"]:
        raise NotReachedError(f"{node_id} was not reached: {found['note']}")


def _hop(hop: dict[str, Any]) -> tuple[str, ...]:
    next_hop = "itself" if hop["next_hop"] == hop["node_id"] else (hop["next_hop"] or "-")[:SHORT]
    took = "silent" if hop["time_ms"] is None else f"{hop['time_ms']} ms"
    return (str(hop["hop"]), shown(hop, {hop["node_id"]: hop["name"]}), hop["node_id"], next_hop, took)


def discover(connection: Connection, options: argparse.Namespace) -> None:
    """List the nodes that announce themselves nearby."""
    rows = call(connection, "peers.discovered")
    ids = {row["node_id"] for row in rows}
    known = {row["node_id"]: row for row in _everybody(connection) if row["node_id"] in ids}
    names = _names_of(connection, rows, list(known.values()))
    text = table(
        ("ADDRESS", "ID", "NAME", "SEEN"),
        [
            (
                visible(row["address"]),
                row["node_id"] or "anonymous",
                shown(known.get(row["node_id"], {"node_id": _key(row), "label": None}), names),
                f"{span(row['last_seen_s'])} ago",
            )
            for row in rows
        ],
    )
    say(options, rows, text if rows else _why_nobody(connection))


def _why_nobody(connection: Connection) -> str:
    features = {row["name"]: row for row in call(connection, "features.list")}
    discovery = features.get("discovery")
    if discovery is None or discovery["state"] == "running":
        return "nobody announces itself nearby; `pim pair ADDRESS` needs no announcement"
    what = f"discovery is off ({visible(discovery['reason'])})"
    if discovery["state"] == "not_built":
        return f"{what}; build or install one with it, or use `pim pair ADDRESS`, which needs none"
    return f"""{what}; `pim call features.enable '{{"name": "discovery"}}'` turns it on until the next start"""


def _everybody(connection: Connection) -> list[dict[str, Any]]:
    return list(call(connection, "peers.list", {"all": True}))


def _names_of(connection: Connection, nearby: list[dict[str, Any]], known: list[dict[str, Any]]) -> dict[str, str]:
    """The signed names of nodes whose card is here, else the announced ones."""
    announced = {_key(row): row["label_announced"] for row in nearby if row["label_announced"]}
    return announced | {node_id: name for node_id, name in self_given(connection, known).items() if name}


def _key(row: dict[str, Any]) -> str:
    """The id, or what tells an anonymous node from others."""
    return str(row["node_id"] or row["address"])


def pair(connection: Connection, options: argparse.Namespace) -> None:
    """Link with a node now, and by default after every restart."""
    params = {"trust": "once" if options.once else "persist", **_whom(connection, options.who)}
    if options.label is not None:
        params["label"] = options.label
    row = call(connection, "peers.pair", params)
    name = shown(row, self_given(connection, [row]))
    kept = "until the link ends" if options.once else "now and after every restart"
    say(options, row, f"linked with {row['node_id']} {name} {kept}")


def remove(connection: Connection, options: argparse.Namespace) -> None:
    """Undo `add` and `pair`: remove an address or peer from the configuration, and hang up."""
    configured = call(connection, "peers.configured")
    params = _configured_as(connection, configured, options.who)
    result = call(connection, "peers.remove", params)
    gone = [visible(row["address"]) for row in configured if params.items() <= row.items()]
    if gone:
        text = f"no longer configured, dialled or linked: {', '.join(gone)}"
    else:
        text = f"hung up on {params['node_id']}, which the configuration did not name"
    say(options, result, text)


def _configured_as(connection: Connection, configured: list[dict[str, Any]], wanted: str) -> dict[str, str]:
    """Resolve a label of ours, a configured address, the label of an address never met, or a node name."""
    ours = labelled(_everybody(connection), wanted)
    if ours is not None:
        return {"node_id": ours}
    address = with_port(wanted)
    entries = [row for row in configured if address in (row["address"], row["config_entry_id"])]
    entries = entries or [row for row in configured if row["node_id"] is None and row["label"] == wanted]
    if len(entries) > 1:
        lines = "".join(f"\n  {row['address']}" for row in entries)
        raise PimError(f"{visible(wanted)!r} can mean several addresses; give one of them:{lines}")
    if entries:
        return {"config_entry_id": entries[0]["config_entry_id"]}
    return {"node_id": resolve(connection, wanted)}


def _whom(connection: Connection, wanted: str) -> dict[str, str]:
    """Resolve a label of ours, an address, or a node nearby.

    Text in the form of an address is taken as one: a stranger may announce any name, even that of a trusted machine.
    """
    peers = _everybody(connection)
    ours = labelled(peers, wanted)
    if ours is not None:
        return {"node_id": ours}
    if ":" in wanted or "." in wanted:
        return {"address": with_port(wanted)}
    rows = call(connection, "peers.discovered")
    found = resolve_nearby(rows, _names_of(connection, rows, peers), wanted)
    if found is None:
        raise PimError(
            f"nobody nearby is called {visible(wanted)!r}; `pim discover` lists who is there, "
            "and anybody else is reached at an address such as 192.168.1.7:9100"
        )
    return {"node_id": found}


def mesh_status(connection: Connection, options: argparse.Namespace) -> None:
    """Which mesh this node is in."""
    found = call(connection, "mesh.status")
    lines = [f"mode         {found['mode']}", f"id           {visible(found['mesh_id'] or '-')}"]
    if found["fingerprint"] is None:
        lines.append("fingerprint  -  (an open mesh has none: whoever reaches a node can link with it)")
    else:
        lines.append(f"fingerprint  {found['fingerprint']}  (compare this fingerprint with the other machine's)")
    say(options, found, "\n".join(lines))
