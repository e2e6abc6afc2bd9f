"""The two payloads of a trace: a question to a hop, and its answer."""

import struct
from dataclasses import dataclass
from typing import Self

from pimd.contract import shown_name
from pimd.ids import NodeId

ASK_KIND = "routes.ask"
ANSWER_KIND = "routes.answer"
NO_ROUTE = bytes(NodeId.SIZE)

_ASK = struct.Struct(">16sQ")
_ANSWER = struct.Struct(">Q16s")


@dataclass(frozen=True)
class Ask:
    """Asks a hop whom it passes frames for `destination` on to."""

    destination: NodeId
    id: int

    def encode(self) -> bytes:
        """`destination 16 | id u64`."""
        return _ASK.pack(self.destination, self.id)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """ValueError when the length is wrong."""
        if len(body) != _ASK.size:
            raise ValueError(f"a question has {_ASK.size} bytes")
        destination, id_ = _ASK.unpack(body)
        return cls(NodeId(destination), id_)


@dataclass(frozen=True)
class Answer:
    """What a hop says of itself."""

    id: int
    next_hop: NodeId | None
    """The hop itself when it is the destination; None when it has no route."""
    name: str

    def encode(self) -> bytes:
        """`id u64 | next hop 16 | name`; 16 zero bytes are no route."""
        return _ANSWER.pack(self.id, self.next_hop or NO_ROUTE) + self.name.encode()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """ValueError when it is cut short; of the name only what may be shown is kept."""
        if len(body) < _ANSWER.size:
            raise ValueError(f"an answer has at least {_ANSWER.size} bytes")
        id_, next_hop = _ANSWER.unpack_from(body)
        return cls(id_, None if next_hop == NO_ROUTE else NodeId(next_hop), shown_name(body[_ANSWER.size :]))
