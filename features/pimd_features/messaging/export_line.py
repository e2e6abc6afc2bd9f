"""One line of an exported file: JSON with the SHA-256 of the rest of it."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pimd.contract import MessageIdHex, NodeIdHex, Row
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.models import Direction, UnixMs
from pimd_features.messaging.sessions.message import BODY_LIMIT

VERSION = 1
LINE_LIMIT = 128 * 1024
"""Characters; the longest body takes 6 for each byte, when it is all control characters."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str


class Begin(_Line):
    """The first line."""

    kind: Literal["begin"]
    version: Literal[1]
    node_id: NodeIdHex
    exported_at_ms: UnixMs


class ExportedReceipt(BaseModel):
    """A signed receipt of the message; `sender` is who it was signed for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sender: NodeIdHex
    recipient_key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    signature: Annotated[str, Field(pattern="^[0-9a-f]{128}$")]
    time_ms: Annotated[int, Field(ge=0, lt=2**63)]


class Message(_Line):
    """A message."""

    kind: Literal["message"]
    peer_node_id: NodeIdHex
    id: MessageIdHex
    direction: Direction
    body: str
    timestamp_ms: UnixMs
    status: Literal["pending", "sent", "kept", "delivered", "read", "failed"]
    failure_reason: Annotated[str, Field(max_length=200)] | None
    delivered_at_ms: UnixMs | None
    read_at_ms: UnixMs | None
    imported: bool
    receipt: ExportedReceipt | None

    @model_validator(mode="after")
    def _holds(self) -> Self:
        size = len(self.body.encode(errors="replace"))
        if not 1 <= size <= BODY_LIMIT:
            raise ValueError(f"a body has 1 to {BODY_LIMIT} bytes, this one {size}")
        if self.direction == "received" and (self.status not in ("delivered", "read") or self.receipt is not None):
            raise ValueError("a received message is delivered or read, and has no receipt")
        return self


class End(_Line):
    """The last line; without it the file was cut short."""

    kind: Literal["end"]
    messages: int
    all_sha256: str
    """See `Sum`."""


Line = Begin | Message | End
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


class Sum:
    """SHA-256 over the hashes of all message lines, in their order, and their number: what the last line says."""

    def __init__(self, messages: int = 0, digest: str = "") -> None:
        self.messages = messages
        self.digest = digest

    def add(self, sha256: str) -> None:
        """Count one more message line."""
        self.messages += 1
        self.digest = hashlib.sha256(f"{self.digest}{sha256}".encode()).hexdigest()


def written(fields: dict[str, Any]) -> tuple[str, str]:
    """Return the line, without its end, and its hash."""
    sha256 = _hash(fields)
    return json.dumps({**fields, "sha256": sha256}, ensure_ascii=False, separators=(",", ":")), sha256


def parse(line: str) -> Line:
    """ValueError says in a few words what is wrong with a line."""
    if len(line) > LINE_LIMIT:
        raise ValueError(f"it has more than {LINE_LIMIT} characters")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - what a file holds is a value
    given = fields.pop("sha256", None)
    if given != _hash(fields):
        raise ValueError("its hash does not fit: it was changed")
    try:
        return _LINE.validate_python({**fields, "sha256": given}, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, found["loc"][1:]))
        raise ValueError(f"{where or 'it'}: {found['msg']}") from None


def _hash(fields: dict[str, Any]) -> str:
    """ValueError for what no exported line holds."""
    try:
        text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
    except (UnicodeEncodeError, RecursionError):
        raise ValueError("it holds half of a surrogate pair, or too much within each other") from None


def message_fields(row: Row) -> dict[str, Any]:
    """Return what is exported of a row of `messages` with the columns of its receipt."""
    receipt = None
    if row["signature"] is not None:
        receipt = {
            "sender": str(NodeId(row["sender"])),
            "recipient_key": row["ed25519_pub"].hex(),
            "signature": row["signature"].hex(),
            "time_ms": row["time_ms"],
        }
    return {
        "kind": "message",
        "peer_node_id": str(NodeId(row["peer"])),
        "id": str(MessageId(row["id"])),
        "direction": row["direction"],
        "body": row["body"],
        "timestamp_ms": row["timestamp_ms"],
        "status": row["status"],
        "failure_reason": row["failure_reason"],
        "delivered_at_ms": row["delivered_at_ms"],
        "read_at_ms": row["read_at_ms"],
        "imported": bool(row["imported"]),
        "receipt": receipt,
    }
