"""A service that one feature offers to others: every call of it goes through the guard of the feature that offers it."""

import functools
import inspect
from typing import Any

from pimd.assembly.guard import Guard
from pimd.calls import Outcome
from pimd.contract import DatabaseError, RpcError, ServiceFailed

CALL_S = 30.0
MEANT = (RpcError, DatabaseError, OSError)
"""Errors that a service means to raise; they reach the caller and are no failure."""


class GuardedService:
    """Stands for a service; its methods behave as the feature's own do, but for what they raise."""

    def __init__(self, guard: Guard, service: object) -> None:
        self._guard = guard
        self._service = service

    def __getattr__(self, name: str) -> Any:
        value = _value(self._guard, name, self._guard.calls.call(f"its service's {name}", getattr, self._service, name))
        if inspect.iscoroutinefunction(value):
            return functools.partial(self._run, name, value)
        return functools.partial(self._call, name, value) if callable(value) else value

    async def _run(self, name: str, function: Any, *args: Any, **named: Any) -> Any:
        bound = functools.partial(function, **named)
        outcome = await self._guard.calls.run(f"its service's {name}", bound, *args, timeout_s=CALL_S)
        return _value(self._guard, name, outcome)

    def _call(self, name: str, function: Any, *args: Any, **named: Any) -> Any:
        bound = functools.partial(function, **named)
        return _value(self._guard, name, self._guard.calls.call(f"its service's {name}", bound, *args))


def _value(guard: Guard, name: str, outcome: Outcome) -> Any:
    if outcome.ok:
        return outcome.value
    if isinstance(outcome.error, MEANT):
        raise outcome.error
    guard.judge(f"its service's {name}", outcome, CALL_S)
    raise ServiceFailed(f"feature {guard.feature} failed in {name}, which it offers; its log lines say why")


def service_of(guard: Guard, plugin: object, attribute: str) -> GuardedService | None:
    """Return the service that `attribute` of a plugin holds, or the plugin itself; None when it cannot be had."""
    if not attribute:
        return GuardedService(guard, plugin)
    outcome = guard.call(f"the service {attribute}", getattr, plugin, attribute)
    return GuardedService(guard, outcome.value) if outcome.ok else None
