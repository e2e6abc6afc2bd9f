"""The account: the key that a node's sessions come from, and the certificate by which the node signed it."""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pimd.contract import IdentitySecrets, signer_of
from pimd.ids import NodeId

FEATURE = "messaging"
ACCOUNT_DOMAIN = "account"
KEY_SIZE = 32
CERTIFICATE_SIZE = 136

Random = Callable[[int], bytes]
"""Returns that many secret bytes."""


def system_random(size: int) -> bytes:
    """Draw from the system; looked up at each call, so that a simulation can make it repeat."""
    return os.urandom(size)


_CERTIFICATE = struct.Struct(">32s32sQ64s")
_SIGNATURE_SIZE = 64


@dataclass(frozen=True)
class Moment:
    """Now, by both clocks of the node."""

    lived_ms: int
    unix_ms: int


@dataclass(frozen=True)
class Certificate:
    """What a node says of its account; the signature was verified."""

    ed25519_pub: bytes
    account: bytes
    created_ms: int
    node_id: NodeId

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """ValueError when the length is wrong or the signature does not hold."""
        if len(raw) != CERTIFICATE_SIZE:
            raise ValueError(f"a certificate has {CERTIFICATE_SIZE} bytes")
        ed25519_pub, account, created_ms, signature = _CERTIFICATE.unpack(raw)
        node_id = signer_of(FEATURE, ACCOUNT_DOMAIN, ed25519_pub, raw[:-_SIGNATURE_SIZE], signature)
        if node_id is None:
            raise ValueError("the signature of a certificate does not hold")
        return cls(ed25519_pub, account, created_ms, node_id)


@dataclass(frozen=True)
class Account:
    """This node's own account, with its secret."""

    node_id: NodeId
    secret: bytes = field(repr=False)
    certificate: bytes

    @property
    def public(self) -> bytes:
        """32 bytes, the key that the certificate names."""
        return self.certificate[KEY_SIZE : 2 * KEY_SIZE]


def issue(identity: IdentitySecrets, unix_ms: int, random: Random = system_random) -> Account:
    """Make a new account of the node."""
    secret = random(KEY_SIZE)
    head = identity.ed25519_pub + public_of(secret) + unix_ms.to_bytes(8)
    return Account(identity.node_id, secret, head + identity.sign(ACCOUNT_DOMAIN, head))


def public_of(secret: bytes) -> bytes:
    """Return the X25519 key of a secret."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
