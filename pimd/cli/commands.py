"""One function for each command of `pim`."""

import argparse
import json
from typing import Any

from pimd.cli.connection import Connection, call, call_many
from pimd.cli.errors import AnsweredError, PimError, UsageError
from pimd.cli.names import resolve, shown
from pimd.cli.output import put, read_input
from pimd.cli.text import counted, moment, size, span, table, visible

DEFAULT_PORT = 9100
ALREADY_CONFIGURED = -32011
PAGE = 1000
"""Rows that `peers.list` answers at most."""
SHOWN = 200
"""Rows of `pim peers` on a terminal."""


def say(options: argparse.Namespace, result: Any, text: str) -> None:
    """Print JSON for programs or `text` for people."""
    put(json.dumps(result) if options.json else text)


def status(connection: Connection, options: argparse.Namespace) -> None:
    """This node, and whom it sees."""
    found = call(connection, "status")
    mesh = call_many(connection, [("mesh.status", None)])[0]
    up = [peer for peer in found["peers"] if peer["state"] in ("active", "relayed")]
    lines = [
        f"{visible(found['node'])}  {found['node_id']}",
        f"up {span(found['uptime_s'])}, peers reach it on tcp port {found['transport']['tcp']['port']}{_unix(found)}",
        *_mesh_line(mesh),
        _traffic_line(found["stats"]),
        f"{len(up)} of {counted(len(found['peers']), 'peer')} reachable, {counted(found['routes']['active'], 'route')}",
    ]
    lines += [f"WARNING  {visible(one['text'])}" for one in found.get("warnings", [])]
    lines += strangers(connection)
    lines.append(_peers_text(connection, found["peers"]))
    say(options, {**found, "mesh": mesh}, "\n".join(lines))


def _unix(found: dict[str, Any]) -> str:
    return "".join(f" and {visible(one)}" for one in found["transport"]["endpoints"] if one.startswith("unix:"))


def _traffic_line(stats: dict[str, Any]) -> str:
    now = f"{size(stats['rate_in'])}/s in, {size(stats['rate_out'])}/s out"
    return f"links carry {now}; {size(stats['bytes_in'])} and {size(stats['bytes_out'])} since the start"


def _mesh_line(mesh: dict[str, Any] | None) -> list[str]:
    """Return the line about the mesh; empty without the feature `routes`."""
    if mesh is None:
        return []
    name = f" {visible(mesh['mesh_id'])}" if mesh["mesh_id"] else ""
    fingerprint = f", fingerprint {mesh['fingerprint']}" if mesh["fingerprint"] else ""
    return [f"{mesh['mode']} mesh{name}{fingerprint}"]


def peers(connection: Connection, options: argparse.Namespace) -> None:
    """Whom this node knows."""
    params: dict[str, Any] = {"all": True, "limit": options.limit or (PAGE if options.json else SHOWN)}
    if options.after is not None:
        params["after"] = resolve(connection, options.after)
    rows = call(connection, "peers.list", params)
    text = _peers_text(connection, rows) + _more(connection, params, rows)
    linked = [row for row in rows if row.get("link") is not None]
    if options.verbose and linked:
        text += f"\n\n{_link_table(linked)}"
    say(options, rows, text)


