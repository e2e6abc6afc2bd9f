"""The command line of `pim`: its parsers."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pimd import __version__
from pimd.cli import (
    archive_commands,
    commands,
    config_commands,
    identity_commands,
    mesh_commands,
    receipt_commands,
    token_commands,
)
from pimd.cli.errors import UsageError
from pimd.cli.inbox import inbox
from pimd.cli.output import put
from pimd.cli.verbs import Verb, add_verbs
from pimd.cli.watch import watch

AddCommand = Callable[[str, object, str], argparse.ArgumentParser]

HELP = "help"
NEW_FEATURE = "feature new"
RECEIPT_VERIFY = "receipt verify"
NARROW = "token narrow"
"""Stand for commands that need no daemon. The first needs the parsers, the second much of the library."""


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` instead of exiting; subcommands use it, too."""

    is_silent = False
    """Whether an error prints no usage."""
    listing = ""
    """Printed below the help."""
    summaries: tuple[tuple[str, str], ...] = ()
    """The commands of `pim` itself, and what each does."""

    def error(self, message: str) -> NoReturn:
        """Raise the error, so that `main` prints it as text or JSON."""
        if not self.is_silent:
            self.print_usage(sys.stderr)
        raise UsageError(message)

    def format_help(self) -> str:
        """Return the help, and the listing."""
        return super().format_help() + self.listing

    def _print_message(self, message: str, file: Any = None) -> None:
        """Called by argparse for help and version, with standard output, which may be closed or full."""
        if file is not None and file is sys.stderr:
            super()._print_message(message, file)
        else:
            put(message.rstrip("\n"))


