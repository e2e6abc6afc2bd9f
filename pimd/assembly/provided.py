"""A service that one feature offers to others: every call of it goes through the guard of the feature that offers it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pimd.assembly.guard import Guard
from pimd.assembly.shapes import SHAPES, as_it_is
from pimd.assembly.views import made_of, members_of
from pimd.calls import Outcome
from pimd.contract import (
    DISCOVERY,
    PARCELS,
    PEER_DATA,
    PEER_SUMMARIES,
    DatabaseError,
    Discovery,
    Parcels,
    PeerData,
    PeerSummaries,
    RpcError,
    ServiceFailed,
)

CALL_S = 30.0
CONTRACTS: Mapping[str, type] = {
    DISCOVERY.name: Discovery,
    PARCELS.name: Parcels,
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
        if not callable(value):
            return value
        return _guarded(self._guard, self._key, name, value, is_async=inspect.iscoroutinefunction(value))


def _guarded(guard: Guard, key: str, name: str, function: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """Return what calls a function of a service through the guard of its feature, and holds its answer to the contract."""
    what, shape = f"its service's {name}", SHAPES.get((key, name), as_it_is)

    async def run(*args: Any, **named: Any) -> Any:
        async def shaped() -> Any:
            return shape(await function(*args, **named))

        return _value(guard, name, await guard.calls.run(what, shaped, timeout_s=CALL_S))

    def call(*args: Any, **named: Any) -> Any:
        return _value(guard, name, guard.calls.call(what, lambda: shape(function(*args, **named))))

    return run if is_async else call


def _value(guard: Guard, name: str, outcome: Outcome) -> Any:
    if outcome.ok:
        return outcome.value
    if isinstance(outcome.error, MEANT):
        raise outcome.error
    guard.judge(f"its service's {name}", outcome, CALL_S)
    raise ServiceFailed(f"feature {guard.feature} failed in {name}, which it offers; its log lines say why")


def service_of(key: str, guard: Guard, plugin: object, attribute: str) -> Any:
    """Return the service that `attribute` of a plugin holds, or the plugin itself; None when it cannot be had.

    For a key of the contract it is a view with the members of its Protocol, each called as that declares it.
    """
    outcome = guard.call(f"the service {attribute}", getattr, plugin, attribute) if attribute else Outcome(value=plugin)
    if not outcome.ok:
        return None
    contract = CONTRACTS.get(key)
    if contract is None:
        return GuardedService(guard, outcome.value, key)

    def late(name: str, declared: Any) -> Callable[..., Any]:
        """Look the method up at each call, within the guard: that may fail, too."""

        def found(*args: Any, **named: Any) -> Any:
            return getattr(outcome.value, name)(*args, **named)

        return _guarded(guard, key, name, found, is_async=inspect.iscoroutinefunction(declared))

    return made_of(contract, {name: late(name, declared) for name, declared in members_of(contract).items()})
