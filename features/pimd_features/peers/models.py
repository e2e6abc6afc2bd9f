"""What `peers.*` takes, answers and announces."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pimd.contract import NodeIdHex, NodeName, Params, PeerSummary, Result, X25519Hex, visible

STREAM = "peers.event"
LABEL_LIMIT = 128
NAME_LIMIT = 280
"""Characters of what is to be resolved: the longest address."""
LIST_LIMIT = 1000
"""Rows of one answer of `peers.list`."""
OUTGOING_INTERVAL_MIN_S = 30
"""Seconds between two broadcasts that a user may ask for."""

Label = Annotated[str, Field(min_length=1, max_length=LABEL_LIMIT), AfterValidator(visible)]
LabelOrNone = Annotated[str, Field(max_length=LABEL_LIMIT), AfterValidator(visible)] | None
"""An empty one is none."""
Mechanism = Literal["tcp", "bluetooth", "wifi_direct"]


class ListParams(Params):
    """Whether `peers.list` also lists identities that cannot be reached."""

    all: bool = False
    """Identities without a route, too."""
    after: NodeIdHex | None = None
    """The node of the last row of the page before."""
    limit: Annotated[int, Field(ge=1, le=LIST_LIMIT)] = LIST_LIMIT
    """Rows of a page, 1 000 at most."""


class ResolveParams(Params):
    """What a person typed, and what it may mean."""

    name: Annotated[str, Field(max_length=NAME_LIMIT)]
    """A label, a name, an id or the start of one."""
    scope: Literal["known", "nearby", "configured"] = "known"
    """`nearby`: also nodes that announce themselves nearby, and addresses. `configured`: also configured addresses."""
    address: str | None = None
    """The same text as an address, with a port; tried behind labels, contacts and ids, unless the scope is `known`."""


class Resolved(Result):
    """A node, or an address where none is known yet."""

    node_id: NodeIdHex | None = None
    label: str | None = Field(default=None, description="What the user calls it.")
    name: str | None = Field(default=None, description="What it calls itself, a stranger's text.")
    address: str | None = Field(default=None, description="In place of a node; never with the scope `known`.")
    config_entry_id: str | None = Field(default=None, description="Of a configured address, what peers.remove takes.")


class Candidate(Result):
    """One of several that a name can mean."""

    node_id: NodeIdHex | None = None
    label: str | None = None
    name: str | None = None
    address: str | None = None


class Count(Result):
    """How many there are."""

    identities: int


class PeerParams(Params):
    """The node id that `peers.get`, `peers.block` and the like act on."""

    node_id: NodeIdHex


class Peer(PeerSummary):
    """One row of `peers.list` with what the keystore holds besides."""

    known: Literal["imported", "direct", "signed", "forgotten"]
    contact: bool
    blocked: bool


class LabelParams(PeerParams):
    """A name given by the user; null takes it away."""

    label: Label | None


class ForgetParams(PeerParams):
    """Whom to forget, and how thoroughly."""

    also_delete_messages: bool = False


class Forgot(Result):
    """What `peers.forget` deleted; the counts are 0 unless messages were asked for, too."""

    forgot_identity: bool
    deleted_messages: int
    deleted_conversation: bool


class AddStaticParams(Params):
    """An address to keep linked from now on."""

    address: str
    """`host:port` or `unix:/path`."""
    mechanism: Mechanism = "tcp"
    label: LabelOrNone = None


class Added(Result):
    """The entry that `peers.add_static` keeps from now on."""

    node_id: NodeIdHex | None = Field(description="Null: the key is bound to the address when it is first met.")
    config_entry_id: str
    warning: str | None = Field(description="Why the address cannot be reached as it is written, and what to do.")


class Configured(Result):
    """One configured address, which is kept linked."""

    config_entry_id: str = Field(description="What peers.remove takes.")
    address: str = Field(description="As the file has it: host:port, or unix:/path.")
    endpoint: str = Field(description="The same with its scheme: tcp:host:port, or unix:/path.")
    label: str | None
    node_id: NodeIdHex | None = Field(description="Null until a node answered there, unless the file names it.")
    state: Literal["connecting", "waiting", "up", "other_key"] = Field(
        description="other_key: a node with another key answers there and is refused; last_error says what to do."
    )
    last_error: str | None = Field(description="Why the last attempt failed.")
    known: NodeIdHex | None = Field(default=None, description="The node that must answer there: the first one met.")
    answers: NodeIdHex | None = Field(default=None, description="The node that last answered there instead of it.")


class RemoveParams(Params):
    """The peer to remove, by exactly one of its two names."""

    node_id: NodeIdHex | None = None
    config_entry_id: str | None = None


class PairParams(Params):
    """The node to link with, and whether it is to be kept."""

    trust: Literal["once", "persist"]
    node_id: NodeIdHex | None = None
    address: str | None = None
    mechanism: Mechanism = "tcp"
    label: LabelOrNone = None


class ImportParams(PeerParams):
    """A key that the user brings."""

    x25519_pubkey: X25519Hex
    friendly_name: NodeName | None = None
    """None, or an empty one, keeps the name that is held."""


class Imported(Result):
    """What the import did."""

    node_id: NodeIdHex
    node_id_short: str
    imported: bool


class ExportParams(Params):
    """Whose identity; one's own without an id."""

    node_id: NodeIdHex | None = None


