"""Typed keys to what the core, or another feature, provides.

A feature names the keys it takes from the core in `uses`; a service of another feature is reached when that feature stands in
`requires`. `PEER_DATA` is the one key with any number of providers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from pimd.contract.models import ConfigProblem, FeatureRow, LogRecord, PeerSummary
from pimd.events import Subscription
from pimd.ids import NodeId

T = TypeVar("T")


@dataclass(frozen=True)
class ServiceKey(Generic[T]):
    """A name that carries the type of what it stands for."""

    name: str


class Services(Protocol):
    """What one plugin may reach."""

    def __getitem__(self, key: ServiceKey[T]) -> T:
        """Return the service; PermissionError when the feature did not declare it, LookupError when nobody provides it."""

    def providers(self, key: ServiceKey[T]) -> Sequence[T]:
        """Return all running providers of a key that the feature declared in `uses`, in start order; may be empty."""


# --- MESH


@dataclass(frozen=True)
class LinkInfo:
    """One authenticated link that is up."""

    peer: NodeId
    address: str
    """`host:port` of the other end's socket."""
    dialled: bool
    """True when this side opened the connection."""
    agent: str
    """What the peer says it runs, such as `pimd/0.1.0`; a stranger's text."""
    up_since: float
    """Monotonic seconds of the daemon's clock."""
    last_heard: float
    """Monotonic seconds of the last authenticated record."""
    rtt_s: float | None
    """Smoothed round-trip time, None until the first Pong."""


