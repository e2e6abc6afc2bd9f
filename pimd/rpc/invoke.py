"""Runs one call: binds params, applies the timeout, writes the result, hides internal errors."""

import inspect
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from jsonrpcserver import Error, Success
from jsonrpcserver.sentinels import NODATA
from oslash.either import Either
from pydantic import ValidationError

from pimd.calls import Outcome, Stopped
from pimd.contract import (
    CallTimeout,
    InvalidParams,
    Overloaded,
    Params,
    RateLimited,
    RpcError,
    StorageError,
    Unauthorized,
)
from pimd.contract.methods import after_answer_callbacks
from pimd.contract.models import PUSH_MODE
from pimd.database import DatabaseError
from pimd.faults import text_of, traceback_of
from pimd.rpc import envelope
from pimd.rpc.connection import Connection
from pimd.rpc.envelope import INTERNAL_ERROR
from pimd.rpc.registry import Method

log = logging.getLogger("pimd.rpc")

FIELD_SHOWN = 64
TEXT_SHOWN = 2000
"""Characters of an error; it may repeat what the caller sent, which may have four megabytes."""
DATA_SHOWN = 1 << 20
"""Characters of the data of an error."""
CODE_MOST = 1 << 31

Handler = Callable[..., Awaitable[Any]]


class InternalError(RpcError):
    """The method failed inside the daemon, whose log has the cause under `data.reference`."""

    code: ClassVar[int] = INTERNAL_ERROR


OF_ANY_METHOD: tuple[type[RpcError], ...] = (
    InvalidParams,
    InternalError,
    Unauthorized,
    RateLimited,
    Overloaded,
    CallTimeout,
    StorageError,
)
"""What a call may be answered besides the errors that its method declares."""


def errors_of(method: Method) -> list[type[RpcError]]:
    """Return every error that a call of a method may be answered, one for each code."""
    by_code: dict[int, type[RpcError]] = {}
    for error in (*method.errors, *OF_ANY_METHOD):
        by_code.setdefault(error.code, error)
    return list(by_code.values())


class Undeclared(Exception):  # noqa: N818 - says what is the matter
    """A method raised an error that its clients cannot know of."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Code, message and data of the error that a call is answered with."""

    code: int
    message: str
    data: Any = None


