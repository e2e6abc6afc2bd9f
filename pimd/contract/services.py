"""Typed keys to what the core, or another feature, provides.

A feature names the keys it takes from the core in `uses`; a service of another feature is reached when that feature stands in
`requires`. `PEER_DATA` and `DISCOVERY` are keys with any number of providers.

Called by the plugin that named the key, in any of its tasks, calls and timers, from `start` until `shutdown` has
returned; never in a thread.

Errors: only those that a member names, and then nothing was sent or changed. What the plugin lets through is a
failure of the task, call or payload in which it happened.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from pimd.addresses import Endpoint
from pimd.contract.index import PeerIndex
from pimd.contract.mesh import Mesh, PeerEntry
from pimd.contract.models import ConfigProblem, FeatureRow, LogRecord, PeerSummary
from pimd.events import Subscription
from pimd.ids import NodeId
from pimd.proto.cards import GATEWAY, signing_key_of

T = TypeVar("T")

LOCAL_SOURCE = "local:"
"""Before the id of a neighbour that links from this machine, where an address tells nobody apart (`Keystore.brought_by`)."""


@dataclass(frozen=True)
class ServiceKey(Generic[T]):
    """A name that carries the type of its service."""

    name: str


class ServiceFailed(Exception):  # noqa: N818 - says what is the matter
    """Another feature, which offers the service, failed in this call: it raised, or did not answer within 30 s.

    That is logged and counted there. Errors that a service means to raise come as they are: `RpcError`, `DatabaseError`, OSError.
    """


class Services(Protocol):
    """The services that one plugin declared.

    Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never in
    a thread.

    Errors: PermissionError and LookupError mean that the declaration of the feature lacks a name, or that the other
    feature is off.
    """

    def __getitem__(self, key: ServiceKey[T]) -> T:
        """Return the service; PermissionError when the feature did not declare it, LookupError when nobody provides it."""

    def providers(self, key: ServiceKey[T]) -> Sequence[T]:
        """Return all running providers of a key that the feature declared in `uses`, in start order; may be empty."""


# --- KEYSTORE


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """What the keystore holds of one identity, made from its row when it is asked for."""

    node_id: NodeId
    x25519_pub: bytes
    name: str
    known: Literal["imported", "direct", "signed"]
    """imported: entered by the user; direct: linked with this node; signed: a card that other nodes sent."""
    card: bytes | None
    """The newest valid card; None for an imported key, which therefore never seals."""
    seq: int
    flags: int
    label: str | None
    contact: bool
    blocked: bool
    first_seen_ms: int
    last_seen_ms: int

    @property
    def ed25519_pub(self) -> bytes | None:
        """The key that its card holds; None for an imported key."""
        return signing_key_of(self.card) if self.card is not None else None

    @property
    def is_gateway(self) -> bool:
        """Whether its card says that it leads out of the mesh."""
        return bool(self.flags & GATEWAY)


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

    @property
    def index(self) -> PeerIndex:
        """Look-ups by name, label and the start of an id."""

    def count(self) -> int:
        """Return the number of identities."""

    def is_contact(self, node_id: NodeId) -> bool:
        """Tell whether the user imported, labelled or wrote to this id."""

    def brought_by(self, node_id: NodeId) -> str:
        """Return the source of the link on which its card first came, or of its own last link; empty when unknown.

        A source is an address from which links come, an IPv6 /64, or the node id of a neighbour; the id stands behind
        `LOCAL_SOURCE` when the neighbour links from this machine.
        """

    def keep(self, is_needed: Callable[[NodeId], bool]) -> Callable[[], None]:
        """Neither evict nor age out those that `is_needed` is true for; the returned function ends that.

        A feature ends it in its `shutdown`.
        """

    def labels(self) -> Mapping[NodeId, str]:
        """All labels, also of ids without an identity."""

    def label(self, node_id: NodeId) -> str | None:
        """Return the user's name for an id, known or not."""

    def gateways(self) -> Collection[NodeId]:
        """Return the identities whose card says that they lead out of the mesh."""

    def is_forgotten(self, node_id: NodeId) -> bool:
        """Tell whether the user forgot it and it was not learned again."""

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

    async def replace_key(self, old: NodeId, new: NodeId, but: Collection[Endpoint] = ()) -> None:
        """Move label, contact mark and pins, but those of some endpoints, in one transaction; a block stays."""

    def pinned(self, endpoint: Endpoint) -> NodeId | None:
        """Return the id that was first met at a configured endpoint, if any."""

    async def pin(self, endpoint: Endpoint, node_id: NodeId) -> None:
        """Store which node answers at an endpoint."""

    async def unpin(self, *, endpoint: Endpoint | None = None, node_id: NodeId | None = None) -> None:
        """Forget pins by endpoint, by id, or both."""


