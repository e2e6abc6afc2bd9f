"""Shows an answer in the way that a feature's command declares; whatever the answer holds is escaped."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pimd.cli.text import moment, size, span, table, visible, visible_name
from pimd.terminal import PLACEHOLDER, TEXT

MISSING = "-"
READABLE = 1e18
"""Numbers beyond it are shown as they are."""


def shown(show: Mapping[str, Any], answer: Any) -> str:
    """Return the answer as `show` of `x-verbs` says."""
    if show["kind"] == "line":
        return filled(show["text"], answer)
    if show["kind"] == "table":
        return _table(show, answer)
    return _pairs(show["pairs"], answer)


def filled(text: str, answer: Any) -> str:
    """Replace each `{member:format}` by that member of the answer; a dash for one that is missing or null."""
    parts = PLACEHOLDER.split(text)  # text, path, format, text, ...
    found = [visible(parts[0])]
    for path, style, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found += [_formatted(_member(answer, path), style), visible(after)]
    return "".join(found)


def _table(show: Mapping[str, Any], answer: Any) -> str:
    rows = _member(answer, show["rows"]) if show["rows"] else answer
    if not isinstance(rows, list) or not rows:
        return visible(show["empty"])
    heads = [visible(head) for head, _ in show["columns"]]
    return table(heads, [[_cut(filled(text, row)) for _, text in show["columns"]] for row in rows])


def _cut(cell: str) -> str:
    return cell if len(cell) <= TEXT else f"{cell[:TEXT]}..."


def _pairs(pairs: Sequence[Sequence[str]], answer: Any) -> str:
    if pairs:
        lines = [(visible(name), filled(text, answer)) for name, text in pairs]
    elif isinstance(answer, dict):
        lines = [(visible_name(str(name)), _formatted(value, None)) for name, value in answer.items()]
    elif isinstance(answer, list):
        return "\n".join(_formatted(one, None) for one in answer) or "nothing to show"
    else:
        return "done" if answer is None else _formatted(answer, None)
    return table(("", ""), lines).lstrip("\n")


def _member(answer: Any, path: str) -> Any:
    for name in path.split("."):
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def _formatted(value: Any, style: str | None) -> str:
    if value is None:
        return MISSING
    if style == "name" and isinstance(value, str):
        return f'"{visible_name(value)}"'
    if style in NUMBERS and isinstance(value, int | float) and abs(value) < READABLE:
        return NUMBERS[style](value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


NUMBERS: Mapping[str | None, Callable[[Any], str]] = {"size": size, "span": span, "moment": moment}