def _more(connection: Connection, params: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Say what a full page leaves out."""
    if len(rows) < params["limit"]:
        return ""
    others = call(connection, "peers.count")["identities"] - sum(row["x25519_pubkey"] is not None for row in rows)
    if others == 0:
        return ""
    more = "there may be more" if "after" in params else f"{others} more are known"
    return f"\n\n{more}: pim peers --after {rows[-1]['node_id']}"


def _link_table(rows: list[dict[str, Any]]) -> str:
    head = ("LINK WITH", "AT", "COST", "ROUND TRIP", "IN", "OUT", "IN NOW", "OUT NOW", "DROPPED", "REFUSED")
    return table(head, [_link_cells(row["node_id_short"], row["endpoint"], row["link"]) for row in rows])


def _link_cells(name: str, endpoint: str | None, link: dict[str, Any]) -> tuple[str, ...]:
    classes = link["traffic"].values()
    return (
        name,
        visible(endpoint or "-"),
        str(link["cost"]),
        "-" if link["rtt_ms"] is None else f"{link['rtt_ms']:.1f} ms",
        size(link["bytes_in"]),
        size(link["bytes_out"]),
        f"{size(link['rate_in'])}/s",
        f"{size(link['rate_out'])}/s",
        str(sum(one["dropped"] for one in classes)),
        str(sum(one["refused"] for one in classes)),
    )


def _peers_text(connection: Connection, rows: list[dict[str, Any]]) -> str:
    configured = call_many(connection, [("peers.configured", None)])[0] or []
    # A node that was met at an address is one of `rows`; who answers there instead of it is told of below.
    unmet = [row for row in configured if row["node_id"] is None or row.get("state") == "other_key"]
    others = {row["node_id"] for row in configured if row.get("state") == "other_key"}
    rows = [{**row, "state": "other key"} if _is_elsewhere(row, others) else row for row in rows]
    tables = [_peer_table(rows)] if rows else []
    tables += [_unmet_table(unmet)] if unmet else []
    return "\n\n".join(tables) or "nobody yet; link with another machine: pim add ITS-ADDRESS:9100"


def _is_elsewhere(row: dict[str, Any], others: set[str]) -> bool:
    """Tell whether another node answers at this peer's address, and there is no other way to it."""
    return row["node_id"] in others and row["state"] not in ("active", "relayed")


def _unmet_table(rows: list[dict[str, Any]]) -> str:
    return table(
        ("NOT REACHED YET", "NAME", "WHY"),
        [
            (
                visible(row["address"]),
                visible(row["label"] or "-"),
                visible(row["last_error"] or "the first attempt is under way"),
            )
            for row in rows
        ],
    )


def _peer_table(rows: list[dict[str, Any]]) -> str:
    return table(
        ("ID", "NAME", "STATE", "HOPS", "RTT", "SEEN"),
        [
            (
                row["node_id"],
                shown(row),
                row["state"],
                str(row["route_hops"]) if row["route_hops"] else "-",
                "-" if row["latency_ms"] is None else f"{row['latency_ms']} ms",
                f"{span(row['last_seen_s'])} ago",
            )
            for row in rows
        ],
    )


def add(connection: Connection, options: argparse.Namespace) -> None:
    """Keep an address linked."""
    address = with_port(options.address)
    params = {"address": address}
    if options.label is not None:
        params["label"] = options.label
    try:
        result = call(connection, "peers.add_static", params)
    except AnsweredError as error:
        # Whoever adds it again has what he wants; but another label would be lost without a word.
        if error.error.get("code") != ALREADY_CONFIGURED or options.label is not None:
            raise
        say(options, {"node_id": None, "config_entry_id": None}, f"{visible(address)} is in the configuration already")
        return
    said = f"{visible(address)} is in the configuration and is dialled from now on; `pim peers` shows it"
    if result.get("warning"):
        said = (
            f"{visible(address)} is in the configuration, but cannot be dialled: {visible(result['warning'])}; "
            f"`pim remove {visible(address)}` takes it out"
        )
    say(options, result, said)


def with_port(address: str) -> str:
    """Append pimd's own port where none is given; an address with a scheme is complete."""
    if address.startswith(("tcp:", "unix:")):
        return address
    if ":" not in address:
        return f"{address}:{DEFAULT_PORT}"
    if address.startswith("[") and address.endswith("]"):
        return f"{address}:{DEFAULT_PORT}"
    if address.count(":") > 1 and not address.startswith("["):
        return f"[{address}]:{DEFAULT_PORT}"
    return address


def forget(connection: Connection, options: argparse.Namespace) -> None:
    """Forget a peer's identity."""
    node_id = resolve(connection, options.who)
    params = {"node_id": node_id, "also_delete_messages": options.delete_messages}
    result = call(connection, "peers.forget", params)
    text = f"{node_id} is forgotten" if result["forgot_identity"] else f"nothing was known of {node_id}"
    if options.delete_messages:
        text += f"; {counted(result['deleted_messages'], 'message')} deleted"
    say(options, result, text)


def send(connection: Connection, options: argparse.Namespace) -> None:
    """Send a text, or standard input for `-`; prints whether it is on its way or waits for a route."""
    text = read_input().removesuffix("\n") if options.text == "-" else options.text
    node_id = resolve(connection, options.who)
    asked = {"receipt": True} if vars(options).get("receipt") else {}
    params: dict[str, Any] = {"peer_node_id": node_id, "body": text, **asked}
    mailbox = vars(options).get("mailbox")
    if mailbox is not None:
        params["mailbox"] = mailbox and resolve(connection, mailbox)
    result = call(connection, "messages.send", params)
    whither = "" if options.json else _whither(connection, options.who, node_id)
    say(options, result, f"{whither} (message {result['id']})")


def _whither(connection: Connection, who: str, node_id: str) -> str:
    """Say whether the message leaves now: the answer comes before the sending, so its status is `pending`."""
    try:
        found = call(connection, "messages.list_conversations")
    except PimError:
        return f"waits here for {visible(who)}"  # the message was accepted all the same
    if any(row["peer_node_id"] == node_id and row["is_connected"] for row in found["conversations"]):
        return f"on its way to {node_id}"
    configured = call_many(connection, [("peers.configured", None)])[0] or []
    if any(row["node_id"] == node_id and row.get("state") == "other_key" for row in configured):
        return (
            f"waits here; a node with another key answers at the address of {visible(who)}, `pim peers` says what to do"
        )
    return f"waits here; no way to {visible(who)} now, it goes out when there is one"


def call_method(connection: Connection, options: argparse.Namespace) -> None:
    """Call any method with JSON parameters and print the result; `UsageError` for malformed JSON."""
    try:
        params = None if options.params is None else json.loads(options.params)
    except ValueError as error:
        raise UsageError(f"the parameters are not JSON: {error}") from None
    if not isinstance(params, dict | list | None):
        raise UsageError("the parameters must be a JSON object or array")
    result = call(connection, options.method, params)
    say(options, result, json.dumps(result, indent=2))


def features(connection: Connection, options: argparse.Namespace) -> None:
    """What this daemon is made of."""
    rows = call(connection, "features.list")
    text = table(
        ("FEATURE", "STATE", "VERSION", "ORIGIN", "METHODS", "REASON"),
        [
            (
                visible(row["name"]),
                row["state"],
                visible(row["version"]),
                visible(row["origin"]),
                str(len(row["methods"])),
                visible(row["reason"]) + faults(row),
            )
            for row in rows
        ],
    )
    say(options, rows, text)


def faults(row: dict[str, Any]) -> str:
    """Return how often a feature failed since its start; empty when it did not."""
    words = (("failures", "failure"), ("events_dropped", "dropped event"))
    found = ", ".join(counted(row[key], what) for key, what in words if row.get(key))
    return f" ({found})" if found else ""


def strangers(connection: Connection) -> list[str]:
    """Return the lines about people who wrote and are no contacts; empty without any, and without messaging."""
    found = call_many(connection, [("messages.strangers", None)])[0] or {}
    wrote, refused = found.get("wrote", 0), found.get("refused", 0)
    if not wrote:
        return []
    who = "1 person" if wrote == 1 else f"{wrote} people"
    lines = [f"{who} wrote whom you do not know" + (f"; the messages of {refused} were refused:" if refused else "")]
    lines += [f"  {node_id}" for node_id in found.get("newest_refused", ())]
    return [*lines, "whoever you `pim send ID TEXT` gets through"] if refused else lines


def conversation_table(rows: list[dict[str, Any]]) -> str:
    """One line a conversation."""
    return table(
        ("ID", "NAME", "UNREAD", "LAST", "MESSAGE"),
        [
            (
                row["peer_node_id"],
                visible(row["name"]),
                str(row["unread_count"]),
                moment(row["last_message_ts_ms"]),
                visible(row["last_message_preview"] or ""),
            )
            for row in rows
        ],
    )
