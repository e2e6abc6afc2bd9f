"""The commands that features bring, as the running daemon describes them in `x-verbs` of `rpc.discover`."""

import argparse
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pimd import terminal
from pimd.cli.commands import say
from pimd.cli.connection import Connection, call
from pimd.cli.names import resolve
from pimd.cli.show import shown
from pimd.cli.text import visible, width

MOST = 512
"""Commands that are read; what a daemon describes beyond them is left out."""
CHOICES = 64
"""Choices that are checked here, and not only by the daemon."""
USAGE_WIDTH = 40
"""A longer usage moves its own summary only."""


@dataclass(frozen=True)
class Verb:
    """One command of a feature; all texts are fit for a terminal."""

    words: tuple[str, ...]
    summary: str
    feature: str
    method: str
    args: Sequence[Mapping[str, Any]]
    show: Mapping[str, Any]

    @property
    def usage(self) -> str:
        """Words and arguments, such as `file send NAME-OR-ID PATH [--once]`."""
        return " ".join([*self.words, *map(_usage, self.args)])


def learned(connection: Connection) -> list[Verb]:
    """Ask the daemon for the commands of its features; those that are malformed or unclear are left out."""
    document = call(connection, "rpc.discover")
    described = document.get("x-verbs") if isinstance(document, dict) else None
    found: dict[tuple[str, ...], Verb] = {}
    for one in itertools.islice(described if isinstance(described, list) else [], MOST):
        try:
            verb = _read(one)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        # Words of two commands that begin alike all along cannot be told apart.
        if not any(all(a == b for a, b in zip(words, verb.words, strict=False)) for words in found):
            found[verb.words] = verb
    return list(found.values())


