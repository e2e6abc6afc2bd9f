"""Puts stored secrets back into a text in which they were hidden."""

import json
import tomllib
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pimd_features.config.hiding import HIDDEN, UNREADABLE, replaced
from pimd_features.config.toml_scan import Assigned, Comment, scan

Where = tuple[str | int, ...]


class NotRestored(Exception):  # noqa: N818
    """A text holds ******** where it does not tell which secret that is, or where none is stored."""

    def __init__(self, path: str, line: int | None) -> None:
        super().__init__(
            f"{path}: {HIDDEN} stands for a secret that is stored, and it is unclear for which: write it out"
        )
        self.path = path
        self.line = line


@dataclass(frozen=True)
class Stored:
    """A configuration, and how it was shown."""

    text: str
    shown: str
    """Its secrets hidden."""

    @property
    def is_shown(self) -> bool:
        """Whether it could be shown at all."""
        return self.shown != UNREADABLE

    def restored(self, sent: str) -> str:
        """Return a TOML text with its secrets; `NotRestored`. What is no TOML comes back as it is."""
        try:
            found = list(scan(sent))
            pairs = dict(_pairs(tomllib.loads(sent), tomllib.loads(self.shown)))
        except (ValueError, IndexError, RecursionError):
            return sent
        literals = {one.where: self.text[one.start : one.end] for one in scan(self.text) if isinstance(one, Assigned)}
        spans = []
        for one in found:
            if isinstance(one, Assigned) and one.where in pairs:
                there = pairs[one.where]
                if there is None:
                    raise NotRestored(dotted(one.where), sent.count("\n", 0, one.start) + 1)
                spans.append((one.start, one.end, _on_one_line(literals[there])))
        return replaced(sent, sorted([*spans, *self._comments(sent, found)]))

    def restored_values(self, sent: Any) -> Any:
        """Do the same to a parsed text, in place; `NotRestored`."""
        stored = tomllib.loads(self.text)
        for where, there in _pairs(sent, tomllib.loads(self.shown)):
            if there is None:
                raise NotRestored(dotted(where), None)
            _at(sent, where[:-1])[where[-1]] = _at(stored, there)
        return sent

    def _comments(self, sent: str, found: list[Assigned | Comment]) -> Iterator[tuple[int, int, str]]:
        hidden: dict[str, deque[str]] = defaultdict(deque)
        for one, other in zip(_comments_of(self.shown), _comments_of(self.text), strict=False):
            if HIDDEN in one:
                hidden[one].append(other)
        for each in found:
            text = sent[each.start : each.end]
            if isinstance(each, Comment) and hidden.get(text):
                yield each.start, each.end, hidden[text].popleft()


def dotted(where: Where) -> str:
    """Return a path as problems of a configuration name it."""
    return ".".join(map(str, where))


def _comments_of(text: str) -> list[str]:
    return [text[one.start : one.end] for one in scan(text) if isinstance(one, Comment)]


def _pairs(sent: Any, shown: Any, at: Where = (), there: Where = ()) -> Iterator[tuple[Where, Where | None]]:
    """Yield where the sent text has ********, and which secret of the stored one that is, None where nobody can tell."""
    if sent == HIDDEN:
        yield at, there if shown == HIDDEN else None
    elif isinstance(sent, dict):
        known = shown if isinstance(shown, dict) else {}
        for key, value in sent.items():
            yield from _pairs(value, known.get(key), (*at, key), (*there, key))
    elif isinstance(sent, list):
        partners = _partners(sent, shown if isinstance(shown, list) else [])
        for index, (value, partner) in enumerate(zip(sent, partners, strict=True)):
            other = shown[partner] if partner is not None else None
            yield from _pairs(value, other, (*at, index), (*there, -1 if partner is None else partner))


def _partners(sent: list[Any], shown: list[Any]) -> list[int | None]:
    """Return for each member which one of the list that was shown it is: the same one, or else that at its place."""
    if not any(isinstance(one, dict | list) for one in sent):
        # Plain secrets all look alike: only their places tell them apart.
        return list(range(len(sent))) if len(sent) == len(shown) else [None] * len(sent)
    left = list(range(len(shown)))
    partners: list[int | None] = [None] * len(sent)
    for index, one in enumerate(sent):
        partners[index] = next((other for other in left if shown[other] == one), None)
        if partners[index] is not None:
            left.remove(partners[index])  # type: ignore[arg-type]
    return [index if one is None and index in left else one for index, one in enumerate(partners)]


def _on_one_line(literal: str) -> str:
    """Return the same string as a literal of one line, so that the lines of the text keep their numbers."""
    if "\n" not in literal:
        return literal
    value = tomllib.loads(f"x = {literal}")["x"]
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _at(tree: Any, where: Where) -> Any:
    for part in where:
        tree = tree[part]
    return tree
