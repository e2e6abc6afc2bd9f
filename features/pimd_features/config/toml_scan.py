"""Finds where values and comments stand in a TOML 1.0 text that `tomllib` accepts."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

_BLANK = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r"#[^\r\n]*")
_KEY = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}' r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}" r"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'"
)
_OTHER = re.compile(r"[^,\]}#\r\n]*[^,\]}#\s]")
"""A number, date, time or boolean; a date may hold a space."""


@dataclass(frozen=True)
class Assigned:
    """One value that is no array or table, with its place in the text."""

    path: tuple[str, ...]
    """Keys from the top; arrays add nothing."""
    start: int
    end: int
    where: tuple[str | int, ...] = ()
    """Keys from the top, with the index in each array."""


@dataclass(frozen=True)
class Comment:
    """One comment from `#` to the end of its line."""

    start: int
    end: int


def scan(text: str) -> Iterator[Assigned | Comment]:
    """Yield values and comments in their order; ValueError where the text is not understood."""
    return _Scan(text).document()


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._last: dict[tuple[str | int, ...], int] = {}
        """Index of the last table of each array of tables."""

    def document(self) -> Iterator[Assigned | Comment]:
        table: tuple[str, ...] = ()
        where: tuple[str | int, ...] = ()
        while True:
            yield from self._blank()
            if self._at == len(self._text):
                return
            if self._skips("["):
                brackets = 1 + self._skips("[")
                table = self._key()
                for _ in range(brackets):
                    self._expect("]")
                where = self._table(table, is_array=brackets == 2)  # noqa: PLR2004 - `[[`
            else:
                yield from self._assignment(table, where)

    def _table(self, path: tuple[str, ...], *, is_array: bool) -> tuple[str | int, ...]:
        """Return where a table begins."""
        where: tuple[str | int, ...] = ()
        for at, part in enumerate(path, 1):
            where = (*where, part)
            if is_array and at == len(path):
                self._last[where] = self._last.get(where, -1) + 1
            if where in self._last:
                where = (*where, self._last[where])
        return where

    def _assignment(self, table: tuple[str, ...], where: tuple[str | int, ...]) -> Iterator[Assigned | Comment]:
        key = self._key()
        self._expect("=")
        yield from self._value((*table, *key), (*where, *key))

    def _value(self, path: tuple[str, ...], where: tuple[str | int, ...]) -> Iterator[Assigned | Comment]:
        yield from self._blank()
        if self._skips("["):
            yield from self._members(path, where, "]")
        elif self._skips("{"):
            yield from self._members(path, where, "}")
        else:
            found = _STRING.match(self._text, self._at) or self._match(_OTHER)
            self._at = found.end()
            yield Assigned(path, found.start(), found.end(), where)

    def _members(
        self, path: tuple[str, ...], where: tuple[str | int, ...], closing: str
    ) -> Iterator[Assigned | Comment]:
        index = 0
        while True:
            yield from self._blank()
            if self._skips(closing):
                return
            if self._skips(","):
                continue
            yield from self._value(path, (*where, index)) if closing == "]" else self._assignment(path, where)
            index += 1

    def _blank(self) -> Iterator[Comment]:
        while True:
            self._at = self._match(_BLANK).end()
            comment = _COMMENT.match(self._text, self._at)
            if comment is None:
                return
            self._at = comment.end()
            yield Comment(comment.start(), comment.end())

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while not parts or self._skips("."):
            found = self._match(_KEY)
            self._at = found.end()
            part = found[1]
            parts.append(tomllib.loads(f"x = {part}")["x"] if part[0] in "\"'" else part)
        return tuple(parts)

    def _skips(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _expect(self, mark: str) -> None:
        if not self._skips(mark):
            raise ValueError(f"{mark!r} was expected at {self._at}")

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"something else was expected at {self._at}")
        return found
