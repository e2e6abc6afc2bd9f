"""The payload `messaging.reset`, which goes beside the sessions."""

import struct
from dataclasses import dataclass, field
from typing import Self

from pimd.contract import IdentitySecrets, signer_of
from pimd.ids import NodeId
from pimd_features.messaging.sessions.account import FEATURE
from pimd_features.messaging.sessions.header import SESSION_ID_SIZE

RESET_KIND = "messaging.reset"
RESET_DOMAIN = "reset"

_RESET = struct.Struct(f">{SESSION_ID_SIZE}sQ64s")
_SIGNATURE_SIZE = 64


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
