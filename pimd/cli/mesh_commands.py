"""The commands about routes, nodes nearby, and the mesh."""

import argparse
import re
from typing import Any

from pimd.cli.commands import say, with_port
from pimd.cli.connection import Connection, call, call_many
from pimd.cli.errors import AnsweredError, NotReachedError, PimError
from pimd.cli.names import ID, resolve, resolve_or_address, shown
from pimd.cli.text import counted, span, table, visible

ID_PREFIX = re.compile(r"[0-9a-fA-F]{8,31}")

SHORT = 8
"""Digits of an id where the whole one stands elsewhere; `pim` takes so many for the whole."""


def routes(connection: Connection, options: argparse.Namespace) -> None:
    """List the selected route to every node."""
    found = call(connection, "route.table")
    peers = call_many(connection, [("peers.list", None)])[0] or []
    rows = {row["node_id"]: row for row in peers}
    text = table(
        ("DESTINATION", "NAME", "VIA", "HOPS", "AGE"),
        [
            (
                route["destination"],
                shown(rows[route["destination"]]) if route["destination"] in rows else "-",
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
    return (str(hop["hop"]), shown(hop), hop["node_id"], next_hop, took)


def discover(connection: Connection, options: argparse.Namespace) -> None:
    """List the nodes that announce themselves nearby."""
    rows = call(connection, "peers.discovered")
    text = table(
        ("ADDRESS", "ID", "NAME", "SEEN"),
        [
            (
                visible(row["address"]),
                row["node_id"] or "anonymous",
                shown({"label": row["label"], "name": row["label_announced"]}),
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


def pair(connection: Connection, options: argparse.Namespace) -> None:
    """Link with a node now, and by default after every restart."""
    whom = resolve_or_address(connection, options.who, "nearby", with_port(options.who))
    whom.pop("config_entry_id", None)
    params = {"trust": "once" if options.once else "persist", **whom}
    if options.label is not None:
        params["label"] = options.label
    row = call(connection, "peers.pair", params)
    kept = "until the link ends" if options.once else "now and after every restart"
    say(options, row, f"linked with {row['node_id']} {shown(row)} {kept}")


def remove(connection: Connection, options: argparse.Namespace) -> None:
    """Undo `add` and `pair`: remove an address or peer from the configuration, and hang up."""
    configured = call(connection, "peers.configured")
    params = resolve_or_address(connection, options.who, "configured", with_port(options.who))
    params.pop("address", None)
    result = call(connection, "peers.remove", params)
    gone = [visible(row["address"]) for row in configured if params.items() <= row.items()]
    if gone:
        text = f"no longer configured, dialled or linked: {', '.join(gone)}"
    else:
        text = f"hung up on {params['node_id']}, which the configuration did not name"
    say(options, result, text)


def accept(connection: Connection, options: argparse.Namespace) -> None:
    """Accept a peer's new key, so that label, address and, if asked for, waiting messages are the new key's."""
    rows = call(connection, "peers.configured")
    whom = _whose_key(connection, options)
    named = {"address": whom["address"]} if "address" in whom else {}
    theirs = [row for row in rows if whom.items() <= row.items()] or [{"node_id": whom.get("node_id"), "answers": None}]
    old = _whole(options.old, {row["node_id"] for row in theirs if row["node_id"]})
    met = {row["answers"] for row in theirs if row["answers"]}
    new = _whole(options.new, met) if met or not ID_PREFIX.fullmatch(options.new) else resolve(connection, options.new)
    if not named and old not in {row["node_id"] for row in theirs}:
        raise PimError(f"{old} is not the key known of {visible(options.who)}, which is {theirs[0]['node_id']}")
    params = {"old": old, "new": new, "move_messages": options.move_messages, **named}
    result = call(connection, "peers.accept", params)
    who = options.who if not named and not ID_PREFIX.match(options.who) else result["label"] or options.who
    lines = [f"{visible(who)} is {new} from now on; the conversation with {old} stays there"]
    if result["stayed"]:
        stayed = visible(", ".join(result["stayed"]))
        lines.append(f"{stayed} stays with {old}, which is still in use; `pim remove ADDRESS` takes an address out")
    if options.move_messages:
        lines.append(f"{counted(result['moved_messages'], 'waiting message')} moved to the new key")
    if result["refusal"]:
        lines.append(f"but this node would not link with it: {visible(result['refusal'])}")
    say(options, result, "\n".join(lines))


def _whose_key(connection: Connection, options: argparse.Namespace) -> dict[str, str]:
    """Resolve whom is meant; of several with that name the one with the old key."""
    try:
        return resolve_or_address(connection, options.who, "configured", with_port(options.who))
    except AnsweredError as error:
        found = [row["node_id"] for row in (error.error.get("data") or {}).get("candidates", ()) if row["node_id"]]
        with_old = [node_id for node_id in found if node_id.startswith(options.old.lower())]
        if len(with_old) != 1 or not ID_PREFIX.match(options.old):
            raise
        return {"node_id": with_old[0]}


def _whole(wanted: str, ids: set[str]) -> str:
    """Complete an id from its first digits; `PimError` with the candidates unless exactly one begins so."""
    if ID.fullmatch(wanted):
        return wanted.lower()
    found = sorted(id_ for id_ in ids if ID_PREFIX.fullmatch(wanted) and id_.startswith(wanted.lower()))
    if len(found) == 1:
        return found[0]
    told = ", ".join(found or sorted(ids)) or "none"
    raise PimError(f"{visible(wanted)!r} must be an id, or the first 8 digits and more of one of these keys: {told}")


def mesh_status(connection: Connection, options: argparse.Namespace) -> None:
    """Which mesh this node is in."""
    found = call(connection, "mesh.status")
    lines = [f"mode         {found['mode']}", f"id           {visible(found['mesh_id'] or '-')}"]
    if found["fingerprint"] is None:
        lines.append("fingerprint  -  (an open mesh has none: whoever reaches a node can link with it)")
    else:
        lines.append(f"fingerprint  {found['fingerprint']}  (compare this fingerprint with the other machine's)")
    say(options, found, "\n".join(lines))