# --- CONFIG


@dataclass(frozen=True)
class ConfigText:
    """The configuration as the files are now."""

    text: str
    path: str
    """As answers hold it; empty when the daemon runs without a file."""
    modified_ms: int
    sha256: str
    """Hex digest of the text."""


@dataclass(frozen=True)
class BroadcastConfig:
    """The table `[messaging.broadcast]` in force: the period of this node's card, and what `peers` lets announce."""

    outgoing_interval_s: int | None
    """A shorter period than the protocol's own for this node's card; None is the protocol's."""
    watch_incoming: bool
    """Whether `peer_seen` announces identities whose card came over other nodes."""
    min_peer_interval_s: int
    """Seconds between two announcements of one such identity."""


@dataclass(frozen=True)
class ConfigOrigin:
    """One setting, and where its value comes from."""

    key: str
    """Dotted, such as `transport.listen_port`; of a peer `peers.` and its endpoint."""
    value: Any
    kind: Literal["environment", "daemon", "file", "default"]
    """`daemon`: what was added or switched while it ran, which is kept in its data directory."""
    place: str
    """The variable, or the file; empty for a default."""
    line: int | None = None
    """In the file of the administrator."""


@dataclass(frozen=True)
class SavedConfig:
    """What became of a new text."""

    requires_restart: Sequence[str]
    """Dotted keys that count from the next start on."""
    written_to: str
    """The file, or with `dry_run` that which would be written; as answers hold it."""


class WrongConfig(Exception):  # noqa: N818
    """A text that does not load; `problems` lists all that is wrong with it."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class Config(Protocol):
    """The configuration: the administrator's file, and what the daemon decided on request, which it keeps in its data directory.

    Only `save` writes the file of an administrator; one that is the daemon's own takes every change (docs/configuration.md).
    """

    def read(self) -> ConfigText:
        """Return the file as it is now, with the daemon's decisions in it; an empty text without any.

        OSError when it cannot be read.
        """

    def origins(self) -> Sequence[ConfigOrigin]:
        """Return every setting and where its value comes from, as the files are now; OSError when they do not load."""

    def peers(self) -> Sequence[PeerEntry]:
        """The `[[peers]]` entries in force that can be dialled, in file order."""

    def mesh_cidr(self) -> str:
        """The configured address of the mesh interface, or an empty string."""

    def interface(self) -> tuple[str, int]:
        """Name and MTU of the configured mesh interface."""

    def node_name(self) -> str:
        """The name that this node announces."""

    def broadcast(self) -> BroadcastConfig:
        """Return the settings in force for this node's own card and for announcements of others."""

    async def set_broadcast(self, broadcast: BroadcastConfig) -> None:
        """Put in force and keep; OSError when it cannot be written, with nothing changed."""

    def discovery(self) -> Mapping[str, Any]:
        """Return the table of the feature `discovery`, unchecked, since its model is the feature's; the feature has `ctx.settings`."""

    def validate(self, text: str) -> Sequence[ConfigProblem]:
        """Return everything wrong with `text`; empty means it would load."""

    async def add_peer(self, entry: PeerEntry) -> None:
        """Keep an entry from now on, or let one count again that was disabled; one that is there already stays as it is."""

    async def remove_peer(self, endpoint: Endpoint) -> bool:
        """Take the entry with that endpoint out, or disable one of the administrator's; False when there was none."""

    async def rename_peers(self, endpoints: Collection[Endpoint], old: NodeId, new: NodeId) -> bool:
        """Write another `node_id` into the entries of these endpoints that name `old`; OSError with nothing changed.

        PermissionError when the administrator's file names `old`: that always wins.
        """

    async def save(
        self,
        text: str,
        *,
        format: Literal["toml", "json"] = "toml",  # noqa: A002 - as in the method's params
        dry_run: bool = False,
    ) -> SavedConfig:
        """Make this whole text what `read` returns, each change written where the value came from, and apply what can be.

        With `dry_run` nothing is written. `WrongConfig`, or OSError, with nothing changed.
        """


# --- DEFAULT_ROUTE


class DefaultRoute(Protocol):
    """Whether traffic to the rest of the world is to go through a gateway of the mesh: the user's wish, kept over restarts."""

    @property
    def wanted(self) -> bool:
        """The wish."""

    @property
    def effective(self) -> bool:
        """Whether a gateway carries that traffic now."""

    async def want(self, *, on: bool) -> None:
        """Keep a wish; returns once it is on disk. OSError with nothing changed, such as when the environment decides."""

    def subscribe(self) -> Subscription[bool]:
        """Receive every wish from now on, also one that changes nothing."""


