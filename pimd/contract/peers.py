"""The peer keystore as a plugin sees it: look-ups and a stream of changes."""

import enum
from dataclasses import dataclass
from typing import Protocol

from pimd.events import Subscription
from pimd.ids import NodeId


class PeerInfoSource(enum.StrEnum):
    """How an identity reached this node."""

    DIRECT = "direct"
    """On a session authenticated with that very peer."""
    ROUTED = "routed"
    """Through the multi-hop control plane, proven by the card's own signature."""


@dataclass(frozen=True)
class Seen:
    """An identity was learned or refreshed; emitted after it is on disk."""

    node_id: NodeId
    x25519_pub: bytes
    """32 bytes: the Noise static key and the end-to-end key."""
    name: str
    """What the peer calls itself; may be empty, and is a stranger's text."""
    via: PeerInfoSource


@dataclass(frozen=True)
class Forgotten:
    """The identity left the keystore, through `peers.forget` or by ageing."""

    node_id: NodeId


PeerDirectoryEvent = Seen | Forgotten


class PeerDirectory(Protocol):
    """Read-mostly view of the keystore.

    Look-ups answer from memory and never wait for the disk.

    Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never in
    a thread.

    Errors: none; an unknown peer is None.
    """

    async def lookup_x25519(self, peer: NodeId) -> bytes | None:
        """Return the 32-byte public key, imported or from a card; None for a stranger."""

    async def lookup_name(self, peer: NodeId) -> str | None:
        """Return what the peer calls itself (possibly empty); None for a stranger."""

    def subscribe(self) -> Subscription[PeerDirectoryEvent]:
        """Receive every event emitted from now on, in order, each after it is durable.

        A subscriber more than 4096 events behind gets one `Lagged(missed)` and then goes on; it slows nobody.
        """
