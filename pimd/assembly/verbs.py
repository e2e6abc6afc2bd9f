"""The terminal commands of a feature, checked against its methods, as `rpc.discover` shows them to `pim`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pimd import terminal
from pimd.assembly.json_shapes import Shape
from pimd.contract import Arg, Feature, Line, Pairs, Table, Verb
from pimd.rpc.openrpc import describe
from pimd.rpc.registry import Method


class VerbError(Exception):
    """A terminal command that does not fit its method; the text says what to write instead."""


def verbs_of(feature: Feature, methods: Sequence[Method]) -> tuple[dict[str, Any], ...]:
    """Describe the terminal commands of a feature; `VerbError` for the first that cannot be."""
    if len(feature.verbs) > terminal.VERBS_OF_FEATURE:
        raise VerbError(
            f"it brings {len(feature.verbs)} terminal commands; write at most {terminal.VERBS_OF_FEATURE}, "
            "`pim call` reaches every method"
        )
    found = {method.name: method for method in methods}
    before: list[tuple[str, ...]] = []
    described = []
    for verb in feature.verbs:
        if not isinstance(verb, Verb):
            raise VerbError(f'{_cut(verb)} in verbs is no Verb; write: verbs=(Verb(("{feature.name}",), ...),)')
        _check_words(feature, verb.words)
        for words in before:
            if overlap(words, verb.words):
                raise VerbError(
                    f"the terminal commands `{' '.join(words)}` and `{' '.join(verb.words)}` cannot be told apart; "
                    "give one of them other words"
                )
        before.append(verb.words)
        described.append(_Command(feature, verb, found).described())
    plain: list[dict[str, Any]] = json.loads(json.dumps(described))
    return tuple(plain)


def overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether one command is the other, or begins like it as a whole."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _check_words(feature: Feature, words: Any) -> None:
    is_right = isinstance(words, tuple) and 0 < len(words) <= terminal.WORDS_OF_VERB
    if not is_right or not all(isinstance(word, str) and terminal.WORD.fullmatch(word) for word in words):
        raise VerbError(
            f"the words {_cut(words)} are no terminal command: it has one to {terminal.WORDS_OF_VERB} words of lowercase "
            f'letters, digits and hyphens; write: words=("{feature.name}", "do")'
        )


def _cut(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= terminal.TEXT else f"{text[: terminal.TEXT]}..."


@dataclass(frozen=True)
class _Command:
    """One verb beside the models of its method."""

    feature: Feature
    verb: Verb
    methods: Mapping[str, Method]

    def described(self) -> dict[str, Any]:
        verb = self.verb
        self._check_text("summary", verb.summary)
        name: Any = verb.method
        method = self.methods.get(name) if isinstance(name, str) else None
        if method is None:
            there = ", ".join(self.methods) or "none; mark one with @rpc, and name its class: plugin=..."
            raise self._error(f"calls {_cut(verb.method)}, which is no method of this feature; there are: {there}")
        known = method.described or describe(method)
        about, schemas = known.entry, known.schemas
        return {
            "words": list(verb.words),
            "summary": verb.summary,
            "method": verb.method,
            "args": self._args({one["name"]: one for one in about["params"]}, schemas),
            "show": self._shown(Shape(about["result"]["schema"], schemas)),
            "x-feature": self.feature.name,
        }

    # --- args

    def _args(self, params: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
        args: Any = self.verb.args
        if not isinstance(args, tuple) or len(args) > terminal.ARGS_OF_VERB:
            raise self._error(f'args must be a tuple of at most {terminal.ARGS_OF_VERB}; write: args=(Arg("text"),)')
        described = [self._arg(arg, params, schemas) for arg in args]
        for what in ("field", "option"):
            given = [one[what] for one in described if one[what]]
            twice = next((one for one in given if given.count(one) > 1), None)
            if twice is not None:
                raise self._error(f"has {twice} twice in args; take one of them out")
        self._check_places([one for one in described if not one["option"]])
        filled = {one["field"] for one in described}
        for name, param in params.items():
            if param["required"] and name not in filled:
                raise self._error(f'leaves out {name}, which {self.verb.method} needs; add to args: Arg("{name}")')
        return described

    def _arg(self, arg: Any, params: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(arg, Arg) or not isinstance(arg.field, str):
            raise self._error(f'has {_cut(arg)} in args, which is no Arg; write: Arg("text")')
        if arg.field not in params or not terminal.FIELD.fullmatch(arg.field):
            there = ", ".join(params) or "none"
            raise self._error(
                f"has the arg {_cut(arg.field)}, which is no field of {self.verb.method}; there are: {there}"
            )
        self._check_text(f"help of {arg.field}", arg.help)
        self._check_option(arg)
        param = params[arg.field]
        value = Shape(param["schema"], schemas).value()
        if value is None:
            raise self._error(
                f"has the arg {arg.field}, whose type no terminal argument can be: text, whole number, number, bool, a "
                "choice of these, and a list of these can"
            )
        if arg.kind not in ("value", "peer", "path"):
            raise self._error(
                f'has the arg {arg.field} of the kind {_cut(arg.kind)}; write: kind="peer", "path" or "value"'
            )
        if arg.kind != "value" and value.type != "string":
            raise self._error(f'has the arg {arg.field} of the kind "{arg.kind}", whose field takes no text')
        if value.type == "boolean" and (value.is_list or not arg.option):
            raise self._error(
                f'has the arg {arg.field}, a bool; write: Arg("{arg.field}", option="--{_hyphened(arg.field)}")'
            )
        return {
            "field": arg.field,
            "help": arg.help,
            "option": arg.option,
            "kind": arg.kind,
            "type": value.type,
            "list": value.is_list,
            "choices": value.choices,
            "required": param["required"],
            "default": param["schema"].get("default") is True if value.type == "boolean" else None,
        }

    def _check_option(self, arg: Arg) -> None:
        option: Any = arg.option
        if option == "":
            return
        if not isinstance(option, str) or not terminal.OPTION.fullmatch(option):
            raise self._error(f'has the option {_cut(option)}; write: option="--{_hyphened(arg.field)}"')
        if option in terminal.OPTIONS:
            raise self._error(f"has the option {option}, which every command of pim has; choose another")

    def _check_places(self, args: Sequence[Mapping[str, Any]]) -> None:
        """Arguments at their places can be told apart only in this order: needed, not needed, list."""
        order = [2 if one["list"] else 0 if one["required"] else 1 for one in args]
        if order != sorted(order) or order.count(2) > 1:
            raise self._error(
                "has args that cannot be told apart: first those that are needed, then those with a default, then at most "
                'one list; or give one an option="--word"'
            )

    # --- show

    def _shown(self, answer: Shape) -> dict[str, Any]:
        show: Any = self.verb.show
        if isinstance(show, Line):
            self._check_template(show.text, answer)
            return {"kind": "line", "text": show.text}
        if isinstance(show, Pairs):
            return {"kind": "pairs", "pairs": self._cells("pairs", show.pairs, answer)}
        if not isinstance(show, Table):
            raise self._error(f"is shown as {_cut(show)}; write: show=Line(...), Pairs(...) or Table(...)")
        self._check_text("text for an empty table", show.empty)
        if not isinstance(show.rows, str):
            raise self._error('names rows that are no text; write: rows="rows"')
        rows = answer.at(show.rows) if show.rows else answer
        if rows is None or rows.element() is None:
            where = f"the member {show.rows} of the answer" if show.rows else "the answer"
            raise self._error(
                f"is shown as a table, but {where} of {self.verb.method} is no list; write: show=Line(...)"
            )
        if not show.columns:
            raise self._error('is shown as a table without columns; write: columns=(("NAME", "{name}"),)')
        cells = self._cells("columns", show.columns, rows.element())
        return {"kind": "table", "columns": cells, "rows": show.rows, "empty": show.empty}

    def _cells(self, what: str, cells: Any, answer: Shape | None) -> list[list[str]]:
        is_right = isinstance(cells, tuple) and len(cells) <= terminal.CELLS
        if not is_right or not all(isinstance(cell, tuple) and len(cell) == 2 for cell in cells):  # noqa: PLR2004
            raise self._error(
                f'has {what} that are no tuple of at most {terminal.CELLS} pairs; write: {what}=(("NAME", "{{name}}"),)'
            )
        for name, text in cells:
            self._check_text(f"name in {what}", name)
            self._check_template(text, answer)
        return [[name, text] for name, text in cells]

    def _check_template(self, text: Any, answer: Shape | None) -> None:
        self._check_text("text in show", text)
        for path, style in terminal.PLACEHOLDER.findall(text):
            if answer is None or answer.at(path) is None:
                raise self._error(f"shows {{{path}}}, which the answer of {self.verb.method} does not have")
            if style and style not in terminal.FORMATS:
                raise self._error(f"shows {{{path}:{style}}}; formats are: {', '.join(sorted(terminal.FORMATS))}")
        if set("{}") & set(terminal.PLACEHOLDER.sub("", text)):
            raise self._error(f"shows {_cut(text)}; braces stand only around a member of the answer, {{name}}")

    # --- inside

    def _check_text(self, what: str, text: Any) -> None:
        if not isinstance(text, str):
            raise self._error(f"has a {what} that is no text: {_cut(text)}")
        if len(text) > terminal.TEXT:
            raise self._error(f"has a {what} of {len(text)} characters; write at most {terminal.TEXT}")

    def _error(self, text: str) -> VerbError:
        return VerbError(f"the terminal command `{' '.join(self.verb.words)}` {text}")


def _hyphened(field: str) -> str:
    return field.lower().replace("_", "-").strip("-")
