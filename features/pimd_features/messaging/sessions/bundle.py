"""Bundles: the keys that a recipient gives out, so that sessions to it can begin while it is away."""

import hashlib
import struct
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from pimd.contract import KEM_PUBLIC_SIZE, KEM_SEED_SIZE, IdentitySecrets, kem_public_of, signer_of
from pimd.ids import NodeId
from pimd_features.messaging.sessions.account import FEATURE, KEY_SIZE, Account, Random, public_of, system_random

BUNDLE_KIND = "messaging.bundle"
BUNDLE_DOMAIN = "bundle"
ID_SIZE = 8
MAILBOXES = 4
"""How many mailboxes a bundle names at most."""

_ONE_TIME = 1
_HEAD = struct.Struct(f">B32s32sQ32s{KEM_PUBLIC_SIZE}sB")
_SIGNATURE_SIZE = 64
_LAST_MS = 2**62
"""After any time that a clock shows; SQLite has 63 bits."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose signature was verified, or just made."""

    one_time: bool
    ed25519_pub: bytes
    account: bytes
    created_ms: int
    prekey: bytes
    kem_key: bytes
    mailboxes: tuple[NodeId, ...]
    node_id: NodeId
    raw: bytes = field(repr=False)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all of it."""
        return hashlib.sha256(self.raw).digest()

    @property
    def id(self) -> bytes:
        """The first 8 bytes of the digest."""
        return self.digest[:ID_SIZE]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """ValueError when it is malformed or the signature does not hold."""
        if len(raw) < _HEAD.size or len(raw) != _size(raw):
            raise ValueError("a bundle has another length")
        flags, ed25519_pub, account, created_ms, prekey, kem_key, _ = _HEAD.unpack_from(raw)
        if flags & ~_ONE_TIME or created_ms >= _LAST_MS:
            raise ValueError("a bundle has unknown flags, or an impossible time")
        node_id = signer_of(FEATURE, BUNDLE_DOMAIN, ed25519_pub, raw[:-_SIGNATURE_SIZE], raw[-_SIGNATURE_SIZE:])
        if node_id is None:
            raise ValueError("the signature of a bundle does not hold")
        mailboxes = node_ids(raw[_HEAD.size : -_SIGNATURE_SIZE])
        return cls(bool(flags), ed25519_pub, account, created_ms, prekey, kem_key, mailboxes, node_id, raw)


@dataclass(frozen=True)
class OwnBundle:
    """A bundle of this node, with its secrets."""

    bundle: Bundle
    prekey_secret: bytes = field(repr=False)
    seed: bytes = field(repr=False)


def make(
    identity: IdentitySecrets,
    account: Account,
    *,
    one_time: bool,
    created_ms: int,
    mailboxes: tuple[NodeId, ...] = (),
    random: Random = system_random,
) -> OwnBundle:
    """Draw new keys and sign them; ValueError for more than four mailboxes."""
    if len(mailboxes) > MAILBOXES:
        raise ValueError(f"a bundle names at most {MAILBOXES} mailboxes")
    secret, seed = random(KEY_SIZE), random(KEM_SEED_SIZE)
    prekey, kem_key = public_of(secret), kem_public_of(seed)
    flags = _ONE_TIME if one_time else 0
    head = _HEAD.pack(flags, identity.ed25519_pub, account.public, created_ms, prekey, kem_key, len(mailboxes))
    unsigned = head + b"".join(mailboxes)
    raw = unsigned + identity.sign(BUNDLE_DOMAIN, unsigned)
    bundle = Bundle(
        one_time, identity.ed25519_pub, account.public, created_ms, prekey, kem_key, mailboxes, identity.node_id, raw
    )
    return OwnBundle(bundle, secret, seed)


def parse_answer(body: bytes) -> list[Bundle]:
    """Read the one or two bundles of an answer, of one node and of two sorts; ValueError for anything else."""
    raws: list[bytes] = []
    while body and len(raws) < 2:  # noqa: PLR2004 - a one-time and a lasting one
        size = _size(body)
        raws.append(body[:size])
        body = body[size:]
    bundles = [Bundle.parse(raw) for raw in raws]
    if (
        body
        or not bundles
        or len({one.node_id for one in bundles}) > 1
        or len({b.one_time for b in bundles}) < len(bundles)
    ):
        raise ValueError("an answer has a one-time and a lasting bundle of one node, or one of them")
    return bundles


def node_ids(raw: bytes) -> tuple[NodeId, ...]:
    """Split ids of 16 bytes each."""
    return tuple(NodeId(raw[at : at + NodeId.SIZE]) for at in range(0, len(raw), NodeId.SIZE))


def _size(raw: bytes) -> int:
    """Return the length of the bundle that begins here; ValueError for more mailboxes than a bundle has."""
    count = raw[_HEAD.size - 1] if len(raw) >= _HEAD.size else 0
    if count > MAILBOXES:
        raise ValueError("a bundle names too many mailboxes")
    return _HEAD.size + count * NodeId.SIZE + _SIGNATURE_SIZE