# --- LOG_RING, ASSEMBLY, PUBLISH, PEER_DATA


class LogRing(Protocol):
    """The last 2048 log records."""

    def records(self) -> Sequence[LogRecord]:
        """Return a copy, oldest first; records from before the start of the features are included."""

    def subscribe(self) -> Subscription[LogRecord]:
        """Receive every record from now on."""


class Assembly(Protocol):
    """Which features are here and in what state."""

    def rows(self) -> Sequence[FeatureRow]:
        """Every known feature, built or not."""

    def subscribe(self) -> Subscription[FeatureRow]:
        """Receive the new row of each feature whose state changes."""

    def secret_settings(self) -> Collection[tuple[str, ...]]:
        """Keys below `[features]` that features declare as secrets (`SecretStr`); `*` stands for any one key."""


class Publish(Protocol):
    """Sends notifications on the event streams that the feature declared."""

    def __call__(self, stream: str, payload: BaseModel) -> None:
        """Queue `payload` for every subscriber; never waits. ValueError for a stream the feature did not declare.

        The payload is checked against the declared model, its fields and inner models included. What does not fit raises
        ValueError in the lab; in a daemon it is dropped, counted (`events_dropped` in `features.list`) and logged once a stream.
        Validators of the model must therefore accept what they returned.
        """

    def missed(self, stream: str, count: int) -> None:
        """Tell every subscriber that `count` events are missing, such as after a `Lagged`; ValueError as for publishing."""


@dataclass(frozen=True)
class Erased:
    """What one `PeerData` provider deleted of a peer; `peers.forget` adds these up for its answer."""

    messages: int
    conversation: bool


class PeerData(Protocol):
    """The data that a user exchanged with a peer; deleted only on request.

    Called by the daemon, for the feature that asked, in that feature's task and with a time limit of 30 s; the
    providers are asked one after the other.

    Errors: `RpcError`, `DatabaseError` and OSError reach the caller as they are. Anything else counts as a failure of
    the provider, and its caller gets `ServiceFailed`.
    """

    async def erase(self, peer: NodeId) -> Erased:
        """Delete everything of one peer and return the counts."""

    async def reassign(self, old: NodeId, new: NodeId) -> int:
        """Send what waits for one peer to another, because the user accepted its new key; return how much moved."""


@dataclass(frozen=True)
class DiscoveredNode:
    """A node that announces itself nearby."""

    endpoint: Endpoint
    """Where to dial it."""
    node_id: NodeId | None
    """Announced and not proven; None where the provider does not learn it."""
    name: str | None
    """What it calls itself, a stranger's text; None where it does not say."""
    first_seen: float
    """Monotonic seconds of the daemon's clock."""
    last_seen: float


class Discovery(Protocol):
    """Finds nodes nearby; `DISCOVERY` may have any number of providers.

    Called by the daemon, for a feature that asks who is near, in that feature's turn, once a second and more: it must
    not block.

    Errors: what it raises counts as a failure of the provider; its caller gets `ServiceFailed` and passes it over.
    """

    def nodes(self) -> Sequence[DiscoveredNode]:
        """Return the nodes that are there now, the one known for longest first."""


class PeerSummaries(Protocol):
    """Rows for `peers.list` and `status`, provided by the feature `peers`.

    Called by the daemon, for a feature that requires the provider, in that feature's turn.

    Errors: what it raises counts as a failure of the provider; its caller gets `ServiceFailed`.
    """

    def neighbours(self) -> Sequence[PeerSummary]:
        """Linked peers, configured peers that are down, and nodes with a route, the nearest; gateways first, at most 256."""

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
DEFAULT_ROUTE: ServiceKey[DefaultRoute] = ServiceKey("default_route")
LOG_RING: ServiceKey[LogRing] = ServiceKey("log_ring")
ASSEMBLY: ServiceKey[Assembly] = ServiceKey("assembly")
PUBLISH: ServiceKey[Publish] = ServiceKey("publish")
PEER_DATA: ServiceKey[PeerData] = ServiceKey("peer_data")
"""Any number of providers; read with `services.providers(PEER_DATA)`."""
DISCOVERY: ServiceKey[Discovery] = ServiceKey("discovery")
"""Any number of providers; read with `services.providers(DISCOVERY)`."""
PEER_SUMMARIES: ServiceKey[PeerSummaries] = ServiceKey("peer_summaries")
CORE_KEYS = frozenset(
    {MESH.name, KEYSTORE.name, CONFIG.name, DEFAULT_ROUTE.name, LOG_RING.name, ASSEMBLY.name, PUBLISH.name}
)
