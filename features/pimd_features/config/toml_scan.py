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

    def document(self) -> Iterator[Assigned | Comment]:
        table: tuple[str, ...] = ()
        while True:
            yield from self._blank()
            if self._at == len(self._text):
                return
            if self._skips("["):
                brackets = 1 + self._skips("[")
                table = self._key()
                for _ in range(brackets):
                    self._expect("]")
            else:
                yield from self._assignment(table)

    def _assignment(self, table: tuple[str, ...]) -> Iterator[Assigned | Comment]:
        path = (*table, *self._key())
        self._expect("=")
        yield from self._value(path)

    def _value(self, path: tuple[str, ...]) -> Iterator[Assigned | Comment]:
        yield from self._blank()
        if self._skips("["):
            yield from self._members(path, "]")
        elif self._skips("{"):
            yield from self._members(path, "}")
        else:
            found = _STRING.match(self._text, self._at) or self._match(_OTHER)
            self._at = found.end()
            yield Assigned(path, found.start(), found.end())

    def _members(self, path: tuple[str, ...], closing: str) -> Iterator[Assigned | Comment]:
        while True:
            yield from self._blank()
            if self._skips(closing):
                return
            if self._skips(","):
                continue
            yield from self._value(path) if closing == "]" else self._assignment(path)

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
