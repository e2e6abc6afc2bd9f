"""A feature: RPC methods and a plugin, declared as one value."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from pimd.contract.methods import NoParams, Params, RpcError, mark_of
from pimd.contract.plugin import DaemonPlugin
from pimd.contract.services import Provided, ServiceKey
from pimd.contract.verbs import Verb

S = TypeVar("S", bound=BaseModel, default=Any)
TAKEN = frozenset({"since", "epoch"})
"""Params that `subscribe` of each stream takes besides those that the stream declares."""
FEATURE_NAME = re.compile(r"[a-z][a-z0-9_]*")


class FeatureSettings(BaseModel):
    """Base of a feature's `[features.<name>]` table; a wrong or unknown key makes an installed feature `failed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class EventStream:
    """A notification stream; the daemon adds `<namespace>.subscribe` and `.unsubscribe` for each."""

    name: str
    """`<namespace>.event`."""
    payload: Any
    """Pydantic model, or union of models told apart by `kind`, of the notification's params."""
    params: type[Params] = NoParams
    """What `subscribe` takes, such as a filter, besides `since` and `epoch`."""
    accepts: Callable[[Any, Any], bool] | None = None
    """Says with (subscribe params, payload) whether a subscription gets an event; None lets all through.

    Called by the daemon for each event and subscription, in the turn that publishes, and at `subscribe` for the history.

    Errors: the event passes for nobody, and the failure is logged and counted.
    """
    history: int = 0
    """How many past events the daemon keeps; a new subscription gets them first, oldest first, in paced chunks."""
    remembers: Callable[[Any], bool] | None = None
    """Says whether a payload enters the history; None lets all in.

    Called by the daemon for each event of a stream with a history, in the turn that publishes.

    Errors: the event does not enter the history, and the failure is logged and counted.
    """
    stamped: bool = True
    """Whether `at` is added to each notification."""


@dataclass(frozen=True)
class Feature(Generic[S]):
    """The declaration; building one has no side effect, and names are checked at once (ValueError).

    Called by the daemon is what it names, as `DaemonPlugin`, `rpc` and `EventStream` say. Models are called in the turn or task
    that validates: settings when the feature is assembled, params and results within the call, payloads when they are published.

    Errors: a declaration that cannot be made, or contradicts what it names, makes the feature `failed`; the reason shows the line
    to write.
    """

    name: str
    summary: str
    """One line for people."""
    namespaces: tuple[str, ...] = ()
    """RPC namespaces it owns; each is owned by exactly one feature; on a clash the later one is `failed`."""
    plugin: type[DaemonPlugin[S]] | None = None
    methods: tuple[Callable[..., Any], ...] = ()
    """Plain functions `(context, params)` marked `@rpc`; marked methods of the plugin class need not be listed."""
    events: tuple[EventStream, ...] = ()
    verbs: tuple[Verb, ...] = ()
    """Terminal commands that `pim` learns from the running daemon; a clash makes the later feature `failed`."""
    settings: type[S] = FeatureSettings  # type: ignore[assignment] # the default of those who declare none
    errors: tuple[type[RpcError], ...] = ()
    """The error classes of its own, for readers: what counts is `errors` of each method."""
    requires: tuple[str, ...] = ()
    """Features that must run for it to run; they start first."""
    provides: tuple[Provided[Any], ...] = ()
    uses: tuple[ServiceKey[Any], ...] = ()
    """Core services, and multi-provider keys, that it takes."""
    optional: bool = False
    """Without effect: `[features] required` says without which the daemon does not start."""
    needs_signing_seed: bool = False
    default_enabled: bool = True

    def __post_init__(self) -> None:
        if not FEATURE_NAME.fullmatch(self.name):
            raise ValueError(f"feature name {self.name!r}: lowercase letters, digits and underscores, a letter first")
        for part in ("namespaces", "methods", "events", "verbs", "errors", "requires", "provides", "uses"):
            given: Any = getattr(self, part)
            if not isinstance(given, tuple):
                line = f'("{given}",)' if isinstance(given, str) else "(...,)"
                raise ValueError(f"feature {self.name}: {part} = {given!r:.60} is no tuple; write: {part}={line}")  # noqa: TRY004
        plugin: Any = self.plugin
        if not (plugin is None or isinstance(plugin, type)):
            called = type(plugin).__name__
            raise ValueError(
                f"feature {self.name}: its plugin is a {called}, and not the class; write: plugin={called}"
            )
        self._check_errors()
        for method in self.marked_names():
            namespace, _, verb = method.partition(".")
            if namespace not in self.namespaces:
                wider = ", ".join(f'"{one}"' for one in dict.fromkeys((*map(str, self.namespaces), namespace)))
                own = f'@rpc("{self.namespaces[0]}.{verb}"), or ' if self.namespaces else ""
                raise ValueError(
                    f"feature {self.name}: method {method} is outside its namespaces {self.namespaces}; "
                    f"write: {own}namespaces=({wider}{',' * (not self.namespaces)})"
                )
        for stream in self.events:
            if stream.name.removesuffix(".event") not in self.namespaces or not stream.name.endswith(".event"):
                line = f'EventStream("{(self.namespaces or (self.name,))[0]}.event", ...)'
                raise ValueError(
                    f"feature {self.name}: stream {stream.name} is not <one of its namespaces>.event; write: {line}"
                )
            taken = TAKEN.intersection(getattr(stream.params, "model_fields", ()))
            if taken:
                raise ValueError(
                    f"feature {self.name}: params of {stream.name} have {', '.join(sorted(taken))}, with which every "
                    "subscription goes on where it was; write another name"
                )

    def _check_errors(self) -> None:
        given: tuple[Any, ...] = self.errors
        for error in given:
            if not (isinstance(error, type) and issubclass(error, RpcError)):
                line = "class NotesFull(RpcError): code: ClassVar[int] = 1001"
                raise ValueError(f"feature {self.name}: errors has {error!r}, no class of RpcError; write: {line}")  # noqa: TRY004

    def plugin_functions(self) -> tuple[Callable[..., Any], ...]:
        """The `@rpc` methods of the plugin class and its bases, unbound, in order of definition."""
        found = (
            {name: f for base in reversed(self.plugin.__mro__) for name, f in vars(base).items()} if self.plugin else {}
        )
        return tuple(f for f in found.values() if callable(f) and mark_of(f))

    def marked_functions(self) -> tuple[Callable[..., Any], ...]:
        """Marked methods of the plugin class, then the plain functions."""
        return (*self.plugin_functions(), *self.methods)

    def marked_names(self) -> tuple[str, ...]:
        """The method names without `subscribe` and `unsubscribe`."""
        return tuple(mark.name for f in self.marked_functions() if (mark := mark_of(f)))
