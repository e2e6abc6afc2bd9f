"""The commands about this node's own key, and about what is wrong with it."""

import argparse
import sys

from pimd.cli.commands import say
from pimd.cli.connection import Connection, call
from pimd.cli.errors import NotReachedError, PimError
from pimd.cli.output import complain
from pimd.cli.text import counted, visible


def show(connection: Connection, options: argparse.Namespace) -> None:
    """Print this node's id and fingerprint."""
    found = call(connection, "identity.show")
    lines = [f"id           {found['node_id']}", f"fingerprint  {found['fingerprint']}"]
    if found["waits"]:
        lines.append("another machine uses this key: stop one of them; then `pim identity keep`, or `pim identity new`")
    if found["next_node_id"] is not None:
        lines.append(f"from the next start of pimd on it is {found['next_node_id']}")
    say(options, found, "\n".join(lines))


def keep(connection: Connection, options: argparse.Namespace) -> None:
    """Go on with this key here."""
    found = call(connection, "identity.keep")
    say(
        options,
        found,
        f"this node goes on as {found['node_id']}; others refuse it while another machine answers with it",
    )


def new(connection: Connection, options: argparse.Namespace) -> None:
    """Make a new key for the next start, after a question on a terminal; `PimError` without a yes."""
    if not options.yes and not _agreed():
        raise PimError("nothing was changed; `pim identity new --yes` makes a new key without a question")
    found = call(connection, "identity.new")
    lines = (
        f"this node is {found['node_id']} from the next start of pimd on: restart it now",
        f"its contacts accept that with `pim accept`; the old key is kept in {visible(found['old_key_file'])}",
    )
    say(options, found, "\n".join(lines))


def _agreed() -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    complain("To everybody else this machine becomes another one. Make a new key? [y/N]")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def doctor(connection: Connection, options: argparse.Namespace) -> None:
    """List what is wrong, as far as the daemon knows; ends with 1 when there is something."""
    warnings = call(connection, "status").get("warnings", [])
    warnings += [
        {"kind": "feature", "text": f"feature {row['name']} is {row['state']}: {row['reason']}"}
        for row in call(connection, "features.list")
        if row["state"] in {"failed", "quarantined"}
    ]
    text = "\n".join(f"* {visible(one['text'])}" for one in warnings)
    say(options, warnings, text or "nothing is wrong, as far as this node knows")
    if warnings:
        raise NotReachedError(f"{counted(len(warnings), 'problem')} found")
