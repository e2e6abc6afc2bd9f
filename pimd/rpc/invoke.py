"""Runs one call: binds params, applies the timeout, writes the result, hides internal errors."""

import asyncio
import inspect
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from jsonrpcserver import Error, Success
from jsonrpcserver.sentinels import NODATA
from oslash.either import Either
from pydantic import ValidationError

from pimd.contract import CallTimeout, InvalidParams, Params, RpcError, StorageError
from pimd.database import DatabaseError
from pimd.rpc.connection import Connection
from pimd.rpc.envelope import INTERNAL_ERROR
from pimd.rpc.registry import Method

log = logging.getLogger("pimd.rpc")

Handler = Callable[..., Awaitable[Any]]


def handler(method: Method) -> Handler:
    """Wrap a method in the shape jsonrpcserver calls: the connection, then the params, returning an Either."""

    async def run(connection: Connection, /, *args: Any, **kwargs: Any) -> Either:
        try:
            return Success(await _call(method, connection, args, kwargs))
        except RpcError as error:
            return Error(error.code, error.message, NODATA if error.data is None else error.data)
        except DatabaseError as error:
            log.error("%s: %s", method.name, error)
            return Error(StorageError.code, f"it could not be stored, and nothing was changed: {error}", NODATA)
        except BaseException as error:
            # The dispatch seam. The cancellation of a connection must continue; an exception of the method itself,
            # SystemExit and CancelledError included, must end the call only.
            if _is_cancelled(error):
                raise
            return internal_error(method.name, error)

    # jsonrpcserver binds the signature for each call; computing it each time is most of that cost.
    run.__signature__ = inspect.signature(run)  # type: ignore[attr-defined]
    return run


def _is_cancelled(error: BaseException) -> bool:
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def internal_error(name: str, error: BaseException) -> Either:
    """Log the exception under a reference, and answer with that reference only."""
    reference = secrets.token_hex(4)
    log.error("%s failed (reference %s)", name, reference, exc_info=error)
    return Error(
        INTERNAL_ERROR,
        f"{name} failed inside the daemon; its log has the cause under reference {reference}",
        {"reference": reference},
    )


async def _call(method: Method, connection: Connection, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    params = bind(method.params, args, kwargs)
    limit = asyncio.timeout(method.timeout_s)
    try:
        async with limit:
            result = await method.call(connection, params)
    except TimeoutError:
        if not limit.expired():
            raise
        raise CallTimeout(
            f"{method.name} did not finish within {method.timeout_s:g} s and was stopped; it may have done part of its work"
        ) from None
    return method.result_adapter.dump_python(result, mode="json", warnings="error")


def bind(model: type[Params], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Params:
    """Validate params given by position or by name; `InvalidParams` names the first wrong field."""
    fields = list(model.model_fields)
    if len(args) > len(fields):
        takes = f"only {', '.join(fields)}" if fields else "no parameters"
        raise InvalidParams(f"too many parameters: it takes {takes}", {"allowed": fields})
    named = dict(zip(fields, args, strict=False)) if args else kwargs
    try:
        return model.model_validate(named)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> InvalidParams:
    # Not the value itself: it may be a secret, or four megabytes.
    problems = [
        {"field": ".".join(str(part) for part in found["loc"]), "problem": _problem(found["msg"])}
        for found in error.errors(include_url=False, include_context=False, include_input=False)[:10]
    ]
    first = problems[0]
    name = f"parameter {first['field']}" if first["field"] else "the parameters"
    return InvalidParams(f"{name}: {first['problem']}", problems)


def _problem(message: str) -> str:
    plain = message.removeprefix("Value error, ").replace("Input should be", "must be").replace("String should", "must")
    return "is missing" if plain == "Field required" else plain
