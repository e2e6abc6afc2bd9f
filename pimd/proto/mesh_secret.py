"""Keys of a private mesh, stretched from its passphrase (docs/protocol.md)."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from pimd.proto.identity import KEY_SIZE, hkdf_sha256

SALT_PREFIX = b"pim-mesh-v1"
M_COST_KIB = 65536
T_COST = 3
P_COST = 1


@dataclass(frozen=True)
class MeshSecret:
    """The keys that members share; only the fingerprint may be shown."""

    discovery_key: bytes = field(repr=False)
    handshake_key: bytes = field(repr=False)
    fingerprint: str
    """16 hexadecimal digits that people compare."""


def derive(
    passphrase: str, mesh_id: str | None, m_cost_kib: int = M_COST_KIB, t_cost: int = T_COST, p_cost: int = P_COST
) -> MeshSecret:
    """Run Argon2id v0x13, then HKDF-SHA256 for each key; takes about 0.1 s at the default cost."""
    salt = SALT_PREFIX + (mesh_id or "").encode()
    stretch = Argon2id(salt=salt, length=KEY_SIZE, iterations=t_cost, lanes=p_cost, memory_cost=m_cost_kib)
    master = stretch.derive(passphrase.encode())
    return MeshSecret(
        hkdf_sha256(master, b"pim-disco-v1", 32),
        hkdf_sha256(master, b"pim-handshake-v1", 32),
        hkdf_sha256(master, b"pim-fingerprint-v1", 8).hex(),
    )
