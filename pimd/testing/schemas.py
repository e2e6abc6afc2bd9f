"""JSON Schema as pydantic writes it: values that fit one, values that nearly do, and what is wrong with a value."""

import random
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DEEP = 4
TEXTS = ("", "a", "\0", "\x1b[2J", "\u202e", "ä€😀", "x" * 300, "../../etc/passwd", "-1", "null", " ")
_PIECE = re.compile(r"(\[(?:\\.|[^\]\\])+\]|\\.|[^\\\[\](){}*+?|^$])(\{\d+(?:,\d*)?\}|[*+?])?")


class Draw:
    """Draws values for schemas; `ids` are node ids that mean something where the feature runs."""

    def __init__(self, seed: int, ids: Sequence[str] = ()) -> None:
        self.random = random.Random(seed)  # noqa: S311 - the same each time
        self._ids = ids

    def value(self, schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int = 0) -> Any:
        """Return a value that fits the schema as far as it is understood."""
        schema = resolved(schema, defs)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if "anyOf" in schema or "oneOf" in schema:
            return self._one_of(schema, defs, depth)
        kind = schema.get("type")
        draw = getattr(self, f"_{kind}", None) if isinstance(kind, str) else None
        return draw(schema, defs, depth) if draw is not None else self.random.choice([None, 1, "x", [], {}])

    def nearly(self, value: Any) -> Any:
        """Return the value with one part replaced by something else."""
        if isinstance(value, dict) and value:
            key = self.random.choice(list(value))
            changed = {**value, key: self.nearly(value[key])}
            if self.random.random() < 0.2:  # noqa: PLR2004 - a fifth lacks a member
                del changed[key]
            return changed
        if isinstance(value, list) and value:
            return [*value[:-1], self.nearly(value[-1])]
        others = [None, True, -1, 0, 2**63, 1.5, *TEXTS, "y" * 9000, [], {}, [[]], {"a": 1}, value]
        return self.random.choice(others)

    def _one_of(self, schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> Any:
        offered = schema.get("anyOf") or schema["oneOf"]
        choices = [one for one in offered if depth < DEEP or one.get("type") == "null"] or offered[-1:]
        chosen = self.random.choice(choices)
        value = self.value(chosen, defs, depth + 1)
        tag = schema.get("discriminator", {}).get("propertyName")
        if tag is not None and isinstance(value, dict) and tag not in value:
            value[tag] = self.value(resolved(chosen, defs)["properties"][tag], defs, depth + 1)
        return value

    def _null(self, *_: Any) -> None:
        return None

    def _boolean(self, *_: Any) -> bool:
        return self.random.random() < 0.5  # noqa: PLR2004 - even chances

    def _integer(self, schema: Mapping[str, Any], *_: Any) -> int:
        least, most = _bounds(schema, 1)
        edges = [least, most, min(most, max(least, 0)), min(most, max(least, 1))]
        return int(self.random.choice([*edges, self.random.randint(int(least), int(most))]))

    def _number(self, schema: Mapping[str, Any], *_: Any) -> float:
        least, most = _bounds(schema, 1e-6)
        return self.random.choice([least, most, self.random.uniform(least, most)])

    def _string(self, schema: Mapping[str, Any], *_: Any) -> str:
        pattern = schema.get("pattern")
        if pattern is not None:
            fitting = [one for one in self._ids if _matches(pattern, one)]
            if fitting and self.random.random() < 0.7:  # noqa: PLR2004 - mostly one that means something
                return self.random.choice(fitting)
            return self._matching(pattern)
        least, most = schema.get("minLength", 0), min(schema.get("maxLength", 200), 10_000)
        if self.random.random() < 0.5:  # noqa: PLR2004 - even chances
            text = self.random.choice([*TEXTS, *self._ids])
        else:
            text = "".join(
                self.random.choices(string.printable + "äß€", k=self.random.randint(least, max(least, most)))
            )
        return text[:most].ljust(least, "x")

    def _array(self, schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = max(least, min(schema.get("maxItems", 3), least + 3)) if depth < DEEP else least
        if "prefixItems" in schema:
            return [self.value(one, defs, depth + 1) for one in schema["prefixItems"]]
        return [self.value(schema.get("items", {}), defs, depth + 1) for _ in range(self.random.randint(least, most))]

    def _object(self, schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        members = {
            name: self.value(member, defs, depth + 1)
            for name, member in schema.get("properties", {}).items()
            if name in required or (depth < DEEP and self.random.random() < 0.6)  # noqa: PLR2004 - more than half
        }
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping) and depth < DEEP:
            members |= {f"k{n}": self.value(more, defs, depth + 1) for n in range(self.random.randint(0, 2))}
        return members

    def _matching(self, pattern: str) -> str:
        """Return a text for patterns of classes and letters with counts; others get a text that may not match."""
        return "".join(
            self._letter(piece) for piece, count in _PIECE.findall(pattern) for _ in range(self._count(count))
        )

    def _count(self, count: str) -> int:
        if count.startswith("{"):
            least, _, most = count[1:-1].partition(",")
            return self.random.randint(int(least), int(most or least))
        return {"": 1, "?": self.random.randint(0, 1)}.get(count, self.random.randint(1, 8))

    def _letter(self, piece: str) -> str:
        fitting = [letter for letter in string.printable if re.fullmatch(piece, letter)]
        return self.random.choice(fitting or ["x"])


def resolved(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow `$ref`."""
    while "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    return schema


def mismatch(value: Any, schema: Mapping[str, Any], defs: Mapping[str, Any], at: str = "") -> str | None:
    """Say where a value does not fit the schema, or return None; keywords that pydantic does not write are ignored."""
    return next(_mismatches(value, resolved(schema, defs), defs, at), None)


def _mismatches(value: Any, schema: Mapping[str, Any], defs: Mapping[str, Any], at: str) -> Iterator[str]:
    where = at or "it"
    if "const" in schema and value != schema["const"]:
        yield f"{where} is {_short(value)}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {_short(value)}, none of {schema['enum']}"
    for several in ("anyOf", "oneOf"):
        found = [mismatch(value, one, defs, at) for one in schema.get(several, ())]
        if found and None not in found:
            yield (
                found[0]
                if len(found) == 1 and found[0] is not None
                else f"{where} is {_short(value)}, no {several} of the schema fits"
            )
    kinds = schema.get("type")
    if isinstance(kinds, str) and not _is_of(value, kinds):
        yield f"{where} is {_short(value)}, no {kinds}"
    elif isinstance(value, dict):
        yield from _members(value, schema, defs, at)
    elif isinstance(value, list):
        for number, one in enumerate(value if "items" in schema else ()):
            yield from filter(None, [mismatch(one, schema["items"], defs, f"{at}[{number}]")])
    else:
        yield from _scalar(value, schema, where)


def _members(value: dict[str, Any], schema: Mapping[str, Any], defs: Mapping[str, Any], at: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at or 'it'} lacks {name}"
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, one in value.items():
        member = known.get(name, more)
        if member is False:
            yield f"{at or 'it'} has {name}, which is not declared"
        elif isinstance(member, Mapping):
            yield from filter(None, [mismatch(one, member, defs, f"{at}.{name}".lstrip("."))])


def _scalar(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if isinstance(value, str):
        if "pattern" in schema and not _matches(schema["pattern"], value):
            yield f"{where} is {_short(value)}, which does not match {schema['pattern']}"
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{where} has {len(value)} characters, which the schema does not allow"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least, most = _bounds(schema, 0, everything=True)
        if not least <= value <= most:
            yield f"{where} is {value}, not within {least} and {most}"


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True  # pydantic's own dialect of patterns knows more


def _is_of(value: Any, kind: str) -> bool:
    if kind in {"integer", "number"}:
        wanted: type | tuple[type, ...] = int if kind == "integer" else (int, float)
        return isinstance(value, wanted) and not isinstance(value, bool)
    return isinstance(value, {"null": type(None), "boolean": bool, "string": str, "array": list, "object": dict}[kind])


def _bounds(schema: Mapping[str, Any], step: float, *, everything: bool = False) -> tuple[float, float]:
    far = float("inf") if everything else 10_000
    least = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None)
    most = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None)
    least = least if least is not None else min(-far, most if most is not None else -far)
    return least, most if most is not None else max(far, least)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."  # noqa: PLR2004 - one line of a message