@dataclass(frozen=True)
class RouteInfo:
    """The selected route to one destination."""

    destination: NodeId
    next_hop: NodeId
    metric: int
    """256 for each hop."""
    seq: int
    learned_at: float
    """Monotonic seconds of the last refresh."""

    @property
    def hops(self) -> int:
        """1 for a neighbour."""
        return max(1, self.metric // 256)


@dataclass(frozen=True)
class PeerEntry:
    """One `[[peers]]` entry of the configuration, or a peer dialled on request."""

    address: str
    node_id: NodeId | None = None
    label: str = ""
    mechanism: Literal["tcp", "bluetooth"] = "tcp"


@dataclass(frozen=True)
class DialInfo:
    """What the daemon is doing about one address that it is to keep linked."""

    entry: PeerEntry
    node_id: NodeId | None
    """Expected, or met there before."""
    state: Literal["connecting", "waiting", "up"]
    configured: bool
    """From the configuration file, so redialled without end."""
    last_error: str | None


@dataclass(frozen=True)
class LinkUp:
    """The first link to a peer is up; a replaced duplicate emits nothing."""

    link: LinkInfo


@dataclass(frozen=True)
class LinkDown:
    """The last link to a peer is gone."""

    peer: NodeId
    reason: str


@dataclass(frozen=True)
class RouteFound:
    """A destination that had no route has one."""

    destination: NodeId


@dataclass(frozen=True)
class RouteLost:
    """A destination has no route any more."""

    destination: NodeId


MeshEvent = LinkUp | LinkDown | RouteFound | RouteLost


class DialError(Exception):
    """A connection could not be opened; the text says to what, why, and what to do."""


class Mesh(Protocol):
    """The links, the routes, and the verbs that change them."""

    @property
    def listen_address(self) -> str:
        """`host:port` as bound."""

    @property
    def listen_port(self) -> int:
        """The port as bound, also when 0 was configured."""

    @property
    def relays(self) -> bool:
        """Whether this node forwards for others."""

    def links(self) -> Sequence[LinkInfo]:
        """Every link that is up, one a peer."""

    def routes(self) -> Sequence[RouteInfo]:
        """Every selected route, neighbours included."""

    def dials(self) -> Sequence[DialInfo]:
        """Every address that is to be kept linked."""

    def counters(self) -> Mapping[str, int]:
        """Monotonic counters by name, such as `dropped_unsealed`."""

    def subscribe(self) -> Subscription[MeshEvent]:
        """Receive changes of links and routes from now on."""

    async def dial(self, entry: PeerEntry) -> NodeId:
        """Open one link now and return who answered; `DialError` otherwise. Nothing is kept."""

    def keep_dialling(self, entry: PeerEntry, *, configured: bool) -> None:
        """Keep the address linked from now on; an address already kept is replaced."""

    def stop_dialling(self, address: str) -> bool:
        """Keep the address no longer; False when it was not kept. A link that is up stays."""

    async def hang_up(self, peer: NodeId) -> bool:
        """Close the links to `peer` with Goodbye 4 and do not redial until asked; False when there was none."""

    async def issue_card(self) -> int:
        """Issue a new identity card, send it to all neighbours and return how many there are."""

    def own_card(self) -> bytes:
        """Return the newest signed card of this node."""


# --- KEYSTORE


@dataclass(frozen=True)
class KnownPeer:
    """What the keystore holds of one identity."""

    node_id: NodeId
    x25519_pub: bytes
    name: str
    known: Literal["imported", "direct", "signed"]
    """imported: typed in by the user; direct: met on a link of its own; signed: a card brought by others."""
    card: bytes | None
    """The newest valid card; None for an imported key, which therefore never seals."""
    seq: int
    flags: int
    label: str | None
    contact: bool
    blocked: bool
    first_seen_ms: int
    last_seen_ms: int


class KeyConflict(Exception):  # noqa: N818 - the contract's word
    """An imported key differs from the one the peer signed."""

    def __init__(self, node_id: NodeId, supplied: bytes, existing: bytes) -> None:
        super().__init__(f"{node_id.abbreviated} signed another key than the one given")
        self.node_id = node_id
        self.supplied = supplied
        self.existing = existing


class Keystore(Protocol):
    """All known identities, read from memory; every change returns after it is on disk."""

    def get(self, node_id: NodeId) -> KnownPeer | None:
        """Return one identity, or None."""

    def list(self) -> Sequence[KnownPeer]:
        """Return all identities in order of node id."""

    def is_blocked(self, node_id: NodeId) -> bool:
        """Tell whether links and payloads of this id are refused, known or not."""

    def labels(self) -> Mapping[NodeId, str]:
        """All labels, also of ids without an identity."""

    async def import_identity(self, node_id: NodeId, x25519_pub: bytes, name: str) -> bool:
        """Store a key given by the user; True when it was new. `KeyConflict` when a signed card holds another."""

    async def forget(self, node_id: NodeId) -> bool:
        """Delete contact, label, pin, import and card, keep (id, seq) so that this card is not learned again.

        Returns after every plugin was told, or 5 s; False when nothing was known.
        """

    async def set_label(self, node_id: NodeId, label: str | None) -> None:
        """Name a peer, or with None take the name away; a labelled identity becomes a contact."""

    async def set_contact(self, node_id: NodeId, *, contact: bool) -> None:
        """Mark an identity as a contact, or no longer."""

    async def set_blocked(self, node_id: NodeId, *, blocked: bool) -> None:
        """Refuse, or accept again, links and payloads of this id; survives forget."""

    def pinned(self, address: str) -> NodeId | None:
        """Return the id that was first met at a configured address, if any."""

    async def pin(self, address: str, node_id: NodeId) -> None:
        """Remember who answers at an address."""

    async def unpin(self, *, address: str | None = None, node_id: NodeId | None = None) -> None:
        """Forget pins by address, by id, or both."""


# --- CONFIG


@dataclass(frozen=True)
class ConfigText:
    """The configuration file as it stands on disk."""

    text: str
    path: Path | None
    """None when the daemon runs without a file."""
    modified_ms: int
    sha256: str
    """Hex digest of the text, for `if_hash`."""


class Config(Protocol):
    """The configuration file: read it, check one, change it."""

    def read(self) -> ConfigText:
        """Return the file as it is now; an empty text without a file."""

    def peers(self) -> Sequence[PeerEntry]:
        """The `[[peers]]` entries in force, in file order."""

    def mesh_cidr(self) -> str:
        """The configured address of the mesh interface, or an empty string."""

    def interface(self) -> tuple[str, int]:
        """Name and MTU of the configured mesh interface."""

    def node_name(self) -> str:
        """The name that this node announces."""

    def validate(self, text: str) -> Sequence[ConfigProblem]:
        """Return everything wrong with `text`; empty means it would load."""

    async def add_peer(self, entry: PeerEntry) -> None:
        """Write a `[[peers]]` entry, keeping comments and order; creates the user's file when there is none."""

    async def remove_peer(self, address: str) -> bool:
        """Take the entries with that address out of the file; False when there was none."""

    async def save(self, text: str) -> Path:
        """Replace the whole file, atomically, keeping the previous one as a backup. Validate first."""


# --- LOG_RING, ASSEMBLY, PUBLISH, PEER_DATA


class LogRing(Protocol):
    """The last 2048 log records."""

    def records(self) -> Sequence[LogRecord]:
        """Oldest first."""

    def subscribe(self) -> Subscription[LogRecord]:
        """Receive every record from now on."""


class Assembly(Protocol):
    """Which features are here and in what state."""

    def rows(self) -> Sequence[FeatureRow]:
        """Every known feature, built or not."""

    def subscribe(self) -> Subscription[FeatureRow]:
        """Receive the new row of each feature whose state changes."""


class Publish(Protocol):
    """Sends notifications on the event streams that the feature declared."""

    def __call__(self, stream: str, payload: BaseModel) -> None:
        """Queue `payload` for every subscriber; never waits. ValueError for a stream the feature did not declare."""


@dataclass(frozen=True)
class Erased:
    """What `PeerData.erase` deleted."""

    messages: int
    conversation: bool


class PeerData(Protocol):
    """What a user wrote to or got from a peer, deleted only when asked."""

    async def erase(self, peer: NodeId) -> Erased:
        """Delete it all and count it."""


class PeerSummaries(Protocol):
    """Rows for `peers.list` and `status`, provided by the feature `peers`."""

    def neighbours(self) -> Sequence[PeerSummary]:
        """Linked peers, configured peers that are down, and contacts with a route; at most 256."""

    def summary(self, node_id: NodeId) -> PeerSummary:
        """One row, also of a peer that is down."""


@dataclass(frozen=True)
class Provided(Generic[T]):
    """A service that a feature offers: the key, and the attribute of its plugin that holds it (empty: the plugin itself)."""

    key: ServiceKey[T]
    attribute: str = ""


MESH: ServiceKey[Mesh] = ServiceKey("mesh")
KEYSTORE: ServiceKey[Keystore] = ServiceKey("keystore")
CONFIG: ServiceKey[Config] = ServiceKey("config")
LOG_RING: ServiceKey[LogRing] = ServiceKey("log_ring")
ASSEMBLY: ServiceKey[Assembly] = ServiceKey("assembly")
PUBLISH: ServiceKey[Publish] = ServiceKey("publish")
PEER_DATA: ServiceKey[PeerData] = ServiceKey("peer_data")
"""The one key with any number of providers; read with `services.providers(PEER_DATA)`."""
PEER_SUMMARIES: ServiceKey[PeerSummaries] = ServiceKey("peer_summaries")
CORE_KEYS = frozenset({MESH.name, KEYSTORE.name, CONFIG.name, LOG_RING.name, ASSEMBLY.name, PUBLISH.name})