def make_parser(verbs: Sequence[Verb] = ()) -> Parser:
    """Return the parser of all commands of `pim` itself, and of these of features."""
    common = _common()
    parser = Parser(
        prog="pim",
        description="Talks to the pimd daemon of this machine.",
        epilog="A NAME is a label given here, else what a contact or a linked peer calls itself, when only one does. "
        "An ID may be cut to 8 digits.",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"pim {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    command = _adder(subparsers, common)
    _add_commands(command)
    _add_mesh_commands(command)
    _add_config_commands(subparsers, common)
    text = "show which mesh this node is in"
    mesh = subparsers.add_parser("mesh", help=text, description=text, parents=[common])
    in_mesh = _adder(mesh.add_subparsers(metavar="COMMAND", required=True), common)
    in_mesh("status", mesh_commands.mesh_status, "show mode, id and fingerprint")
    _add_identity_commands(command, subparsers, common)
    text = "signed receipts of messages, as files"
    receipt = subparsers.add_parser("receipt", help=text, description=text, parents=[common])
    of_receipt = _adder(receipt.add_subparsers(metavar="COMMAND", required=True), common)
    save = of_receipt("save", receipt_commands.save, "write the receipt of a message that was sent with --receipt")
    save.add_argument("message", metavar="ID", help="of the message, as `pim send` printed it")
    save.add_argument("file", metavar="FILE", nargs="?", help="a new file; else it is printed")
    verify = of_receipt("verify", RECEIPT_VERIFY, "say whether a receipt holds, and what it says; needs no daemon")
    verify.add_argument("file", metavar="FILE", help="- reads standard input")
    _add_token_commands(subparsers, common)
    text = "begin a feature of your own"
    feature = subparsers.add_parser("feature", help=text, description=text, parents=[common])
    of_feature = _adder(feature.add_subparsers(metavar="COMMAND", required=True), common)
    new = of_feature("new", NEW_FEATURE, "write a small distribution with a feature that works; needs no daemon")
    new.add_argument("name", metavar="NAME", help="of the feature: lowercase letters, digits and underscores")
    new.add_argument("directory", metavar="DIR", type=Path, help="new or empty")
    about = command("help", HELP, "list all commands, those of features too, or explain one")
    about.add_argument("words", metavar="WORD", nargs="*")
    parser.summaries = tuple((name, one.description or "") for name, one in subparsers.choices.items())
    add_verbs(verbs, subparsers, common)
    return parser


def scan(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options before the command, whether `help` is among them, and `words`: the command and all behind it."""
    parser = Parser(add_help=False, parents=[_common()])
    parser.is_silent = True
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("words", nargs=argparse.PARSER)
    found = argparse.Namespace(data_dir=None, socket=None, url=None, token_file=None, json=False, help=False, words=[])
    with contextlib.suppress(UsageError):  # the parser of all commands finds it again, and says it better
        parser.parse_args(arguments, found)
    return found


def _common() -> Parser:
    common = Parser(add_help=False)
    for flag, kind, text in (
        ("--data-dir", Path, "the daemon's data directory"),
        ("--socket", Path, "the daemon's Unix socket"),
        ("--url", str, "the daemon's http:// address, with /rpc"),
        ("--token-file", Path, "the token for --url; <data-dir>/rpc.token by default"),
    ):
        common.add_argument(flag, type=kind, default=argparse.SUPPRESS, help=text)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs")
    return common


def _add_identity_commands(
    command: AddCommand, subparsers: "argparse._SubParsersAction[Parser]", common: Parser
) -> None:
    command("doctor", identity_commands.doctor, "list what is wrong; exit code 1 when there is something")
    text = "show this node's id and fingerprint, or decide about its key"
    identity = subparsers.add_parser("identity", help=text, description=text, parents=[common])
    identity.set_defaults(command=identity_commands.show)
    of_key = _adder(identity.add_subparsers(metavar="COMMAND", required=False), common)
    of_key("keep", identity_commands.keep, "go on with this key, although another machine uses it")
    new = of_key("new", identity_commands.new, "make a new key, for the next start of pimd")
    new.add_argument("--yes", action="store_true", help="do not ask")


def _add_token_commands(subparsers: "argparse._SubParsersAction[Parser]", common: Parser) -> None:
    text = "tokens for programs that may not do everything"
    token = subparsers.add_parser("token", help=text, description=text, parents=[common])
    of_token = _adder(token.add_subparsers(metavar="COMMAND", required=True), common)
    create = of_token("create", token_commands.create, "make one, and print it; it is shown this once")
    create.add_argument("name", metavar="NAME", help="what to call it")
    token_commands.add_restrictions(create)
    of_token("list", token_commands.list_tokens, "list those that were made, and what each may")
    revoke = of_token("revoke", token_commands.revoke, "end one, with all that were narrowed from it")
    revoke.add_argument("name", metavar="TOKEN", help="its name or id; see `pim token list`")
    narrow = of_token("narrow", NARROW, "read a token from standard input, print one that may less; needs no daemon")
    token_commands.add_restrictions(narrow)


def _add_config_commands(subparsers: "argparse._SubParsersAction[Parser]", common: Parser) -> None:
    text = "show the configuration"
    config = subparsers.add_parser("config", help=text, description=text, parents=[common])
    command = _adder(config.add_subparsers(metavar="COMMAND", required=True), common)
    text = "print the configuration: the file, with what was added and switched while the daemon ran"
    show = command("show", config_commands.show, text)
    show.add_argument("--origin", action="store_true", help="list each setting, and where its value comes from")


def _adder(subparsers: "argparse._SubParsersAction[Parser]", common: Parser) -> AddCommand:
    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        made = subparsers.add_parser(name, help=text, description=text, parents=[common])
        made.set_defaults(command=run)
        return made

    return command


def _add_commands(command: AddCommand) -> None:
    command("status", commands.status, "show this node and whom it sees")
    peers = command("peers", commands.peers, "list whom this node knows")
    peers.add_argument("-n", "--limit", type=int, choices=range(1, 1001), metavar="N", help="show at most so many")
    peers.add_argument("--after", metavar="NAME-OR-ID", help="go on behind the last one of the page before")
    peers.add_argument("-v", "--verbose", action="store_true", help="also show what each link carries")
    add = command("add", commands.add, "link with another machine, now and after every restart")
    add.add_argument("address", metavar="ADDRESS", help="host:port, the port is 9100 as a rule; or unix:/path")
    add.add_argument("--label", help="what to call it")
    forget = command("forget", commands.forget, "forget a peer's identity, label and pin")
    forget.add_argument("who", metavar="NAME-OR-ID")
    forget.add_argument("--delete-messages", action="store_true", help="delete the conversation, too")
    send = command("send", commands.send, "send a text to a peer")
    send.add_argument("who", metavar="NAME-OR-ID")
    send.add_argument("text", metavar="TEXT", help="the text; - reads it from standard input")
    send.add_argument("--receipt", action="store_true", help="ask for a signed receipt; see `pim receipt`")
    kept = send.add_mutually_exclusive_group()
    kept.add_argument(
        "--no-mailbox",
        dest="mailbox",
        action="store_false",
        default=None,
        help="let no mailbox keep it, send it directly",
    )
    kept.add_argument(
        "--mailbox", metavar="MAILBOX", help="name or id of a mailbox of the peer, to be asked how to write to it first"
    )
    read = command("inbox", inbox, "list conversations, or read one")
    read.add_argument("who", metavar="NAME-OR-ID", nargs="?")
    read.add_argument("-f", "--follow", action="store_true", help="print unread and new messages as they come")
    read.add_argument("--keep-unread", action="store_true", help="do not mark what is shown as read")
    _add_file_commands(command)
    call = command("call", commands.call_method, "call any JSON-RPC method; `pim call rpc.methods` lists them")
    call.add_argument("method", metavar="METHOD")
    call.add_argument("params", metavar="JSON", nargs="?", help="an object or array")
    follow = command("watch", watch, "print the events of a stream as they come, also over restarts of the daemon")
    follow.add_argument("stream", metavar="STREAM", help="such as peers, messages or logs")
    follow.add_argument(
        "params", metavar="JSON", nargs="?", help="an object: what its subscribe takes, such as a filter"
    )
    command("features", commands.features, "list features, and why one is off")


def _add_file_commands(command: AddCommand) -> None:
    export = command("export", archive_commands.export, "write messages into a file that `pim import` reads")
    export.add_argument("file", metavar="FILE", help="a new file; - writes to standard output")
    whose = export.add_mutually_exclusive_group()
    whose.add_argument("--with", dest="who", metavar="NAME-OR-ID", help="only the messages with this peer")
    whose.add_argument("--group", metavar="GROUP", help="the messages of a group instead, which are not imported")
    import_ = command(
        "import", archive_commands.import_, "read messages from a file; those that are here stay as they are"
    )
    import_.add_argument("file", metavar="FILE", help="- reads standard input")


def _add_mesh_commands(command: AddCommand) -> None:
    command("routes", mesh_commands.routes, "list the way to every node")
    trace = command("trace", mesh_commands.trace, "show each hop on the way to a node")
    trace.add_argument("who", metavar="NAME-OR-ID")
    command("discover", mesh_commands.discover, "list who announces itself nearby")
    pair = command("pair", mesh_commands.pair, "link with a node nearby or at an address, now and after every restart")
    pair.add_argument("who", metavar="NAME-OR-ID-OR-ADDRESS", help="one of `pim discover`, host:port, or unix:/path")
    pair.add_argument("--label", help="what to call it")
    pair.add_argument("--once", action="store_true", help="do not write it into the configuration")
    accept = command("accept", mesh_commands.accept, "accept a peer's new key, after asking it another way")
    accept.add_argument("who", metavar="NAME-OR-ADDRESS", help="whose key: its label, address, or old id")
    accept.add_argument("old", metavar="OLD", help="the key known so far: its id, or the first 8 digits and more")
    accept.add_argument("new", metavar="NEW", help="the id of the new key, as `pim peers` shows it")
    accept.add_argument("--move-messages", action="store_true", help="send it what waits for the old key")
    remove = command("remove", mesh_commands.remove, "undo add and pair: hang up, and link with it no more by itself")
    remove.add_argument("who", metavar="NAME-OR-ID-OR-ADDRESS", help="one of `pim peers`, host:port, or unix:/path")
