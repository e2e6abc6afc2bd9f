"""A service that one feature offers to others: every call of it goes through the guard of the feature that offers it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pimd.assembly.guard import Guard
from pimd.assembly.shapes import SHAPES, as_it_is
from pimd.assembly.views import made_of, members_of
from pimd.calls import Outcome
from pimd.contract import (
    DISCOVERY,
    PEER_DATA,
    PEER_SUMMARIES,
    DatabaseError,
    Discovery,
    PeerData,
    PeerSummaries,
    RpcError,
    ServiceFailed,
)

CALL_S = 30.0
CONTRACTS: Mapping[str, type] = {
    DISCOVERY.name: Discovery,
    PEER_DATA.name: PeerData,
    PEER_SUMMARIES.name: PeerSummaries,
}
MEANT = (RpcError, DatabaseError, OSError)
"""Errors that a service means to raise; they reach the caller and are no failure."""


class GuardedService:
    """Stands for a service; its methods behave as the feature's own do, but for what they raise."""

    def __init__(self, guard: Guard, service: object, key: str) -> None:
        self._guard = guard
        self._service = service
        self._key = key

    def __getattr__(self, name: str) -> Any:
        value = _value(self._guard, name, self._guard.calls.call(f"its service's {name}", getattr, self._service, name))
        if inspect.iscoroutinefunction(value):
            return functools.partial(self._run, name, value)
        return functools.partial(self._call, name, value) if callable(value) else value

    async def _run(self, name: str, function: Any, *args: Any, **named: Any) -> Any:
        shape = SHAPES.get((self._key, name), as_it_is)

        async def shaped() -> Any:
            return shape(await function(*args, **named))

        outcome = await self._guard.calls.run(f"its service's {name}", shaped, timeout_s=CALL_S)
        return _value(self._guard, name, outcome)

    def _call(self, name: str, function: Any, *args: Any, **named: Any) -> Any:
        shape = SHAPES.get((self._key, name), as_it_is)
        outcome = self._guard.calls.call(f"its service's {name}", lambda: shape(function(*args, **named)))
        return _value(self._guard, name, outcome)


def _value(guard: Guard, name: str, outcome: Outcome) -> Any:
    if outcome.ok:
        return outcome.value
    if isinstance(outcome.error, MEANT):
        raise outcome.error
    guard.judge(f"its service's {name}", outcome, CALL_S)
    raise ServiceFailed(f"feature {guard.feature} failed in {name}, which it offers; its log lines say why")


def service_of(key: str, guard: Guard, plugin: object, attribute: str) -> Any:
    """Return the service that `attribute` of a plugin holds, or the plugin itself; None when it cannot be had.

    For a key of the contract it is a view with the members of its Protocol.
    """
    outcome = guard.call(f"the service {attribute}", getattr, plugin, attribute) if attribute else Outcome(value=plugin)
    if not outcome.ok:
        return None
    service = GuardedService(guard, outcome.value, key)
    contract = CONTRACTS.get(key)
    if contract is None:
        return service
    return made_of(contract, {name: _late(service, name, of) for name, of in members_of(contract).items()})


def _late(service: GuardedService, name: str, declared: Any) -> Callable[..., Any]:
    """Look the method up at each call, within the guard: that may fail, too."""

    async def run(*args: Any, **named: Any) -> Any:
        return await getattr(service, name)(*args, **named)

    def call(*args: Any, **named: Any) -> Any:
        return getattr(service, name)(*args, **named)

    return run if inspect.iscoroutinefunction(declared) else call
