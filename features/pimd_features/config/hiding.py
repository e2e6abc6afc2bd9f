"""Hides secrets in a TOML text: values, what is commented out, and what a remark repeats; the rest stays as it is."""

import re
import tomllib
from collections.abc import Callable, Collection, Iterator
from typing import Any

from pimd_features.config.toml_scan import Assigned, Comment, scan

HIDDEN = "********"
UNREADABLE = f"# this file holds secrets in a form that cannot be shown here, or is no TOML\n# {HIDDEN}\n"
Path = tuple[str, ...]

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET = re.compile(
    "auth|authorization|bearer|cookies?|credentials?|mnemonic|otp|passcode|passphrases?|passwd|passwords?|psks?|pwd"
    "|secrets?|tokens?"
)
_ENDINGS = (
    "apikey",
    "authkey",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "psk",
    "secret",
    "sharedkey",
    "token",
)
_KEYS = frozenset({"key", "keys"})
_FORMS = frozenset(["b", "base", "bytes", "data", "der", "hex", "material", "pem", "raw", "text", "value", "values"])
"""Words after which a secret's name goes on and means the secret still: `key_hex`."""
_ABOUT = re.compile(
    "algorithm|bits|count|dir|directory|enabled|expiry|files?|ids?|interval|length|lifetime|limit|method|mode|ms|name|paths?|policy"
    "|required|rotation|s|seconds|size|timeout|ttl|type"
)
"""Words that end the name of something about a secret: `passphrase_file`."""
_LEAST = 4
"""Characters of a secret that is looked for in remarks; shorter ones stand in ordinary words."""

_LONGEST = 4096
"""Characters of a comment that is looked into; a longer one is hidden, since looking takes the square of its length."""
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_ASSIGNMENT = re.compile(rf"(?<![\w.-])((?:{_PART}[ \t]*\.[ \t]*)*{_PART})[ \t]*[=:][ \t]*(?=\S)")
"""Without possessive quantifiers: in CPython before 3.11.3 one around a group that is captured finds nothing."""
_HEADER = re.compile(r"#+\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?")
_USERINFO = re.compile(r"(?<=://)(?:[^\s/?#:]{0,256}:\S{0,2048}|[^\s/?#]{0,2048})(?=@)")
"""Name and password of a URL, also with characters that RFC 3986 wants escaped; bounded, since looking takes the square."""
_QUERY = re.compile(r"[?&;]([\w.~-]+)=([^&;#\s]+)")
_PARTS = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")


def hidden(text: str, declared: Collection[Path] = ()) -> str:
    """Return a TOML text with its secrets replaced; `declared` are paths of keys that are secrets besides."""
    return Hiding(declared).text(text)


