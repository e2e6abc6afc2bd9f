"""Field types and models that several features share."""

import datetime
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pimd.contract.methods import Result
from pimd.ids import MessageId, NodeId


class _Hexadecimal:
    """Reads and writes a fixed-size byte string as lowercase hexadecimal digits; upper case is accepted."""

    def __init__(self, kind: type[NodeId] | type[MessageId]) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^[0-9a-f]{{{2 * self.kind.SIZE}}}$"}

    def _validate(self, value: Any) -> NodeId | MessageId:
        if isinstance(value, self.kind):
            return value
        if isinstance(value, str):
            return self.kind.parse(value)
        raise ValueError(f"must be a string of {2 * self.kind.SIZE} hexadecimal digits")


NodeIdHex = Annotated[NodeId, _Hexadecimal(NodeId)]
"""A NodeId that is 32 lowercase hexadecimal digits in JSON."""
MessageIdHex = Annotated[MessageId, _Hexadecimal(MessageId)]
"""A MessageId that is 32 lowercase hexadecimal digits in JSON."""


def _key_digits(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ValueError("must be 64 hexadecimal digits")
    return text


X25519Hex = Annotated[
    str, AfterValidator(_key_digits), WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{64}$"})
]
"""32 bytes as 64 hexadecimal digits."""
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC with a `Z`."""


PUSH_MODE = "push"
"""In the context of a serialization: whether it is for a client in push mode."""
MAPPED = "mapped"
"""There afterwards: whether a client in push mode gets something else."""


def rfc3339(unix_ms: int) -> str:
    """Write Unix milliseconds as RFC 3339 with a `Z`."""
    moment = datetime.datetime.fromtimestamp(unix_ms / 1000, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class InPushMode:
    """Annotates a text of a result or event, whose values a client in push mode may not know: it gets others instead."""

    def __init__(self, shown: Mapping[str, str]) -> None:
        self._shown = shown

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Write what the client knows; the schema shows all values."""
        writing = core_schema.wrap_serializer_function_ser_schema(self._write, info_arg=True)
        return cast("CoreSchema", {**handler(source), "serialization": writing})

    def _write(self, value: str, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> str:
        written: str = handler(value)
        if info.context is None or written not in self._shown:
            return written
        info.context[MAPPED] = True
        return self._shown[written] if info.context.get(PUSH_MODE) else written


def _is_none(value: object) -> bool:
    """Leaves a member out of the JSON, where clients expect it absent and not null."""
    return value is None


class ClassRow(Result):
    """Frames of one traffic class since the link came up."""

    frames_in: int
    bytes_in: int
    frames_out: int
    bytes_out: int
    dropped: int = Field(description="Own or relayed frames that were not sent: no room, too old, or lost.")
    refused: int = Field(description="Own frames that found no room; their sender was told CONGESTED.")


class LinkRow(Result):
    """Counters and rates of one link."""

    cost: int = Field(description="What routing adds to a metric for it.")
    rtt_ms: float | None = Field(description="Smoothed round-trip time.")
    bytes_in: int
    bytes_out: int
    rate_in: float = Field(description="Bytes a second over the last 10 s that are complete.")
    rate_out: float
    traffic: dict[str, ClassRow] = Field(description="By traffic class: messages, datagrams, streams.")


class PeerSummary(Result):
    """One row of `peers.list` and of `status.peers`."""

    node_id: NodeIdHex
    node_id_short: str = Field(min_length=1, description="First 8 digits of node_id.")
    label: str | None = Field(
        description="What the user calls this peer, else what it calls itself, with its id where others have that name."
    )
    own_label: str | None = Field(default=None, description="What the user calls this peer.")
    name: str | None = Field(
        default=None, description="What it calls itself, a stranger's text; null where no card of it is here."
    )
    forgotten: bool = Field(
        default=False, description="The user forgot it, and it is still linked or routed; a message brings it back."
    )
    mesh_ip: str = Field(description='The address of the peer in the mesh\'s own network; "" while there is none.')
    transport: Literal["tcp", "bluetooth", "wifi_direct", "relay"]
    state: Literal["active", "relayed", "connecting", "failed"] = Field(
        description="connecting: there is no way to it now; failed: either end refuses the link, as `reason` says."
    )
    reason: str | None = Field(
        default=None, description="Why there is no link, as far as known; null with a way to it."
    )
    endpoint: str | None = Field(
        description="The other end of the link, such as tcp:192.168.1.7:9100 or unix:/path; without a link what is configured."
    )
    route_hops: int = Field(ge=0, description="1 for a neighbour, 0 when there is no route.")
    last_seen_s: int = Field(ge=0)
    latency_ms: int | None
    is_gateway: bool
    static: bool = Field(description="Configured in the file.")
    x25519_pubkey: X25519Hex | None
    link: LinkRow | None = Field(default=None, description="What the link carries; null without one.")


class SubscriptionResult(Result):
    """The answer of every `<namespace>.subscribe`."""

    subscription_id: str
    epoch: str = Field(description="Names this start of the daemon, in which the events of each stream count from 1.")
    seq: int = Field(ge=0, description="The number of the newest event so far.")
    missed: int | None = Field(
        description="How many events behind `since` are not held any more; null when they were of another epoch."
    )


class ConfigProblem(Result):
    """One thing wrong with a configuration text."""

    message: str
    line: int | None = Field(default=None, ge=1, exclude_if=_is_none)
    column: int | None = Field(default=None, ge=1, exclude_if=_is_none)
    path: str | None = Field(
        default=None, exclude_if=_is_none, description="Dotted key, such as `transport.listen_port`."
    )


class LogRecord(Result):
    """One record of the daemon's log, as `logs.event` carries it."""

    ts: Timestamp
    level: Literal["trace", "debug", "info", "warn", "error"]
    source: str = Field(description="Dotted name of the part that wrote it.")
    message: str
    peer_id: NodeIdHex | None = Field(default=None, exclude_if=_is_none)
    fields: dict[str, Any] | None = Field(default=None, exclude_if=_is_none)


FeatureState = Literal["starting", "running", "stopping", "disabled", "not_built", "failed", "quarantined"]


class FeatureRow(Result):
    """One row of `features.list`."""

    name: str
    version: str
    origin: str = Field(description="`built-in`, or the name of the distribution that brought it.")
    state: FeatureState
    reason: str = Field(description="Why it is in that state.")
    methods: list[str]
    payload_kinds: list[str]
    events: list[str]
    failures: int = Field(default=0, ge=0, description="Failures since it was started, each with a line in the log.")
    events_dropped: int = Field(
        default=0, ge=0, description="Events since then that did not fit the model of their stream, and were not sent."
    )
