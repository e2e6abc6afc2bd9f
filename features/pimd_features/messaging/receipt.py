"""A signed receipt: the recipient's word, to anybody, that it had a message. docs/protocol.md, "Receipts"."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Self

from pimd.contract import IdentitySecrets, signer_of
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions.account import FEATURE

RECEIPT_DOMAIN = "receipt"
KEY_SIZE = 32
SIGNATURE_SIZE = 64
FILE_VERSION = 1


@dataclass(frozen=True)
class Received:
    """What a receipt is about."""

    message_id: MessageId
    digest: bytes
    """SHA-256 of the body."""
    sender: NodeId
    recipient: NodeId
    time_ms: int
    """The recipient's clock when it stored the message."""

    def signed(self) -> bytes:
        """`message id 16 | SHA-256(body) 32 | sender 16 | recipient 16 | time u64`."""
        return self.message_id + self.digest + self.sender + self.recipient + self.time_ms.to_bytes(8)


@dataclass(frozen=True)
class Receipt:
    """One that holds."""

    received: Received
    ed25519_pub: bytes
    signature: bytes = field(repr=False)

    @classmethod
    def issue(cls, identity: IdentitySecrets, received: Received) -> Self:
        """Sign one; the same bytes each time."""
        return cls(received, identity.ed25519_pub, identity.sign(RECEIPT_DOMAIN, received.signed()))

    @classmethod
    def checked(cls, received: Received, ed25519_pub: bytes, signature: bytes) -> Self:
        """ValueError unless the recipient signed it."""
        signer = signer_of(FEATURE, RECEIPT_DOMAIN, ed25519_pub, received.signed(), signature)
        if signer != received.recipient:
            raise ValueError("the recipient did not sign this receipt")
        return cls(received, ed25519_pub, signature)

    def file(self, body: str) -> str:
        """Return the file that `pim receipt verify` reads: one line of JSON, and nothing in it that is not signed."""
        fields = {
            "pim_receipt": FILE_VERSION,
            "message_id": str(self.received.message_id),
            "body": body,
            "sender": str(self.received.sender),
            "recipient": str(self.received.recipient),
            "recipient_key": self.ed25519_pub.hex(),
            "time_ms": self.received.time_ms,
            "signature": self.signature.hex(),
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"


def digest_of(body: str) -> bytes:
    """SHA-256 of a body."""
    return hashlib.sha256(body.encode()).digest()
