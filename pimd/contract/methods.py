"""How a feature declares its JSON-RPC methods and the errors they answer."""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_TIMEOUT_S = 30.0
"""How long a call runs before it is answered with -32006; a method may declare longer."""


class Params(BaseModel):
    """Base of parameter models; by position the fields stand in their order; unknown members are ignored.

    Types are strict: "1" and true are no integers.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class NoParams(Params):
    """A method without parameters; accepts absent, null, `{}` and `[]`."""


class Result(BaseModel):
    """Base of result models."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RpcError(Exception):
    """An error a method means to answer: one code, one sentence a person can act on, optional data.

    Subclasses fix the code and carry in their docstring when it is answered. Those of a feature take a code outside -32768 to
    -32000, which JSON-RPC and pimd have.
    """

    code: ClassVar[int] = -32000

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


@dataclass(frozen=True)
class RpcMark:
    """What `@rpc` leaves on a function, read when the feature is assembled."""

    name: str
    errors: tuple[type[RpcError], ...]
    timeout_s: float
    reads: bool = False


def rpc(
    name: str,
    *,
    errors: tuple[type[RpcError], ...] = (),
    timeout_s: float = DEFAULT_TIMEOUT_S,
    reads: bool = False,
) -> Callable[[F], F]:
    """Mark an async function as the method `name`, written in full so that a search finds it.

    A method of the plugin class takes `(self, params)`; a plain function listed in `Feature.methods` takes `(context, params)`.
    The annotations of `params` and of the return value are the models; the docstring's first line is the summary and the rest
    the description in `rpc.discover`. `errors` are the classes it may raise; any other exception answers -32603. `reads` says
    that it changes nothing, so that a read-only token may call it.

    Called by the author, at import. The daemon calls the method in a task of the connection, once `start` has
    returned, several calls at the same time, and cancels it at its time limit.

    Errors: an `RpcError` is answered as it is. Anything else is logged and answered -32603 with a reference to the
    log; it does not count towards quarantine.
    """

    def mark(function: F) -> F:
        function.__rpc_mark__ = RpcMark(name, errors, timeout_s, reads)  # type: ignore[attr-defined]
        return function

    return mark


def mark_of(function: Callable[..., Any]) -> RpcMark | None:
    """Return what `@rpc` left on `function` or on the function behind a bound method."""
    found = getattr(function, "__rpc_mark__", None)
    return found if isinstance(found, RpcMark) else None


after_answer_callbacks: contextvars.ContextVar[list[Callable[[], None]] | None] = contextvars.ContextVar(
    "after_answer_callbacks", default=None
)
"""Callbacks of the current call, set by the dispatcher; None outside a call."""


def after_answer(callback: Callable[[], None]) -> None:
    """Run `callback` once the answer of the current call has been handed to its connection; at once outside a call.

    For work whose events must not overtake the answer, such as the `message_status` after `messages.send`.

    Called by a method. The daemon runs `callback` in the turn that hands the answer over.

    Errors: none here; what `callback` raises is logged, and the answer stands.
    """
    callbacks = after_answer_callbacks.get()
    if callbacks is None:
        callback()
    else:
        callbacks.append(callback)
