"""Parses request objects and writes answers (JSON-RPC 2.0, sections 4 to 6)."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jsonrpcserver.sentinels import NOID

from pimd.limits import Bites
from pimd.rpc.limits import BATCH, ID, VALUES

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603
SCANNED_AT_ONCE: Final = 1 << 16
MARKS: Final = (b"[", b"{", b",")
"""Each comes before one value, or next to it."""


@dataclass(frozen=True)
class Request:
    """One well-formed request object; `id` is NOID for a notification."""

    method: str
    params: list[Any] | dict[str, Any]
    id: Any

    @property
    def is_notification(self) -> bool:
        """True without an `id` member; the call runs, and even an error is not answered."""
        return self.id is NOID


@dataclass(frozen=True)
class Fault:
    """An error answer that needs no call."""

    code: int
    message: str
    data: Any = None
    id: Any = None


@dataclass(frozen=True)
class Batch:
    """The members in order, valid and invalid."""

    members: tuple[Request | Fault, ...]


_ENCODER: Final = json.JSONEncoder(allow_nan=False)
"""`json.dumps` makes a new one for each text."""
NOT_UTF_8: Final = Fault(PARSE_ERROR, "Parse error: the message is not UTF-8")


class _Refused(ValueError):  # noqa: N818 - a refusal
    """Valid for the decoder, and no JSON that is taken here."""


class _Repeated(dict[str, Any]):
    """A JSON object in which a member stood twice."""


def parse(raw: bytes | bytearray, bites: Bites) -> Request | Batch | Fault:
    """Read one message; every error in it becomes a `Fault`, nothing is raised."""
    if _values(raw) > VALUES.value:
        bites.count(VALUES)
        return Fault(
            PARSE_ERROR,
            f"Parse error: a message has at most {VALUES.value} values; split it",
            {"limit": VALUES.value},
        )
    try:
        value = _decode(raw)
    except UnicodeDecodeError:
        return NOT_UTF_8
    except (ValueError, RecursionError) as error:
        return Fault(PARSE_ERROR, f"Parse error: {_why(error)}")
    if not isinstance(value, list):
        return _request(value, bites)
    if not value:
        return Fault(INVALID_REQUEST, "Invalid Request: the batch is empty")
    if len(value) > BATCH.value:
        bites.count(BATCH)
        return Fault(
            INVALID_REQUEST,
            f"Invalid Request: a batch has at most {BATCH.value} members, this one {len(value)}; split it",
            {"limit": BATCH.value},
        )
    return Batch(tuple(_request(member, bites) for member in value))


def _why(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError() | _Refused():
            return str(error)
        case RecursionError():
            return "the message is nested too deeply"
        case _:  # of `int`, and its text is for programmers
            return "a number has too many digits"


def _values(raw: bytes | bytearray) -> int:
    """Count what becomes an object of its own, and stop beyond the limit: parsing `[[],[],...]` takes 50 bytes for each byte."""
    if len(raw) <= VALUES.value or sum(map(raw.count, MARKS)) <= VALUES.value:
        return 0  # also counting what stands inside strings
    found, inside = 0, False
    raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    for start in range(0, len(raw), SCANNED_AT_ONCE):
        pieces = raw[start : start + SCANNED_AT_ONCE].split(b'"')
        found += sum(piece.count(mark) for piece in pieces[inside::2] for mark in MARKS)
        inside ^= len(pieces) % 2 == 0
        if found > VALUES.value:
            break
    return found


def _decode(raw: bytes | bytearray) -> Any:
    # The text is not kept: one character that is not Latin makes it four times as long as the message.
    value = _DECODER.decode(raw.decode())
    if b"\\ud" in raw or b"\\uD" in raw:
        _refuse_lone_surrogates(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Repeated(members)


def _no_constant(word: str) -> Any:
    raise _Refused(f"{word} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused("a number is out of range")
    return number


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)
"""`json.loads` makes a new one for each text."""


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _Refused("a string holds half of a surrogate pair") from None


def _request(value: Any, bites: Bites) -> Request | Fault:
    if not isinstance(value, dict):
        return Fault(INVALID_REQUEST, "Invalid Request: a request is a JSON object")
    id_ = value.get("id", NOID)
    if isinstance(id_, bool) or not (id_ is NOID or id_ is None or isinstance(id_, str | int | float)):
        return Fault(INVALID_REQUEST, "Invalid Request: `id` is a string, a number or null")
    if isinstance(id_, str) and len(id_) > ID.value:  # each answer repeats it, also the one that there is no room
        bites.count(ID)
        return Fault(INVALID_REQUEST, f"Invalid Request: `id` has at most {ID}")
    answer_to = None if id_ is NOID else id_
    if isinstance(value, _Repeated):
        return Fault(INVALID_REQUEST, "Invalid Request: a member stands twice in the request object", id=answer_to)
    if value.get("jsonrpc") != "2.0":
        return Fault(INVALID_REQUEST, 'Invalid Request: `jsonrpc` must be "2.0"', id=answer_to)
    method = value.get("method")
    if not isinstance(method, str):
        return Fault(INVALID_REQUEST, "Invalid Request: `method` must be a string", id=answer_to)
    # Null stands for "no parameters": clients of typed languages send it.
    params = value.get("params") if value.get("params") is not None else {}
    if not isinstance(params, list | dict):
        return Fault(INVALID_REQUEST, "Invalid Request: `params` must be an object or an array", id=answer_to)
    return Request(method, params, id_)


def result(value: Any) -> str:
    """Write a result; one that JSON cannot hold raises ValueError, TypeError or RecursionError."""
    text = _ENCODER.encode(value)
    if "\\ud" in text:
        _refuse_lone_surrogates(value)
    return text


def success(id_: Any, written: str) -> str:
    """Write an answer around what `result` wrote."""
    return f'{{"jsonrpc": "2.0", "result": {written}, "id": {_ENCODER.encode(id_)}}}'


def failure(fault: Fault) -> str:
    """Write an error answer; `data` that JSON cannot hold is left out."""
    error: dict[str, Any] = {"code": fault.code, "message": fault.message}
    if fault.data is not None:
        error["data"] = fault.data
    try:
        return _error(fault.id, error)
    except (ValueError, TypeError, RecursionError):
        return _error(fault.id, {"code": fault.code, "message": ascii(fault.message)[1:-1]})


def _error(id_: Any, error: dict[str, Any]) -> str:
    text = _ENCODER.encode({"jsonrpc": "2.0", "error": error, "id": id_})
    if "\\ud" in text:
        _refuse_lone_surrogates(error)
    return text


def batch_text(answers: Sequence[str]) -> str:
    """Join the answers of a batch."""
    return "[" + ", ".join(answers) + "]"
