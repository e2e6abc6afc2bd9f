"""Methods and streams: declared models against real answers and events."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from pimd.contract import EventStream, InvalidParams, RpcError, StorageError
from pimd.rpc.connection import Connection
from pimd.rpc.feed import ConnectionFeed
from pimd.rpc.registry import Method
from pimd.task_scope import task_scope
from pimd.testing.alone import Alone
from pimd.testing.checks.check import Broken, NotMeant, check
from pimd.testing.checks.faults import Faults
from pimd.testing.checks.subject import Subject
from pimd.testing.checks.work import draw_for, methods_of, params_for, small_work
from pimd.testing.schemas import Draw, mismatch

CALLS = 24
"""Calls of each method with params that fit; as many come with params that nearly do."""
INTERNAL, TIMED_OUT = -32603, -32006
SUBSCRIPTIONS = 8


@check(
    "a method answers its declared result or one of its declared errors, within its timeout_s; whatever a caller sends",
    "name each error class in @rpc(errors=(...)), raise InvalidParams for params that the model cannot refuse, and annotate "
    "what is really returned",
)
async def methods(subject: Subject) -> None:
    """Call every method with drawn params, and hold what comes back against its declaration."""
    async with subject.alone() as alone:
        if not alone.feature.marked_names():
            raise NotMeant("it has no methods")
        await alone.neighbour()
        faults = Faults(alone)
        await small_work(alone)
        faults.refuse("payloads and one call of each method, in turn")
        draw = draw_for(alone, 3)
        for method in methods_of(alone):
            for number in range(2 * CALLS):
                params = params_for(draw, method)
                params = draw.nearly(params) if number % 2 and params else params
                await _call(alone, method, params, faults)
        await alone.sleep(60)
        faults.refuse("a minute after the last call")


async def _call(alone: Alone, method: Method, params: Any, faults: Faults) -> None:
    doing = f"{method.name}({str(params)[:200]})"
    try:
        result = await alone.call(method.name, params if isinstance(params, dict) else {})
    except RpcError as error:
        _judge_error(method, params, error, doing, faults)
    else:
        schema = method.result_adapter.json_schema(mode="serialization")
        wrong = mismatch(result, schema, schema.get("$defs", {}))
        if wrong is not None:
            raise Broken(f"{doing} answers what its result does not declare: {wrong}")
    await alone.sleep(0.02)
    faults.refuse(doing)


def _judge_error(method: Method, params: Any, error: RpcError, doing: str, faults: Faults) -> None:
    declared = {one.code for one in method.errors}
    if error.code == INTERNAL and isinstance(error.data, dict) and "reference" in error.data:
        raise Broken(f"{(faults.new() or [error.message])[0]} ({doing})")
    if error.code == TIMED_OUT and error.code not in declared:
        raise Broken(f"{doing} did not answer within {method.timeout_s:g} s")
    if error.code == InvalidParams.code and (error.code in declared or not _fits(method, params)):
        return
    if error.code not in declared | {StorageError.code}:
        raise Broken(f"{doing} answers {error.code} ({error.message}), which its @rpc does not name in errors=(...)")


def _fits(method: Method, params: Any) -> bool:
    try:
        method.params.model_validate(params)
    except ValidationError:
        return False
    return True


@check(
    "an event fits the model that its stream declares; filters raise nothing; whoever unsubscribes gets nothing more",
    "publish instances of the declared payload, on the streams in Feature.events",
)
async def streams(subject: Subject) -> None:
    """Subscribe with drawn params, let it work, hold the events against the model, and unsubscribe."""
    async with subject.alone() as alone:
        if not alone.feature.events:
            raise NotMeant("it has no streams")
        await alone.neighbour()
        faults, taken = Faults(alone), list[str]()
        feed = ConnectionFeed(alone.daemon.running_daemon.rpc.streams, _append_to(taken))
        connection = Connection("unix", feed)
        async with task_scope() as tasks:
            writer = tasks.create_task(feed.run())
            for stream in alone.feature.events:
                await _subscribe(alone, stream, connection, draw_for(alone, 4))
            await small_work(alone)
            await alone.neighbour("another")
            await alone.sleep(60)
            faults.refuse("working while somebody is subscribed")
            for stream in alone.feature.events:
                await alone.call(f"{stream.name.removesuffix('.event')}.unsubscribe", {}, connection)
            told = len(taken)
            await small_work(alone)
            writer.cancel()
        if len(taken) != told:
            raise Broken(f"an event came after unsubscribing: {taken[-1][:200]}")
        for stream in alone.feature.events:
            _judge_events(alone, stream)


async def _subscribe(alone: Alone, stream: EventStream, connection: Connection, draw: Draw) -> None:
    schema = stream.params.model_json_schema()
    for number in range(SUBSCRIPTIONS):
        params = draw.value(schema, schema.get("$defs", {})) if number else {}
        try:
            await alone.call(f"{stream.name.removesuffix('.event')}.subscribe", params, connection)
        except RpcError as error:
            if error.code != InvalidParams.code:
                raise Broken(f"subscribing to {stream.name} with {params} answers {error.code}: {error}") from None


def _judge_events(alone: Alone, stream: EventStream) -> None:
    schema = TypeAdapter(stream.payload).json_schema(mode="serialization")
    for event in alone.published(stream.name):
        params = {key: value for key, value in event.items() if key != "at" or not stream.stamped}
        wrong = mismatch(params, schema, schema.get("$defs", {}))
        if wrong is not None:
            raise Broken(f"an event of {stream.name} does not fit its model: {wrong} ({str(params)[:200]})")


def _append_to(taken: list[str]) -> Any:
    async def send(text: str) -> None:
        taken.append(text)

    return send
