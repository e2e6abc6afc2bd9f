"""What a JSON Schema of pydantic lets a value be, as far as a terminal needs to know."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

Type = Literal["string", "integer", "number", "boolean"]
TYPES: tuple[Type, ...] = ("string", "integer", "number", "boolean")
DEEP = 16
"""References that are followed one after the other."""


@dataclass(frozen=True)
class Value:
    """What an argument of a command line can be turned into."""

    type: Type
    choices: list[str | int] | None = None
    is_list: bool = False


@dataclass(frozen=True)
class Shape:
    """A schema, and the place where its references lead."""

    schema: Mapping[str, Any]
    schemas: Mapping[str, Any]

    def value(self) -> Value | None:
        """Return what an argument must be; None for objects, lists of lists, and unions of several types."""
        ways = [one.schema for one in self.ways() if one.schema.get("type") != "null"]
        if len(ways) != 1:
            return None
        kind, items = ways[0].get("type"), ways[0].get("items")
        if kind == "array" and isinstance(items, Mapping):
            each = self._of(items).value()
            return None if each is None or each.is_list else Value(each.type, each.choices, is_list=True)
        choices = [ways[0]["const"]] if "const" in ways[0] else ways[0].get("enum")
        if kind is None and choices and all(isinstance(one, str) for one in choices):
            kind = "string"
        return next((Value(one, choices) for one in TYPES if one == kind), None)

    def at(self, path: str) -> Self | None:
        """Return the member at a dotted path; None when no answer has it."""
        name, _, rest = path.partition(".")
        for way in self.ways():
            properties = way.schema.get("properties", {})
            if name in properties:
                member: Any = properties[name]
            elif "properties" not in way.schema and way.schema.get("type", "object") == "object":
                member = way.schema.get("additionalProperties", {})  # of a dict, or anything at all
            else:
                continue
            found = self._of(member if isinstance(member, Mapping) else {})
            if not rest:
                return found
            deeper = found.at(rest)
            if deeper is not None:
                return deeper
        return None

    def element(self) -> Self | None:
        """Return what a list holds; None when it is none."""
        for way in self.ways():
            if way.schema.get("type", "array") == "array" and "properties" not in way.schema:
                items = way.schema.get("items", {})
                return self._of(items if isinstance(items, Mapping) else {})
        return None

    def _of(self, schema: Mapping[str, Any]) -> Self:
        return type(self)(schema, self.schemas)

    def ways(self, depth: int = 0) -> Iterator[Self]:
        """Yield the schemas of a union, references followed."""
        reference = self.schema.get("$ref")
        if isinstance(reference, str) and depth < DEEP:
            yield from self._of(self.schemas.get(reference.rpartition("/")[2], {})).ways(depth + 1)
            return
        parts = self.schema.get("anyOf") or self.schema.get("oneOf") or self.schema.get("allOf")
        if parts is None or depth >= DEEP:
            yield self
            return
        for part in parts:
            yield from self._of(part).ways(depth + 1)
