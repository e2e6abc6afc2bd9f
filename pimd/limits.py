"""Limits on what others can make a daemon hold or do: declared once by name, counted when reached.

Called by everybody, in the thread of the event loop.

Errors: none but those that a member names; a limit that is reached is an answer, and is counted.
"""

import sys
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

KIB = 1 << 10
MIB = 1 << 20


class Limit:
    """A named number; only tests change `value`."""

    __slots__ = ("effect", "name", "unit", "value")

    def __init__(self, name: str, value: int, unit: str, effect: str) -> None:
        self.name = name
        self.value = value
        self.unit = unit
        """Of the value, in the plural: `links`, `bytes`."""
        self.effect = effect
        """What happens beyond it."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self}>"

    def __str__(self) -> str:
        if self.unit == "bytes" and self.value and not self.value % KIB:
            return f"{self.value // KIB} KiB" if self.value % MIB else f"{self.value // MIB} MiB"
        return f"{_grouped(self.value)} {self.unit}"


class Rate(Limit):
    """At most `value` in `period_s` seconds, and `burst` at once after a quiet time."""

    __slots__ = ("burst", "period_s")

    def __init__(self, name: str, value: int, unit: str, effect: str, burst: int, period_s: int) -> None:
        super().__init__(name, value, unit, effect)
        self.burst = burst
        self.period_s = period_s

    def __str__(self) -> str:
        every = {1: "a second", 60: "a minute"}[self.period_s]
        return f"{_grouped(self.value)} {self.unit} {every}, {_grouped(self.burst)} at once"


_declared: dict[str, Limit] = {}
_modules: dict[str, str] = {}
"""Who declared each."""


def declare(name: str, value: int, unit: str, effect: str) -> Limit:
    """Register a limit; ValueError when another module has the name. A module that is loaded anew replaces its own."""
    return _register(Limit(name, value, unit, effect))


def declare_rate(name: str, value: int, unit: str, effect: str, *, burst: int, period_s: int = 1) -> Rate:
    """Register a rate; ValueError when the name is taken."""
    return _register(Rate(name, value, unit, effect, burst, period_s))


L = TypeVar("L", bound=Limit)


def _register(limit: L) -> L:
    module = sys._getframe(2).f_globals.get("__name__", "")  # noqa: SLF001 - of the caller of declare, as in typing.TypeVar
    if _modules.setdefault(limit.name, module) != module:
        raise ValueError(f"there is a limit named {limit.name!r} already")
    _declared[limit.name] = limit
    return limit


def all_limits() -> Sequence[Limit]:
    """Those of all modules imported so far, in order of declaration."""
    return tuple(_declared.values())


class Bites:
    """Counts how often each limit of one daemon was reached."""

    def __init__(self) -> None:
        self._counts: dict[Limit, int] = {}

    def count(self, limit: Limit, by: int = 1) -> None:
        """Add the number of things that were dropped, refused, forgotten or delayed by this limit."""
        given: Any = limit
        if not isinstance(given, Limit):  # a feature gave it, and the counts of all are read together
            raise TypeError(f"count takes a Limit, not {type(given).__name__}")
        if by:
            self._counts[limit] = self._counts.get(limit, 0) + by

    def __getitem__(self, limit: Limit) -> int:
        return self._counts.get(limit, 0)

    def snapshot(self) -> dict[str, int]:
        """Return `limit_<name>` for every limit that was reached at least once."""
        return {
            f"limit_{limit.name.lower().replace(' ', '_').replace('-', '_')}": count
            for limit, count in self._counts.items()
        }


class RecentMap(OrderedDict[K, V]):
    """A map whose entries are set by `put`; over the limit the one put or used longest ago is removed."""

    def __init__(self, limit: Limit, bites: Bites) -> None:
        super().__init__()
        self._limit = limit
        self._bites = bites

    def put(self, key: K, value: V) -> tuple[K, V] | None:
        """Set as the newest; return the entry that was removed, if any."""
        self[key] = value
        self.move_to_end(key)
        if len(self) <= self._limit.value:
            return None
        self._bites.count(self._limit)
        return self.popitem(last=False)

    def use(self, key: K) -> V | None:
        """Return the value and make it the newest."""
        if key in self:
            self.move_to_end(key)
        return self.get(key)


class RecentSet(RecentMap[K, None]):
    """Keys without values; over the limit the key added or used longest ago is removed and counted."""

    def add(self, key: K) -> None:
        """Add the key, or make it the newest."""
        self.put(key, None)

    def discard(self, key: K) -> None:
        """Forget; an absent one is ignored."""
        self.pop(key, None)


class TokenBucket:
    """Enforces a `Rate`: holds at most `burst` tokens, filled at `value` per `period_s`."""

    __slots__ = ("_at", "_bites", "_burst", "_per_s", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float, bites: Bites) -> None:
        self._rate = rate
        self._bites = bites
        self._per_s = rate.value / rate.period_s
        self._burst = rate.burst
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token; False without one, and the limit is counted."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < 1:
            self._bites.count(self._rate)
            return False
        self._tokens -= 1
        return True

    def owe(self, count: int, now: float) -> float:
        """Take tokens that may not be there yet; return the seconds until they are, and count the limit if any."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s) - count
        self._at = now
        if self._tokens >= 0:
            return 0.0
        self._bites.count(self._rate)
        return -self._tokens / self._per_s


class Budget:
    """Counts the units of one limit in use, such as bytes or places."""

    __slots__ = ("_bites", "_limit", "held")

    def __init__(self, limit: Limit, bites: Bites) -> None:
        self.held = 0
        self._limit = limit
        self._bites = bites

    def take(self, size: int, *, leaving: int = 0, alone: bool = False) -> bool:
        """Take `size` units if `leaving` remain free afterwards, with `alone` also if nothing is held; else False."""
        if self.held + size > self._limit.value - leaving and (self.held or not alone):
            self._bites.count(self._limit)
            return False
        self.held += size
        return True

    def has_room(self, *, leaving: int = 0) -> bool:
        """Whether one unit could be taken; a full one is counted as reached."""
        if self.held < self._limit.value - leaving:
            return True
        self._bites.count(self._limit)
        return False

    def give_back(self, size: int) -> None:
        """Return units that were taken; others can take them at once."""
        self.held -= size


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ") if number >= 10_000 else str(number)  # noqa: PLR2004 - as in prose


__all__ = [
    "KIB",
    "MIB",
    "Bites",
    "Budget",
    "Limit",
    "Rate",
    "RecentMap",
    "RecentSet",
    "TokenBucket",
    "all_limits",
    "declare",
    "declare_rate",
]