async def invoke(
    method: Method, connection: Connection, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str | Failed:
    """Call a method whose model validates the params; returns the written result."""
    callbacks = after_answer_callbacks.get()
    before = len(callbacks) if callbacks else 0
    outcome = await method.calls.run(
        method.name, _perform, method, connection, args, kwargs, timeout_s=method.timeout_s
    )
    if callbacks:
        callbacks[before:] = [partial(_after, method, callback) for callback in callbacks[before:]]
    if outcome.error is None and not outcome.timed_out:
        return str(outcome.value)
    # Whatever the method raised, SystemExit and CancelledError included, ends the call only.
    try:
        return _failed(method, outcome)
    finally:
        _let_go(outcome.error)


def handler(method: Method) -> Handler:
    """Wrap a method in the shape jsonrpcserver calls: the connection, then the params, returning an Either."""

    async def run(connection: Connection, /, *args: Any, **kwargs: Any) -> Either:
        outcome = await invoke(method, connection, args, kwargs)
        if isinstance(outcome, Failed):
            return Error(outcome.code, outcome.message, NODATA if outcome.data is None else outcome.data)
        return Success(outcome)

    # jsonrpcserver binds the signature for each call; computing it each time is most of that cost.
    run.__signature__ = inspect.signature(run)  # type: ignore[attr-defined]
    return run


def _failed(method: Method, outcome: Outcome) -> Failed:
    match outcome.error:
        case None:
            return _timed_out(f"did not finish within {method.timeout_s:g} s and was stopped", method)
        case Stopped():
            return _timed_out(f"was stopped with the feature {method.feature}", method)
        case RpcError() as error:
            # An error class of a feature need not keep to the contract, and may hold much.
            told = method.calls.call("the error that it raised", _told, method, error)
            cause = told.error if isinstance(told.error, Undeclared) else error
            return told.value if told.ok else _internal_error(method.name, cause)
        case DatabaseError() as error:
            log.error("%s: %s", method.name, text_of(error))
            said = text_of(error).partition(": ")[2]
            return Failed(StorageError.code, f"it could not be stored, and nothing was changed: {said}")
        case error:
            return _internal_error(method.name, error)


def _told(method: Method, error: RpcError) -> Failed:
    """Return it in plain JSON; data that JSON cannot hold, or that is long, is left out.

    `Undeclared` for a code that the method does not name.
    """
    code, message = int(error.code), str.__str__(error.message)
    if abs(code) > CODE_MOST:
        raise ValueError("its code is no number that a client can read")
    if code not in {one.code for one in errors_of(method)}:
        fault = f"it answers {code} ({message}), which its @rpc does not name in errors=(...)"
        raise Undeclared(_shortened(fault, TEXT_SHOWN))
    data: Any = None
    if error.data is not None:
        try:
            data = _plain_data(error.data)
        except (ValueError, TypeError, RecursionError) as why:
            log.error("%s: the data of the error that it raised was left out: %s", method.name, text_of(why))
    return Failed(code, _shortened(message, TEXT_SHOWN), data)


def _plain_data(data: Any) -> Any:
    written = envelope.result(data)
    if len(written) > DATA_SHOWN:
        raise ValueError(f"it has {len(written)} characters, more than {DATA_SHOWN}")
    return json.loads(written)


def _let_go(error: BaseException | None) -> None:
    """Free what was called: an exception, its frames and their params hold each other until the next garbage collection."""
    if error is not None:
        BaseException.with_traceback(error, None)


def _after(method: Method, callback: Callable[[], None]) -> None:
    outcome = method.calls.call("what it does after an answer", callback)
    if outcome.error is not None and not isinstance(outcome.error, Stopped):
        log.error("what %s does after its answer failed: %s", method.name, text_of(outcome.error))


def _timed_out(what: str, method: Method) -> Failed:
    return Failed(CallTimeout.code, f"{method.name} {what}; it may have done part of its work")


def _internal_error(name: str, error: BaseException) -> Failed:
    """Log the exception under a reference, and answer with that reference only."""
    reference = secrets.token_hex(4)
    log.error("%s failed (reference %s): %s", name, reference, text_of(error))
    log.info("reference %s: %s", reference, traceback_of(error))
    return Failed(
        INTERNAL_ERROR,
        f"{name} failed inside the daemon; its log has the cause under reference {reference}",
        {"reference": reference},
    )


async def _perform(method: Method, connection: Connection, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Validate, call, write: all three run code of the feature, or as long as what it gave is large."""
    result = await method.call(connection, bind(method.params, args, kwargs))
    context = {PUSH_MODE: True} if connection.push else None
    write = method.result_adapter.serializer.to_json
    return write(result, ensure_ascii=True, warnings="error", context=context).decode()


def bind(model: type[Params], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Params:
    """Validate params given by position or by name; `InvalidParams` names the first wrong field."""
    named = _named(model, args) if args else kwargs
    try:
        return model.model_validate(named)
    except ValidationError as error:
        raise _invalid(error) from None


def _named(model: type[Params], args: Sequence[Any]) -> Mapping[str, Any]:
    fields = list(model.model_fields)
    if len(args) > len(fields):
        takes = f"only {', '.join(fields)}" if fields else "no parameters"
        raise InvalidParams(f"too many parameters: it takes {takes}", {"allowed": fields})
    return dict(zip(fields, args, strict=False))


def _invalid(error: ValidationError) -> InvalidParams:
    # Not the value itself: it may be a secret, or four megabytes.
    problems = [
        {
            "field": _shortened(".".join(str(part) for part in found["loc"]), FIELD_SHOWN),
            "problem": _problem(found["msg"]),
        }
        for found in error.errors(include_url=False, include_context=False, include_input=False)[:10]
    ]
    first = problems[0]
    name = f"parameter {first['field']}" if first["field"] else "the parameters"
    return InvalidParams(f"{name}: {first['problem']}", problems)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."


def _problem(message: str) -> str:
    plain = message.removeprefix("Value error, ").replace("Input should be", "must be").replace("String should", "must")
    return "is missing" if plain == "Field required" else plain
