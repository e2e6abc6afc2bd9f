"""The `rpc.*` methods, and the `subscribe` and `unsubscribe` of each stream."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field, create_model

from pimd import __version__
from pimd.contract import (
    EventStream,
    InvalidParams,
    InvalidRequest,
    NoParams,
    Overloaded,
    Params,
    RateLimited,
    Result,
    RpcVersionMismatch,
    SubscriptionResult,
    Unauthorized,
    after_answer,
)
from pimd.rpc.connection import Connection
from pimd.rpc.openrpc import Description
from pimd.rpc.registry import CORE, Method, Registry
from pimd.rpc.streams import Since, Streams

RPC_VERSION = 1
PUSH_CLIENT = "pim-ui/"
"""Clients of this name get every stream pushed without asking."""


class HelloParams(Params):
    """The client's name and version, and how it wants its notifications."""

    client: str = ""
    rpc_version: int | None = None
    push: bool = False


class Hello(Result):
    """Name of the daemon, the RPC version it speaks, and its running features."""

    daemon: str
    rpc_version: int
    features: list[str]


class AuthenticateParams(Params):
    """The content of `<data_dir>/rpc.token`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    token: str


class Authenticated(Result):
    """The answer to a right token."""

    authenticated: bool


class UnsubscribeParams(Params):
    """Without an id all subscriptions of the stream on this connection end."""

    subscription_id: str | None = None


_SINCE = Field(
    default=None, ge=0, lt=2**63, description="The number of the last event that was read; `epoch` says of which start."
)
_EPOCH = Field(default=None, max_length=64, description="As the answer of `subscribe` had it when that event was read.")


def subscribe_params(declared: type[Params]) -> type[Params]:
    """Return what `subscribe` takes: what the stream declares, and where to go on."""
    return create_model(
        declared.__name__,
        __base__=declared,
        __module__=declared.__module__,
        __doc__=declared.__doc__,
        since=(Annotated[int | None, _SINCE], None),
        epoch=(Annotated[str | None, _EPOCH], None),
    )


_PLAIN = subscribe_params(NoParams)
"""Of most streams; made once, since each model takes 0.25 ms."""


def rpc_methods(registry: Registry, describe: Description, features: Callable[[], Sequence[str]]) -> list[Method]:
    """Return the methods that describe the table and open it; `features` names those that run."""

    async def hello(connection: Connection, params: HelloParams) -> Hello:
        if params.rpc_version not in (None, RPC_VERSION):
            raise RpcVersionMismatch(f"this daemon speaks rpc_version {RPC_VERSION}, not {params.rpc_version}")
        connection.greeted = True
        feed = connection.feed
        if feed is not None and (params.push or params.client.startswith(PUSH_CLIENT)):
            _check_may_push(connection)
            connection.push = True
            after_answer(feed.push_all)
        return Hello(daemon=f"pimd/{__version__}", rpc_version=RPC_VERSION, features=list(features()))

    async def authenticate(connection: Connection, params: AuthenticateParams) -> Authenticated:
        if connection.authenticate is not None:
            connection.grant = connection.authenticate(params.token)
            connection.authenticated = True
        return Authenticated(authenticated=True)

    async def discover(_: Connection, __: NoParams) -> dict[str, Any]:
        return describe()

    async def names(_: Connection, __: NoParams) -> list[str]:
        return registry.names()

    return [
        Method(
            "rpc.hello",
            CORE,
            hello,
            "Open a connection.\n\nOn the Unix socket nothing else is answered before it succeeded. With `push` every "
            "stream is sent without subscribing.",
            Hello,
            HelloParams,
            (RpcVersionMismatch, Unauthorized),
            reads=True,
        ),
        Method(
            "rpc.authenticate",
            CORE,
            authenticate,
            "Prove a WebSocket that could not send a header.\n\nThe first message, within 10 s.",
            Authenticated,
            AuthenticateParams,
            (Unauthorized, RateLimited),
            reads=True,
        ),
        Method(
            "rpc.discover",
            CORE,
            discover,
            "Describe every method that is here, as OpenRPC 1.3.",
            dict[str, Any],
            reads=True,
        ),
        Method("rpc.methods", CORE, names, "List the names of all methods.", list[str], reads=True),
    ]


def _check_may_push(connection: Connection) -> None:
    grant = connection.grant
    if grant is not None and not grant.follows_all:
        raise Unauthorized(
            f"the token {grant.entry.name!r} is restricted, and `push` sends every stream; subscribe instead"
        )


def stream_methods(feature: str, stream: EventStream, streams: Streams) -> list[Method]:
    """Return `<namespace>.subscribe` and `.unsubscribe`; the stream is added to `streams`."""
    streams.add(stream)
    namespace = stream.name.removesuffix(".event")

    async def subscribe(connection: Connection, params: Params) -> SubscriptionResult:
        if connection.feed is None:
            raise InvalidRequest(
                f"{namespace}.subscribe needs a connection that stays: use the Unix socket, or the WebSocket at /ws"
            )
        return connection.feed.subscribe(stream.name, params, _since(params, streams.epoch))

    async def unsubscribe(connection: Connection, params: UnsubscribeParams) -> None:
        if connection.feed is not None and not connection.push:
            connection.feed.unsubscribe(stream.name, params.subscription_id)

    return [
        Method(
            f"{namespace}.subscribe",
            feature,
            subscribe,
            f"Receive `{stream.name}` notifications on this connection.\n\nOne that cannot keep up gets one of the kind "
            "`lagged`, with `missed` and `next_seq`, and goes on from there. With `since` and `epoch` what is held behind that "
            "event comes first; `missed`, also as `lagged`, says how many are not held any more.",
            SubscriptionResult,
            _PLAIN if stream.params is NoParams else subscribe_params(stream.params),
            (InvalidRequest, InvalidParams, Overloaded),
            reads=True,
            stream=namespace,
        ),
        Method(
            f"{namespace}.unsubscribe",
            feature,
            unsubscribe,
            f"Stop receiving `{stream.name}`.\n\nWithout an id all subscriptions of this connection to it end; ending "
            "one twice is no error.",
            None,
            UnsubscribeParams,
            reads=True,
            stream=namespace,
        ),
    ]


def _since(params: Any, epoch: str) -> Since | None:
    if params.since is None:
        return None
    if params.epoch is None:
        raise InvalidParams("parameter epoch: since needs it, because numbers of events count anew at each start")
    return Since(params.since, is_of_this_start=params.epoch == epoch)
