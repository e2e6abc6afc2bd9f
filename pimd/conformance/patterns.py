"""What an answer has to look like: JSON in which some strings stand for many values."""

import re
from collections.abc import Callable, Mapping
from typing import Any

MORE = "..."
"""As a member of an object, or as the last item of an array: others may follow."""
EACH = "<each>"
"""As the first item of an array of two: all items look like the second."""
KINDS: Mapping[str, Callable[[Any], bool]] = {
    "<any>": lambda _: True,
    "<string>": lambda value: isinstance(value, str),
    "<text>": lambda value: isinstance(value, str) and bool(value),
    "<integer>": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "<number>": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "<boolean>": lambda value: isinstance(value, bool),
    "<array>": lambda value: isinstance(value, list),
    "<object>": lambda value: isinstance(value, dict),
}
MATCHING = re.compile(r"<matching (.+)>", re.DOTALL)
OR = " or "


def mismatch(pattern: Any, value: Any, where: str = "the answer") -> str | None:
    """Return where and how a value differs from what is expected; None when it does not."""
    if isinstance(pattern, dict):
        return _object(pattern, value, where)
    if isinstance(pattern, list):
        return _array(pattern, value, where)
    if isinstance(pattern, str) and pattern.startswith("<") and pattern.endswith(">"):
        return None if _is_of(pattern, value) else f"{where} is {value!r:.200}, and not {pattern}"
    same = type(pattern) is type(value) and pattern == value
    return None if same else f"{where} is {value!r:.200}, and not {pattern!r}"


def _is_of(pattern: str, value: Any) -> bool:
    found = MATCHING.fullmatch(pattern)
    if found is not None:
        return isinstance(value, str) and re.search(found[1], value) is not None
    kinds = [f"<{name}>" for name in pattern[1:-1].split(OR)]
    if not all(kind in KINDS or kind == "<null>" for kind in kinds):
        raise ValueError(f"no such pattern: {pattern}")
    return any(value is None if kind == "<null>" else KINDS[kind](value) for kind in kinds)


def _object(pattern: dict[str, Any], value: Any, where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where} is {value!r:.200}, and not an object"
    wanted = {name: of for name, of in pattern.items() if name != MORE}
    missing = wanted.keys() - value.keys()
    if missing:
        return f"{where} lacks {', '.join(sorted(missing))}: {value!r:.200}"
    added = value.keys() - wanted.keys()
    if added and MORE not in pattern:
        return f"{where} has {', '.join(sorted(added))}, which is not expected"
    found = (mismatch(of, value[name], f"{where}.{name}") for name, of in wanted.items())
    return next((one for one in found if one is not None), None)


def _array(pattern: list[Any], value: Any, where: str) -> str | None:
    if not isinstance(value, list):
        return f"{where} is {value!r:.200}, and not an array"
    if pattern[:1] == [EACH]:
        found = (mismatch(pattern[1], one, f"{where}[{at}]") for at, one in enumerate(value))
        return next((one for one in found if one is not None), None)
    wanted = pattern[:-1] if pattern[-1:] == [MORE] else pattern
    if len(value) < len(wanted) or (len(value) > len(wanted) and len(wanted) == len(pattern)):
        return f"{where} has {len(value)} items, and not {len(wanted)}"
    found = (mismatch(of, one, f"{where}[{at}]") for at, (of, one) in enumerate(zip(wanted, value, strict=False)))
    return next((one for one in found if one is not None), None)
