"""The header that begins a session: bundle id 8 | ML-KEM ciphertext 1088 | Noise message 232."""

import hashlib
from dataclasses import dataclass, field

from pimd.contract import (
    KEM_CIPHERTEXT_SIZE,
    decapsulate,
    encapsulate,
    kem_public_of,
    read_one_way,
    write_one_way,
)
from pimd.ids import NodeId
from pimd_features.messaging.sessions.account import (
    CERTIFICATE_SIZE,
    KEY_SIZE,
    Account,
    Certificate,
    Random,
    system_random,
)
from pimd_features.messaging.sessions.bundle import ID_SIZE, Bundle

NOISE_SIZE = 80 + CERTIFICATE_SIZE + 16
HEADER_SIZE = ID_SIZE + KEM_CIPHERTEXT_SIZE + NOISE_SIZE
SESSION_ID_SIZE = 16

_PROLOGUE = b"pim-session-v1"
_PSK = b"pim-session-psk-v1"


@dataclass(frozen=True)
class Begun:
    """A session that this node begins."""

    id: bytes
    chain: bytes = field(repr=False)
    header: bytes = field(repr=False)


@dataclass(frozen=True)
class Accepted:
    """A session that another node began; its certificate is that of the node that sent the header."""

    id: bytes
    chain: bytes = field(repr=False)
    certificate: Certificate


@dataclass(frozen=True)
class BundleSecrets:
    """What the recipient keeps of a bundle."""

    digest: bytes
    prekey: bytes = field(repr=False)
    seed: bytes = field(repr=False)


def bundle_id_of(header: bytes) -> bytes:
    """Return the id of the bundle that a header was made with."""
    return header[:ID_SIZE]


def begin(account: Account, bundle: Bundle, random: Random = system_random) -> Begun:
    """Begin a session to the node of the bundle; ValueError when its keys are none."""
    secret, ciphertext = encapsulate(bundle.kem_key)
    written = write_one_way(
        account.certificate,
        prologue=_prologue(account.node_id, bundle.node_id, bundle.digest, ciphertext),
        psk=_psk(secret, ciphertext, bundle.kem_key),
        static=account.secret,
        remote_static=bundle.prekey,
        ephemeral=lambda: random(KEY_SIZE),
    )
    header = bundle.id + ciphertext + written.message
    return Begun(written.handshake_hash[:SESSION_ID_SIZE], written.key, header)


def accept(secrets: BundleSecrets, source: NodeId, destination: NodeId, header: bytes) -> Accepted:
    """Read the header that `source` made for this node, `destination`; ValueError when anything of it is another's."""
    if len(header) != HEADER_SIZE:
        raise ValueError(f"a header has {HEADER_SIZE} bytes")
    ciphertext = header[ID_SIZE : ID_SIZE + KEM_CIPHERTEXT_SIZE]
    psk = _psk(decapsulate(secrets.seed, ciphertext), ciphertext, kem_public_of(secrets.seed))
    read = read_one_way(
        header[ID_SIZE + KEM_CIPHERTEXT_SIZE :],
        prologue=_prologue(source, destination, secrets.digest, ciphertext),
        psk=psk,
        static=secrets.prekey,
    )
    certificate = Certificate.parse(read.payload)
    if certificate.account != read.remote_static:
        raise ValueError("the certificate is for another account than the one that began the session")
    if certificate.node_id != source:
        raise ValueError("the certificate is of another node than the one that began the session")
    return Accepted(read.handshake_hash[:SESSION_ID_SIZE], read.key, certificate)


def _prologue(source: NodeId, destination: NodeId, bundle_digest: bytes, ciphertext: bytes) -> bytes:
    return _PROLOGUE + source + destination + bundle_digest + hashlib.sha256(ciphertext).digest()


def _psk(secret: bytes, ciphertext: bytes, kem_key: bytes) -> bytes:
    bound = hashlib.sha256(ciphertext).digest() + hashlib.sha256(kem_key).digest()
    return hashlib.sha256(_PSK + secret + bound).digest()