class Hiding:
    """Decides what is a secret: keys whose name says so, and those that features declare."""

    def __init__(self, declared: Collection[Path] = ()) -> None:
        self._declared = frozenset(declared)
        """Paths of keys, where `*` stands for any one part."""
        self._names = frozenset(path[-1] for path in declared)

    def values(self, value: Any, path: Path = ()) -> Any:
        """Return a parsed configuration with each secret replaced."""
        if isinstance(value, dict):
            return {key: self.values(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.values(inner, path) for inner in value]
        return HIDDEN if self._is_secret(path) or (isinstance(value, str) and _in_urls(value)) else value

    def text(self, text: str) -> str:
        """Return the text with each secret replaced; all of it where that cannot be done safely."""
        try:
            parsed = tomllib.loads(text)
            found = list(scan(text))
            hidden = replaced(text, sorted(self._spans(text, found)))
            if repr(tomllib.loads(hidden)) == repr(self.values(parsed)):
                return hidden
        except (ValueError, IndexError, RecursionError):
            pass
        return UNREADABLE

    def _is_secret(self, path: Path) -> bool:
        return any(map(is_secret_name, path)) or any(
            len(declared) <= len(path) and all(one in ("*", part) for one, part in zip(declared, path, strict=False))
            for declared in self._declared
        )

    def _spans(self, text: str, found: list[Assigned | Comment]) -> Iterator[tuple[int, int, str]]:
        secrets: set[str] = set()
        for one in found:
            if not isinstance(one, Assigned):
                continue
            literal = text[one.start : one.end]
            in_urls = _in_urls(str(tomllib.loads(f"x = {literal}")["x"]))
            if self._is_secret(one.path) or in_urls:
                yield one.start, one.end, f'"{HIDDEN}"'
                secrets |= _worth_looking_for(literal) | {one for one in in_urls if len(one) >= _LEAST}
        comments = _Comments(text, self._is_secret_part, secrets)
        for one in found:
            if isinstance(one, Comment):
                yield from comments.spans(one)
            else:
                comments.end()

    def _is_secret_part(self, part: str) -> bool:
        return is_secret_name(part) or part in self._names


class _Comments:
    """Goes through comments in order: a commented-out value may go on in the next ones."""

    def __init__(self, text: str, is_secret: Callable[[str], bool], secrets: Collection[str]) -> None:
        self._text = text
        self._is_secret = is_secret
        self._secrets = sorted(secrets, key=len, reverse=True)
        self.end()

    def end(self) -> None:
        """Called for what is not commented out: there the commented-out table and value end."""
        self._in_secret_table = False
        self._until: str | None = None
        self._depth = 0

    def spans(self, comment: Comment) -> Iterator[tuple[int, int, str]]:
        text = self._text[comment.start : comment.end]
        if self._continues:
            self._follow(text)
            yield comment.start, comment.end, f"# {HIDDEN}"
            return
        if len(text) > _LONGEST:
            yield comment.start, comment.end, f"# {HIDDEN}"
            return
        header = _HEADER.fullmatch(text)
        if header is not None:
            self._in_secret_table = self._names_a_secret(header[1])
        hidden = sorted(
            [*self._assigned(text), *self._repeated(text), *(one.span() for one in _USERINFO.finditer(text))]
        )
        at = 0
        for start, end in hidden:
            if end > at:
                yield comment.start + max(start, at), comment.start + end, HIDDEN if start >= at else ""
                at = end

    def _assigned(self, text: str) -> Iterator[tuple[int, int]]:
        for found in _ASSIGNMENT.finditer(text):
            if self._in_secret_table or self._names_a_secret(found[1]):
                self._begin(text[found.end() :])
                yield found.end(), len(text)
                return

    def _names_a_secret(self, key: str) -> bool:
        return any(self._is_secret(part.strip("\"'")) for part in _PARTS.findall(key))

    def _repeated(self, text: str) -> Iterator[tuple[int, int]]:
        if self._secrets:
            yield from (found.span() for found in re.finditer("|".join(map(re.escape, self._secrets)), text))

    @property
    def _continues(self) -> bool:
        return self._until is not None or self._depth > 0

    def _begin(self, value: str) -> None:
        for quotes in ('"""', "'''"):
            if value.startswith(quotes) and quotes not in value[len(quotes) :]:
                self._until = quotes
                return
        if value[0] in "[{":
            self._follow(value)

    def _follow(self, text: str) -> None:
        if self._until is not None:
            self._until = None if self._until in text else self._until
        else:
            self._depth = max(0, self._depth + sum(map(text.count, "[{")) - sum(map(text.count, "]}")))


def is_secret_name(name: str) -> bool:
    """Tell whether a key is named like a secret: `bot_token` and `apiKey` are, `key_file` and `public_key` are not."""
    words = [word.lower() for word in _WORDS.findall(name)]
    while words and words[-1] in _FORMS and len(words) > 1:
        words.pop()
    if not words or _ABOUT.fullmatch(words[-1]) or words[-1].endswith("file"):
        return False
    if words[-1] in _KEYS:
        return not {"public", "pub"} & set(words)
    return any(map(_SECRET.fullmatch, words)) or words[-1].endswith(_ENDINGS)


def _in_urls(value: str) -> set[str]:
    """Return names with passwords, passwords, and secrets of queries that stand in URLs."""
    users = [found[0] for found in _USERINFO.finditer(value) if found[0]]
    passwords = [password for user in users if (password := user.partition(":")[2])]
    queries = [found[2] for found in _QUERY.finditer(value) if is_secret_name(found[1])]
    return {*users, *passwords, *queries}


def _worth_looking_for(literal: str) -> set[str]:
    value = tomllib.loads(f"x = {literal}")["x"]
    lines = str(value).splitlines() or [""]
    return {one.strip() for one in (str(value), *lines, literal.strip("\"'")) if len(one.strip()) >= _LEAST}


def replaced(text: str, spans: list[tuple[int, int, str]]) -> str:
    """Return the text with each span, start and end in order, replaced by its text."""
    parts, at = [], 0
    for start, end, new in spans:
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])
