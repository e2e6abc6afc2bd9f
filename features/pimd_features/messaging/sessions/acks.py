"""The payloads `messaging.acks` and `messaging.reset`, which go beside the sessions."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from pimd.contract import Bites, IdentitySecrets, declare, signer_of
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions.account import FEATURE
from pimd_features.messaging.sessions.header import SESSION_ID_SIZE

ACKS_KIND = "messaging.acks"
RESET_KIND = "messaging.reset"
RESET_DOMAIN = "reset"
IDS_AT_ONCE = declare(
    "messages acknowledged in one payload", 256, "messages", "the payload is dropped; more are sent in several payloads"
)

_CONGESTION_MET = 0x80
_RESET = struct.Struct(f">{SESSION_ID_SIZE}sQ64s")
_SIGNATURE_SIZE = 64


class AckKind(IntEnum):
    """What happened to the messages."""

    DELIVERED = 1
    READ = 2


@dataclass(frozen=True)
class Acks:
    """Tells the sender that messages were delivered or read."""

    kind: int
    """An `AckKind`; others are ignored."""
    ids: tuple[MessageId, ...]
    congestion_met: bool = False
    """Whether one of the messages came through a send queue that was half full."""

    def encode(self) -> bytes:
        """`kind u8 | ids`, with bit 0x80 of the kind for `congestion_met`."""
        return bytes((self.kind | _CONGESTION_MET * self.congestion_met,)) + b"".join(self.ids)

    @classmethod
    def decode(cls, body: bytes, bites: Bites) -> Self:
        """ValueError when the length is wrong, or there are too many."""
        if not body:
            raise ValueError("an acknowledgement is empty")
        return cls(body[0] & ~_CONGESTION_MET, ids_of(body[1:], bites), bool(body[0] & _CONGESTION_MET))


def ids_of(body: bytes, bites: Bites) -> tuple[MessageId, ...]:
    """Read 1 to 256 message ids; ValueError for anything else."""
    if not body or len(body) % MessageId.SIZE:
        raise ValueError("an acknowledgement ends within a message id")
    if len(body) > MessageId.SIZE * IDS_AT_ONCE.value:
        bites.count(IDS_AT_ONCE)
        raise ValueError(f"an acknowledgement is of at most {IDS_AT_ONCE.value} messages")
    return tuple(MessageId(body[at : at + MessageId.SIZE]) for at in range(0, len(body), MessageId.SIZE))


def in_payloads(ids: Sequence[MessageId]) -> list[tuple[MessageId, ...]]:
    """Cut into as few as payloads can hold."""
    return [tuple(ids[at : at + IDS_AT_ONCE.value]) for at in range(0, len(ids), IDS_AT_ONCE.value)]


@dataclass(frozen=True)
class Reset:
    """The recipient cannot open a session any more: it does not know it, or its bundle, or a number was used twice."""

    session_id: bytes
    unix_ms: int
    raw: bytes = field(repr=False)

    @classmethod
    def issue(cls, identity: IdentitySecrets, session_id: bytes, unix_ms: int) -> Self:
        """Sign one."""
        unsigned = session_id + unix_ms.to_bytes(8)
        return cls(session_id, unix_ms, unsigned + identity.sign(RESET_DOMAIN, unsigned))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """ValueError when the length is wrong; the signature is not looked at."""
        if len(body) != _RESET.size:
            raise ValueError(f"a reset has {_RESET.size} bytes")
        session_id, unix_ms, _ = _RESET.unpack(body)
        return cls(session_id, unix_ms, body)

    def is_of(self, node: NodeId, ed25519_pub: bytes) -> bool:
        """Whether that node signed it."""
        unsigned, signature = self.raw[:-_SIGNATURE_SIZE], self.raw[-_SIGNATURE_SIZE:]
        return signer_of(FEATURE, RESET_DOMAIN, ed25519_pub, unsigned, signature) == node
