"""Receipts on their way: in `messaging.receipts`, and in messages of sessions, which mailboxes keep."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pimd.contract import IdentitySecrets, declare
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.lines import LATEST
from pimd_features.messaging.receipt import KEY_SIZE, SIGNATURE_SIZE, Receipt, Received

AT_ONCE = declare("receipts in one payload", 50, "receipts", "the payload is dropped")

_RECEIPT = struct.Struct(f">{MessageId.SIZE}sQ{SIGNATURE_SIZE}s")


class TooManyReceipts(ValueError):  # noqa: N818 - says what is the matter
    """More than `AT_ONCE`."""


@dataclass(frozen=True)
class OwedReceipt:
    """What is to be signed."""

    message_id: MessageId
    digest: bytes
    time_ms: int


@dataclass(frozen=True)
class Came:
    """A receipt as it came, not looked at."""

    message_id: MessageId
    time_ms: int
    signature: bytes


def signed(identity: IdentitySecrets, peer: NodeId, owed: Sequence[OwedReceipt]) -> bytes:
    """Return `ed25519_pub 32 | (message id 16 | time u64 | signature 64) each`."""
    parts = [identity.ed25519_pub]
    for one in owed:
        received = Received(one.message_id, one.digest, peer, identity.node_id, one.time_ms)
        parts.append(_RECEIPT.pack(one.message_id, one.time_ms, Receipt.issue(identity, received).signature))
    return b"".join(parts)


def parsed(body: bytes) -> tuple[bytes, list[Came]]:
    """Return the key of the signer and the receipts; ValueError when it is malformed."""
    key, rest = body[:KEY_SIZE], body[KEY_SIZE:]
    count, more = divmod(len(rest), _RECEIPT.size)
    if more or not count:
        raise ValueError("a payload of receipts has a wrong size")
    if count > AT_ONCE.value:
        raise TooManyReceipts(f"a payload has more than {AT_ONCE.value} receipts")
    came = [Came(MessageId(id_), time_ms, signature) for id_, time_ms, signature in _RECEIPT.iter_unpack(rest)]
    if any(one.time_ms > LATEST for one in came):
        raise ValueError("a receipt has no time that can be stored")
    return key, came
