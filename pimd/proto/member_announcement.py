"""What a member of a private mesh announces on the local network: only members can make or read it (docs/protocol.md)."""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError

from pimd.ids import NodeId

NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
SEALED_SIZE = 66
DOMAIN = b"pim-disco-v2"
IPV4_MAPPED = bytes(10) + b"\xff\xff"
"""In front of the 4 bytes of an IPv4 address (RFC 4291, 2.5.5.2), so that no address can be taken for four others."""
_CLEAR = struct.Struct(">16sH8s")
_IPV4_SIZE = 4


@dataclass(frozen=True)
class MemberAnnouncement:
    """An announcement of which it is known that a member made it, at some time."""

    node_id: NodeId
    port: int
    addresses_hash: bytes

    def leads_to(self, port: int, addresses: Iterable[bytes]) -> bool:
        """Tell whether it was made for this port and for all of these addresses, 4 or 16 bytes each, and no others.

        A stranger can repeat an announcement. With this check it leads to nobody but the member that made it.
        """
        return (self.port, self.addresses_hash) == (port, hash_of(addresses))


def hash_of(addresses: Iterable[bytes]) -> bytes:
    """Return 8 bytes of SHA-256 over the distinct addresses, 16 bytes each, in ascending order."""
    whole = {IPV4_MAPPED + address if len(address) == _IPV4_SIZE else address for address in addresses}
    return hashlib.sha256(b"".join(sorted(whole))).digest()[:8]


def seal(key: bytes, nonce: bytes, node_id: NodeId, port: int, addresses: Iterable[bytes]) -> bytes:
    """Return 66 bytes by XChaCha20-Poly1305; `nonce` is 24 random bytes."""
    clear = _CLEAR.pack(node_id, port, hash_of(addresses))
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(clear, DOMAIN, nonce, key)


def open_sealed(key: bytes, sealed: bytes) -> MemberAnnouncement | None:
    """Return what a member sealed; None for anything else."""
    if len(sealed) != SEALED_SIZE:
        return None
    try:
        clear = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[NONCE_SIZE:], DOMAIN, sealed[:NONCE_SIZE], key)
    except CryptoError:
        return None
    node_id, port, addresses_hash = _CLEAR.unpack(clear)
    return MemberAnnouncement(NodeId(node_id), port, addresses_hash)
