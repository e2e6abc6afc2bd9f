"""The method table: the methods that exist now, and the explanation of a missing one."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter

from pimd.calls import Calls
from pimd.contract import NoParams, Params, RpcError, mark_of
from pimd.contract.methods import DEFAULT_TIMEOUT_S
from pimd.rpc.connection import Connection

CORE = "core"
"""Stands for a feature's name where the daemon itself owns a method."""

Call = Callable[[Connection, Any], Awaitable[Any]]


@dataclass(frozen=True)
class Described:
    """A method or stream as `rpc.discover` says it, in plain JSON, and the schemas that it refers to by name."""

    entry: dict[str, Any]
    schemas: dict[str, Any]


@dataclass(frozen=True)
class Method:
    """One entry of the method table, as dispatch calls it and `rpc.discover` describes it."""

    name: str
    feature: str
    call: Call
    doc: str
    result: Any
    """The annotation of what it returns; `result_adapter` writes it as JSON."""
    params: type[Params] = NoParams
    errors: tuple[type[RpcError], ...] = ()
    timeout_s: float = DEFAULT_TIMEOUT_S
    reads: bool = False
    """Whether it changes nothing, so that a read-only token may call it."""
    stream: str | None = None
    """The namespace whose events it subscribes or unsubscribes."""
    calls: Calls = field(default_factory=lambda: Calls("core"))
    """Whose calls they are: a feature's own, so that it is timed and stopped with it."""
    schema_prefix: str = ""
    """Keeps the models of an installed feature apart from those of others in `rpc.discover`."""
    described: Described | None = None
    """Made when its feature is constructed, since its models are foreign code; None: made when it is asked for."""

    @cached_property
    def result_adapter(self) -> TypeAdapter[Any]:
        """Built at the first call, so that schemas of uncalled methods cost nothing."""
        return TypeAdapter(self.result)


def method_of(function: Callable[..., Any], feature: str, context: Callable[[], object] | None = None) -> Method:
    """Read a marked function: bound, taking `(params)`, or plain, taking `(context, params)` with what `context()` returns.

    TypeError when the annotations are not a `Params` model and a result.
    """
    mark = mark_of(function)
    if mark is None:
        raise TypeError(f"{function!r} is not marked with @rpc")
    arguments = list(inspect.signature(function).parameters.values())
    hints = get_type_hints(function, include_extras=True)
    wanted = 1 if context is None else 2
    params = hints.get(arguments[-1].name) if len(arguments) == wanted else None
    if params is None:
        taken = "(self, params)" if context is None else "(context, params)"
        raise TypeError(f"{mark.name} must take {taken}, with an annotation of params")
    if not (isinstance(params, type) and issubclass(params, Params)):
        called = params.__name__ if isinstance(params, type) else str(params)
        is_model = isinstance(params, type) and issubclass(params, BaseModel)
        line = f"; write: class {called}(Params):" if is_model else ""
        raise TypeError(f"params of {mark.name} is annotated {called}, which is no subclass of Params{line}")
    if "return" not in hints:
        raise TypeError(f"{mark.name} does not say what it returns")
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{mark.name} is no async function")
    if context is None:
        call: Call = lambda _connection, given: function(given)  # noqa: E731
    else:
        call = lambda _connection, given: function(context(), given)  # noqa: E731
    doc = inspect.getdoc(function) or ""
    return Method(mark.name, feature, call, doc, hints["return"], params, mark.errors, mark.timeout_s, mark.reads)


class Registry:
    """Methods by name; features come and go at run time."""

    def __init__(self, explain_absent: Callable[[str], dict[str, Any]]) -> None:
        self.explain_absent = explain_absent
        """Returns `feature`, `state` and `hint` for the name of a method that is not here."""
        self.changes = 0
        """Number of changes; `openrpc.Description` compares it."""
        self._methods: dict[str, Method] = {}
        self._verbs: dict[str, Sequence[Mapping[str, Any]]] = {}
        self._events: dict[str, Sequence[Callable[[], Described]]] = {}

    def add(self, methods: Iterable[Method]) -> None:
        """Add all of them; on a clash raise ValueError with the name and add none."""
        added = {method.name: method for method in methods}
        for name, method in added.items():
            if name in self._methods:
                raise ValueError(f"method {name} of {method.feature} is there already")
        self._methods.update(added)
        self.changes += 1

    def add_verbs(self, feature: str, verbs: Sequence[Mapping[str, Any]]) -> None:
        """Add the terminal commands of a feature; they go with its methods."""
        self._verbs[feature] = verbs
        self.changes += 1

    def add_events(self, feature: str, events: Sequence[Callable[[], Described]]) -> None:
        """Add the streams of a feature, each described when it is asked for; they go with its methods."""
        self._events[feature] = events
        self.changes += 1

    def remove(self, feature: str) -> None:
        """Remove all methods, terminal commands and streams of one feature; those of the daemon itself stay."""
        if feature == CORE:
            return
        self._methods = {name: method for name, method in self._methods.items() if method.feature != feature}
        self._verbs.pop(feature, None)
        self._events.pop(feature, None)
        self.changes += 1

    def get(self, name: str) -> Method | None:
        """Return a method by its full name."""
        return self._methods.get(name)

    def names(self) -> list[str]:
        """All names in alphabetical order."""
        return sorted(self._methods)

    def names_of(self, feature: str) -> list[str]:
        """The names that one feature brought, in alphabetical order."""
        return sorted(name for name, method in self._methods.items() if method.feature == feature)

    def verbs(self) -> list[Mapping[str, Any]]:
        """All terminal commands, by feature name."""
        return [verb for feature in sorted(self._verbs) for verb in self._verbs[feature]]

    def events(self) -> list[Described]:
        """All streams, by feature name; raises what `openrpc.describe_stream` raises."""
        return [described() for feature in sorted(self._events) for described in self._events[feature]]

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods[name] for name in self.names())
