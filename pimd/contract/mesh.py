"""The mesh as features see it: links, routes, dialling, membership, and the calls that change them (service `MESH`)."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pimd.addresses import TCP, Endpoint
from pimd.events import Subscription
from pimd.ids import NodeId
from pimd.proto.member_announcement import MemberAnnouncement


@dataclass(frozen=True)
class ClassTraffic:
    """Frames of one traffic class on one link since it came up, bytes without what the link adds."""

    frames_in: int
    bytes_in: int
    frames_out: int
    bytes_out: int
    dropped: int
    """Own or relayed frames that were not sent: no room, too old, or lost with the link."""
    refused: int
    """Own frames that found no room; their sender was told CONGESTED."""


@dataclass(frozen=True)
class LinkInfo:
    """One authenticated link that is up."""

    peer: NodeId
    endpoint: Endpoint
    """Of the other end's socket; for an incoming Unix connection the path where it was accepted."""
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
    cost: int
    """What routing adds to a metric for this link, at least 256."""
    bytes_in: int
    """From the stream since the link came up, handshake and encryption included."""
    bytes_out: int
    rate_in: float
    """Bytes a second over the last complete 10 s; for a younger link since it came up."""
    rate_out: float
    traffic: Mapping[str, ClassTraffic]
    """By traffic class: `messages`, `datagrams`, `streams`."""
    listens_at: Endpoint | None = None
    """Where the peer takes links: the dialled endpoint, or its host with the announced port; None without one."""


@dataclass(frozen=True)
class RouteInfo:
    """The selected route to one destination."""

    destination: NodeId
    next_hop: NodeId
    metric: int
    """The sum of the costs of the links on the way, at least 256 each."""
    seq: int
    learned_at: float
    """Monotonic seconds of the last refresh."""
    hops: int
    """Number of links on the way, as the next hop advertises: 1 for a neighbour, 255 also for more."""
    rtt_s: float | None = None
    """Smoothed round-trip time of the link with the next hop."""
    frames_out: int = 0
    """Own and relayed frames for this destination that were queued since it has a route."""
    bytes_out: int = 0
    """Bytes of payload in these frames."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Frames of these that were not sent, by traffic class: `messages`, `datagrams`, `streams`."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Own frames that found no room, by traffic class."""


@dataclass(frozen=True)
class PeerEntry:
    """One `[[peers]]` entry of the configuration, or a peer dialled on request."""

    endpoint: Endpoint
    node_id: NodeId | None = None
    label: str = ""


@dataclass(frozen=True)
class DialInfo:
    """The state of one endpoint that the daemon keeps linked."""

    entry: PeerEntry
    node_id: NodeId | None
    """The expected node, or the one that answered there before."""
    state: Literal["connecting", "waiting", "up", "other_key"]
    configured: bool
    """Whether the configuration file names it, so that it is redialled without end."""
    last_error: str | None
    answers: NodeId | None = None
    """The node that last proved itself there instead of `node_id`, and was refused; None when `node_id` did since."""
    refused: bool = False
    """Whether the last attempt ended with a refusal, of either end; an address that does not answer refuses nothing."""


@dataclass(frozen=True)
class OtherKey:
    """At a configured endpoint a node answered with another key than the one first met there; it was refused."""

    endpoint: Endpoint
    label: str
    """What the user calls the node known there; may be empty."""
    known: NodeId
    answers: NodeId

    def __str__(self) -> str:
        address = self.endpoint.text
        # Bidi overrides and the like would not survive on their way over a terminal into the command.
        usable = bool(self.label) and self.label.isprintable() and not self.label.startswith("-")
        who = f"{self.label} at {address}" if self.label else address
        them = self.label or "its owner"
        command = shlex.join(["pim", "accept", self.label if usable else address, str(self.known), str(self.answers)])
        return (
            f"{who} has another key: known {self.known}, answers {self.answers}. "
            f"Set up anew, or somebody else? Ask {them} another way, then: `{command}`"
        )


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


@dataclass(frozen=True)
class SameKey:
    """Two machines use one key; told once, and again when more becomes known."""

    node_id: NodeId
    label: str
    """What the user calls the node; may be empty."""
    addresses: tuple[str, ...]
    """Where the two are, as far as known."""
    is_own: bool
    """Whether it is the key of this node."""
    told_by: NodeId | None = None
    """The neighbour that says so; None when it was seen here."""

    def __str__(self) -> str:
        where = f" at {' and '.join(self.addresses)}" if self.addresses else ""
        teller = f", says {self.told_by}" if self.told_by is not None else ""
        if self.is_own:
            return (
                f"two machines use the same key, that of this node ({self.node_id}){where}{teller}: a copied disk or an "
                "unfinished move? Stop one of them, or give one a new key: `pim identity new`"
            )
        who = f"{self.label} ({self.node_id})" if self.label else str(self.node_id)
        return (
            f"two machines use the same key, that of {who}{where}{teller}: the second one is refused while the first one "
            "answers, and messages reach only one of them. Tell their owner"
        )


@dataclass(frozen=True)
class Problem:
    """Something wrong that this node knows of, in words for people."""

    kind: str
    text: str


MeshEvent = LinkUp | LinkDown | RouteFound | RouteLost | OtherKey | SameKey
"""`OtherKey` comes once for each other node that answers at an endpoint, not at every dial."""


