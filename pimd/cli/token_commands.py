"""`pim token`: tokens that may do less than the daemon's own."""

import argparse
import json
import re
import sys
from datetime import UTC, datetime
from typing import Any

from pimd.cli.commands import say
from pimd.cli.connection import Connection, call
from pimd.cli.errors import UsageError
from pimd.cli.output import read_input
from pimd.cli.text import moment, table, visible, visible_name

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_restrictions(parser: argparse.ArgumentParser) -> None:
    """Add the options that `create` and `narrow` share."""
    parser.add_argument("--methods", metavar="LIST", type=_names, help="only these, such as status,peers.*")
    parser.add_argument("--streams", metavar="LIST", type=_names, help="only events of these, such as peers,messages")
    parser.add_argument("--read-only", action="store_true", help="only methods that change nothing")
    parser.add_argument("--expires", metavar="TIME", type=_seconds, help="from now: 90s, 15m, 12h or 30d")
    parser.add_argument("--rate", metavar="N[/BURST]", type=_rate, help="calls a second, and at once")


def create(connection: Connection, options: argparse.Namespace) -> None:
    """Print the new token alone, so that a script can keep it."""
    params = {"name": options.name} | _restrictions(options)
    if options.expires is not None:
        params["expires_s"] = options.expires
    found = call(connection, "tokens.create", params)
    say(options, found, found["token"])


def list_tokens(connection: Connection, options: argparse.Namespace) -> None:
    """Show names and restrictions; no secrets."""
    rows = call(connection, "tokens.list", {})
    cells = [(visible_name(row["name"]), row["id"][:8], moment(row["created_ms"]), _in_words(row)) for row in rows]
    say(
        options,
        rows,
        table(("NAME", "ID", "MADE", "MAY"), cells) if rows else "no tokens; make one with `pim token create NAME`",
    )


def revoke(connection: Connection, options: argparse.Namespace) -> None:
    """End a token by name or id."""
    found = call(connection, "tokens.revoke", {"name": options.name})
    say(options, found, f"{visible_name(found['name'])} is revoked, with all that were narrowed from it")


def narrow(options: argparse.Namespace) -> None:
    """Print a token that may less than the one on standard input; needs no daemon."""
    from pimd import macaroon  # noqa: PLC0415 - hashlib loads OpenSSL, and others need not wait for it

    if sys.stdin is not None and sys.stdin.isatty():
        print("paste the token, then end the input (Ctrl-D):", file=sys.stderr)
    restrictions = _restrictions(options)
    if options.expires is not None:
        restrictions["expires"] = int(datetime.now(UTC).timestamp()) + int(options.expires)
    if not restrictions:
        raise UsageError("say what the new token may not, with --methods, --streams, --read-only, --expires or --rate")
    try:
        token = macaroon.parse(read_input().strip())
        text = macaroon.narrowed(token, json.dumps(restrictions, separators=(",", ":")).encode()).text
    except ValueError as error:
        raise UsageError(str(error)) from None
    say(options, {"token": text}, text)


def _restrictions(options: argparse.Namespace) -> dict[str, Any]:
    found = {
        "methods": options.methods,
        "streams": options.streams,
        "read_only": options.read_only or None,
        "rate": options.rate,
    }
    return {name: value for name, value in found.items() if value is not None}


def _in_words(row: dict[str, Any]) -> str:
    said = [part for caveat in row["restrictions"] for part in _parts(caveat)]
    return ("EXPIRED; " if row["expired"] else "") + ("; ".join(said) or "everything")


def _parts(caveat: dict[str, Any]) -> list[str]:
    rate = caveat.get("rate")
    return [
        *(
            f"{name} {visible(', '.join(caveat[name])) or 'none'}"
            for name in ("methods", "streams")
            if caveat.get(name) is not None
        ),
        *(["read-only"] if caveat.get("read_only") else []),
        *([f"{rate['per_s']:g} calls a second, {rate['burst']} at once"] if rate else []),
        *([f"until {moment(caveat['expires'] * 1000)}"] if caveat.get("expires") is not None else []),
    ]


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,9})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 15m, 12h or 30d")
    return int(found[1]) * UNITS[found[2]]


def _rate(text: str) -> dict[str, Any]:
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(?:/([1-9][0-9]{0,5}))?", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no rate such as 5 or 5/20")
    return {"per_s": float(found[1]), "burst": int(found[2] or max(1, round(float(found[1]))))}