def add_verbs(verbs: Sequence[Verb], subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Let the parser of `pim` take these commands."""
    groups: dict[tuple[str, ...], Any] = {(): subparsers}
    for verb in verbs:
        for depth in range(1, len(verb.words)):
            group = verb.words[:depth]
            if group not in groups:
                about = f"commands of features that begin with `{' '.join(group)}`"
                made = groups[group[:-1]].add_parser(group[-1], description=about, parents=[common])
                groups[group] = made.add_subparsers(metavar="COMMAND", required=True)
        parser = groups[verb.words[:-1]].add_parser(
            verb.words[-1], help=_literal(verb.summary), description=_description(verb.summary), parents=[common]
        )
        parser.set_defaults(command=run, verb=verb)
        for arg in verb.args:
            _add_arg(parser, arg)


def run(connection: Connection, options: argparse.Namespace) -> None:
    """Call the method of a feature's command with what was given, and show its answer."""
    verb: Verb = options.verb
    params: dict[str, Any] = {}
    for arg in verb.args:
        given = getattr(options, _dest(arg))
        if arg["type"] == "boolean":
            if given or arg["required"]:
                params[arg["field"]] = given != arg["default"]
        elif given is not None and given != []:
            values = [_meant(connection, arg["kind"], one) for one in (given if arg["list"] else [given])]
            params[arg["field"]] = values if arg["list"] else values[0]
    answer = call(connection, verb.method, params)
    say(options, answer, "" if options.json else shown(verb.show, answer))


def listed(verbs: Sequence[Verb]) -> str:
    """One line for each command."""
    if not verbs:
        return ""
    widths = [width(verb.usage) for verb in verbs]
    column = max((one for one in widths if one <= USAGE_WIDTH), default=0)
    rows = [f"  {verb.usage}{' ' * (column - one)}  {verb.summary}" for verb, one in zip(verbs, widths, strict=True)]
    return "\ncommands of features, from the running daemon:\n" + "\n".join(rows) + "\n"


def _meant(connection: Connection, kind: str, given: Any) -> Any:
    if kind == "peer":
        return resolve(connection, given)
    return os.path.abspath(given) if kind == "path" else given  # noqa: PTH100 - links stay as the user wrote them


# --- reading


def _read(one: Any) -> Verb:
    words = tuple(one["words"])
    if not 0 < len(words) <= terminal.WORDS_OF_VERB or not all(map(terminal.WORD.fullmatch, words)):
        raise ValueError("no words of a command")
    args = [_read_arg(arg) for arg in one["args"][: terminal.ARGS_OF_VERB]]
    names = [name for arg in args for name in {arg["field"], arg["option"]} if name]
    if words[0] in terminal.COMMANDS or len(set(names)) < len(names):
        raise ValueError("not to be told apart")
    method = one["method"]
    if not isinstance(method, str):
        raise TypeError("no method")
    return Verb(words, _text(one["summary"]), _text(one["x-feature"]), method, args, _read_show(one["show"]))


def _read_arg(arg: Any) -> dict[str, Any]:
    option, kind = arg["option"], arg["type"]
    if not terminal.FIELD.fullmatch(arg["field"]) or arg["kind"] not in ("value", "peer", "path"):
        raise ValueError("no argument")
    if option and (not terminal.OPTION.fullmatch(option) or option in terminal.OPTIONS):
        raise ValueError("no option")
    if kind not in _TYPES or (kind == "boolean" and not option) or (arg["kind"] != "value" and kind != "string"):
        raise ValueError("no type")
    choices = arg["choices"] if isinstance(arg["choices"], list) and len(arg["choices"]) <= CHOICES else None
    flags = {name: arg[name] is True for name in ("list", "required", "default")}
    return {"field": arg["field"], "option": option, "kind": arg["kind"], "type": kind, **flags} | {
        "help": _text(arg["help"]),
        "choices": choices,
    }


def _read_show(show: Any) -> dict[str, Any]:
    kind = show["kind"]
    if kind == "line":
        return {"kind": kind, "text": _raw(show["text"])}
    cells = [
        (_raw(name), _raw(text)) for name, text in show["columns" if kind == "table" else "pairs"][: terminal.CELLS]
    ]
    if kind == "pairs":
        return {"kind": kind, "pairs": cells}
    if kind != "table" or not cells:
        raise ValueError("no way to show an answer")
    return {"kind": kind, "columns": cells, "rows": _raw(show["rows"]), "empty": _raw(show["empty"])}


def _raw(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError("no text")
    return text if len(text) <= terminal.TEXT else f"{text[: terminal.TEXT]}..."


def _text(text: Any) -> str:
    return visible(_raw(text))


# --- parsing


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return number


_TYPES = {"string": str, "integer": _whole, "number": _number, "boolean": None}


def _dest(arg: Mapping[str, Any]) -> str:
    return f"arg {arg['field']}"  # no other destination has a space in it


def _metavar(arg: Mapping[str, Any]) -> str:
    return "NAME-OR-ID" if arg["kind"] == "peer" else str(arg["field"]).upper()


def _usage(arg: Mapping[str, Any]) -> str:
    if arg["option"]:
        text = arg["option"] if arg["type"] == "boolean" else f"{arg['option']} {_metavar(arg)}"
        return text if arg["required"] and arg["type"] != "boolean" else f"[{text}]"
    text = _metavar(arg) + " ..." * arg["list"]
    return text if arg["required"] else f"[{text}]"


def _add_arg(parser: argparse.ArgumentParser, arg: Mapping[str, Any]) -> None:
    about = "; ".join(_about(arg))
    if arg["type"] == "boolean":
        parser.add_argument(arg["option"], dest=_dest(arg), action="store_true", help=about)
        return
    how: dict[str, Any] = {
        "metavar": _metavar(arg),
        "type": _TYPES[arg["type"]],
        "choices": arg["choices"],
        "help": about,
    }
    if arg["option"]:
        action = "append" if arg["list"] else "store"
        parser.add_argument(arg["option"], dest=_dest(arg), action=action, required=arg["required"], **how)
        return
    if arg["list"] or not arg["required"]:
        how["nargs"] = ("+" if arg["required"] else "*") if arg["list"] else "?"
    if how.get("nargs") == "*":
        how["choices"] = None  # argparse would want the empty list among them
    parser.add_argument(_dest(arg), **how)


def _about(arg: Mapping[str, Any]) -> Iterator[str]:
    if arg["help"]:
        yield _literal(arg["help"])
    if arg["kind"] == "peer":
        yield "a peer"
    if arg["choices"]:
        yield _literal(f"one of {_text(', '.join(map(str, arg['choices'])))}")


def _literal(text: str) -> str:
    """Escape what argparse would fill in."""
    return text.replace("%", "%%")


def _description(text: str) -> str:
    return _literal(text) if "%(prog)" in text else text