class Exported(Result):
    """An identity to give to others."""

    node_id: NodeIdHex
    x25519_pubkey: X25519Hex
    name: str
    card: str | None = Field(description="The signed card in hexadecimal; null for an imported key.")
    text: str = Field(description="The same as a block of text to paste.")


class Discovered(Result):
    """A node announced on the local network."""

    node_id: NodeIdHex | None
    address: str
    endpoint: str = Field(description="The same with its scheme.")
    mechanism: Literal["broadcast", "bluetooth", "wifi_direct"]
    first_seen_s: int
    last_seen_s: int
    label_announced: str | None
    label: str | None = Field(default=None, description="What the user calls this node.")


class BroadcastNow(Result):
    """What one broadcast of this node's card did."""

    recipients: int = Field(ge=0, description="Neighbours it was sent to; from them it spreads over the mesh.")
    sent_at_ms: int


class BroadcastParams(Params):
    """What to change; what is absent stays as it is."""

    outgoing_interval_s: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """30 or more; null turns the extra broadcasts off."""
    watch_incoming: bool | None = None
    """Null counts as absent."""
    min_peer_interval_s: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    """Null counts as absent."""


class BroadcastState(Result):
    """How often this node's card goes out, and how often `peer_seen` announces others."""

    outgoing_interval_s: int | None = Field(
        ge=OUTGOING_INTERVAL_MIN_S, description="Null: as often as the protocol asks for, about every 300 s."
    )
    watch_incoming: bool = Field(description="Whether identities whose card came over other nodes are announced.")
    min_peer_interval_s: int = Field(ge=1, description="`peer_seen` announces one such identity at most this often.")
    last_broadcast_ms: int | None = Field(description="Since the start of the daemon.")
    last_recipient_count: int | None = Field(ge=0)


class AcceptParams(Params):
    """Whose new key is accepted: both ids in full, and optionally a label or address that must be theirs."""

    old: NodeIdHex
    new: NodeIdHex
    label: LabelOrNone = None
    address: str | None = None
    move_messages: bool = False
    """Whether messages that the old key has not acknowledged go to the new one."""


class Accepted(Result):
    """What `peers.accept` moved from the old key to the new one."""

    node_id: NodeIdHex
    label: str | None
    addresses: list[str] = Field(description="Configured addresses that are bound to the new key now, and dialled.")
    stayed: list[str] = Field(description="Configured addresses that stay bound to the old key, which is still in use.")
    moved_messages: int
    refusal: str | None = Field(description="Why the policy, or a block, would still refuse the new one; null if not.")


class ConnectParams(PeerParams):
    """IP address and port of one node to link with."""

    address: str
    """IP address and port."""


class Connected(Result):
    """The link is up."""

    node_id: NodeIdHex
    address: str
    status: Literal["connected"]


class PeerChanged(Result):
    """`connected`, `disconnected` and `state_changed` are per node: replacing a link is silent."""

    kind: Literal["connected", "disconnected", "state_changed", "pair_failed"]
    peer: PeerSummary
    reason: str = ""


class PeerFound(Result):
    """A node announces itself nearby; published once for each node."""

    kind: Literal["discovered"]
    peer: Discovered


class PeerOtherKey(Result):
    """A node with another key answered at a configured address; published once for each such node."""

    kind: Literal["other_key"] = "other_key"
    address: str
    label: str | None
    known: NodeIdHex
    answers: NodeIdHex
    reason: str = Field(description="For people: both ids, and the command that accepts the new one.")


class PeerAccepted(Result):
    """The user accepted another key for a peer."""

    kind: Literal["accepted"] = "accepted"
    old: NodeIdHex
    peer: PeerSummary


class SameKeySeen(Result):
    """Two machines use one key, that of this node or of another."""

    kind: Literal["same_key"] = "same_key"
    node_id: NodeIdHex
    own: bool = Field(description="Whether it is the key of this node.")
    addresses: list[str] = Field(description="Where the two are, as far as known.")
    reason: str = Field(description="For people: what was seen, and what to do.")


PeersEvent = PeerChanged | PeerFound | PeerOtherKey | PeerAccepted | SameKeySeen