@dataclass(frozen=True)
class Membership:
    """Which mesh this node belongs to."""

    mode: Literal["open", "private"]
    mesh_id: str | None
    """The configured label; in a private mesh also part of what makes its keys."""
    fingerprint: str | None
    """16 hexadecimal digits that members compare; None in an open mesh."""


@dataclass(frozen=True)
class Broadcast:
    """One issue of this node's card."""

    at_ms: int
    """Unix milliseconds."""
    recipients: int
    """Neighbours that it was sent to."""


class DialError(Exception):
    """A connection could not be opened; the text says to what, why, and what to do."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused
        """Whether somebody answers who will not link, until a person changes something."""


class OtherKeyError(DialError):
    """Another node answers at a configured endpoint than the one first met there."""

    def __init__(self, found: OtherKey) -> None:
        super().__init__(str(found), refused=True)
        self.found = found


class Mesh(Protocol):
    """The links, the routes, and the calls that change them.

    Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never in
    a thread.

    Errors: only those that a member names, and then nothing was sent or changed. What the plugin lets through is a
    failure of the task, call or payload in which it happened.
    """

    @property
    def listen_endpoints(self) -> Sequence[Endpoint]:
        """Where this node takes links, as bound; before that as configured, where port 0 lets the system choose."""

    @property
    def relays(self) -> bool:
        """Whether this node forwards for others."""

    @property
    def membership(self) -> Membership:
        """The mesh that this node is a member of."""

    def seal_discovery(self, port: int, addresses: Sequence[bytes]) -> bytes:
        """Return 66 bytes, new ones each time, that tell members alone who takes links there; LookupError in an open mesh.

        `addresses` are 4 or 16 bytes each.
        """

    def open_discovery(self, sealed: bytes) -> MemberAnnouncement | None:
        """Return what a member sealed; None for anything else, and in an open mesh."""

    def links(self) -> Sequence[LinkInfo]:
        """Every link that is up, one a peer."""

    def link(self, peer: NodeId) -> LinkInfo | None:
        """Return the link with one peer."""

    def routes(self) -> Sequence[RouteInfo]:
        """Every selected route, neighbours included."""

    def nearest(self, most: int, among: Collection[NodeId] | None = None) -> Sequence[RouteInfo]:
        """Return the selected routes of smallest metric, the nearest first; only those to nodes of `among`, when given."""

    def destinations(self) -> Collection[NodeId]:
        """Return the nodes with a selected route, without reading the routes."""

    def route(self, destination: NodeId) -> RouteInfo | None:
        """Return the selected route to one destination, in constant time."""

    def dials(self) -> Sequence[DialInfo]:
        """Every endpoint that is to be kept linked."""

    def problems(self) -> Sequence[Problem]:
        """Everything wrong that a person should know of, the gravest first."""

    def counters(self) -> Mapping[str, int]:
        """Monotonic counters by name, such as `dropped_unsealed`, and `limit_links` for a limit that was reached."""

    def subscribe(self) -> Subscription[MeshEvent]:
        """Receive changes of links and routes from now on."""

    async def dial(self, entry: PeerEntry) -> NodeId:
        """Open one link now and return who answered; `DialError` otherwise. Nothing is kept."""

    def keep_dialling(self, entry: PeerEntry, *, configured: bool) -> None:
        """Keep the endpoint linked from now on; an entry for one already kept is replaced."""

    def stop_dialling(self, endpoint: Endpoint) -> bool:
        """Stop redialling an endpoint; False when it was not kept. A link that is up stays."""

    async def hang_up(self, peer: NodeId) -> bool:
        """Close the links to `peer` with Goodbye 4 and do not redial until asked; False when there was none."""

    def resume(self, peer: NodeId) -> None:
        """Undo `hang_up`: the peer is redialled as before."""

    def redial(self, peer: NodeId | None = None) -> None:
        """Dial the configured endpoints that are down now, ahead of their turn, because something waits for a route.

        With `peer`, which was seen nearby: all endpoints kept for it, and those configured where nobody was met yet.
        """

    def left_alone(self, peer: NodeId) -> bool:
        """Tell whether a user at either end hung up; then only a user's request links with this peer again."""

    def refusal(self, peer: NodeId) -> str | None:
        """Return why the policy, or a block, would refuse this peer; None when it would not."""

    async def issue_card(self) -> Broadcast:
        """Issue a new identity card, and send it to all neighbours, from where it spreads over the mesh."""

    async def fetch_card(self, peer: NodeId) -> bool:
        """Ask for the card of a node with a link or a route, forgotten or not; True once it is held, False after 2 s."""

    def last_broadcast(self) -> Broadcast | None:
        """Return the newest issue of a card while the mesh was up; None before the first."""

    def set_broadcast_interval(self, seconds: int | None) -> None:
        """Issue a card at least this often from now on; None leaves the protocol's own period of 300 s."""

    def own_card(self) -> bytes:
        """Return the newest signed card of this node."""


def tcp_endpoint(mesh: Mesh) -> Endpoint:
    """Return where a node takes links over TCP, as every node does; its port is 0 until it is bound, if the system chooses."""
    return next(endpoint for endpoint in mesh.listen_endpoints if endpoint.scheme == TCP)
