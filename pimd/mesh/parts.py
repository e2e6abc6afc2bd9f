"""Configuration of a node, and the parts that it consists of."""

from collections.abc import Sequence
from dataclasses import dataclass

from pimd.addresses import Endpoint
from pimd.clock import Clock
from pimd.contract import MeshEvent, Problem
from pimd.events import Topic
from pimd.mesh.admission import Admission
from pimd.mesh.broadcast import IdentityBroadcast
from pimd.mesh.cards import CardExchange, OwnCard
from pimd.mesh.counters import Counters
from pimd.mesh.dialler import Dial, Dialler
from pimd.mesh.handshakes import Handshakes
from pimd.mesh.links import LinkTable
from pimd.mesh.peer_link import PeerLink
from pimd.mesh.same_key import SameKeys
from pimd.net.transport import Listener
from pimd.proto.babel import Babel
from pimd.proto.handshake import LinkConfig
from pimd.proto.mesh_secret import MeshSecret
from pimd.store.keystore import Keystore


@dataclass(frozen=True)
class NodeConfig:
    """What a node is told at its construction."""

    name: str
    listen: Sequence[Endpoint]
    link: LinkConfig
    connect_timeout_s: float = 3.0
    relays: bool = True
    """Whether this node forwards for others."""
    broadcast_interval_s: int | None = None
    """Seconds between two cards of this node, when shorter than the protocol's period."""
    secret: MeshSecret | None = None
    """Of a private mesh; None in an open one."""
    mesh_id: str | None = None
    problems: Sequence[Problem] = ()
    """What the configuration asks for, and this build cannot do."""


@dataclass(frozen=True)
class NodeParts:
    """The parts that the service reads and calls; the node connects them."""

    config: NodeConfig
    clock: Clock
    keystore: Keystore
    counts: Counters
    events: Topic[MeshEvent]
    links: LinkTable[PeerLink]
    routing: Babel[PeerLink]
    own: OwnCard
    cards: CardExchange
    broadcast: IdentityBroadcast
    handshakes: Handshakes
    dialler: Dialler
    dial: Dial
    admission: Admission
    same_keys: SameKeys
    listeners: Sequence[Listener]
    """Filled when the node starts."""
