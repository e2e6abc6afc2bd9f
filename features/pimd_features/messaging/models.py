"""What `messages.*` takes, answers and announces."""

from typing import Annotated, Literal

from pydantic import Field

from pimd.contract import FeatureSettings, InPushMode, MessageIdHex, NodeIdHex, Params, Result, X25519Hex
from pimd.ids import NodeId

STREAM = "messages.event"
MAILBOXES = 4
"""How many a bundle names at most."""
DAY_S = 24 * 3600
EXPIRES_S = 14 * DAY_S
EXPIRES_LIMIT_S = 28 * DAY_S
PAGE = 100
PAGE_LIMIT = 500
PREVIEW_LIMIT = 80
REFUSED_SHOWN = 5

UnixMs = Annotated[int, Field(ge=0, lt=2**63)]
"""Unix milliseconds that fit into the store."""
SessionState = Literal["in session", "begins with the next message", "waits for a bundle", "speaks no sessions"]
Restart = Literal["account_changed", "reset"]
ReceiptState = Literal["asked", "had"]
Direction = Literal["sent", "received"]
Status = Annotated[Literal["pending", "sent", "kept", "delivered", "read", "failed"], InPushMode({"kept": "sent"})]
"""Here, handed to a next hop, kept by a mailbox, on the recipient's disk, read there, given up."""


class MessagingSettings(FeatureSettings):
    """The table `[features.messaging]`; a wrong or unknown key stops the start of the daemon."""

    accept: Literal["everyone", "contacts"] = "everyone"
    receipts: bool = False
    """Whether to sign a receipt for each message whose sender asks for one: a proof for everybody that it came."""
    mailboxes: list[NodeIdHex] = Field(max_length=MAILBOXES, default_factory=list)
    """Nodes that keep messages for this one while it is away; its bundles name them."""


class MessageRecord(Result):
    """One stored message, sent or received, as `messages.history` and the events show it."""

    id: MessageIdHex
    peer_node_id: NodeIdHex
    direction: Direction
    body: str
    position: int = Field(description="The place in this store's order of arrival; it orders all messages.")
    timestamp_ms: int = Field(description="The sender's clock, but never later than the arrival; it orders nothing.")
    status: Status
    failure_reason: str | None
    delivered_at_ms: int | None
    read_at_ms: int | None
    receipt: ReceiptState | None = Field(default=None, description="Whether a signed receipt was asked for, and came.")
    imported: bool = Field(default=False, description="It came from a file, whose word its status is.")


class ConversationLine(Result):
    """Something that happened between two messages of a conversation."""

    after_position: int = Field(
        description="It happened after the message with this position, and before the next one."
    )
    at_ms: int = Field(description="The last time.")
    reason: Restart
    times: int = Field(ge=1)
    text: str = Field(description="The same in words.")


class ConversationSummary(Result):
    """One row of the list of conversations."""

    peer_node_id: NodeIdHex
    peer_node_id_short: str
    name: str = Field(description="The label given here, else what the peer calls itself, else the short id.")
    last_message_preview: str | None = Field(max_length=PREVIEW_LIMIT)
    last_message_ts_ms: int | None
    unread_count: int = Field(ge=0)
    is_connected: bool = Field(description="Whether there is a route right now.")
    x25519_pubkey: X25519Hex | None


class Conversations(Result):
    """All conversations, the one with the newest message first; the list is not paged."""

    conversations: list[ConversationSummary]


class Strangers(Result):
    """People who wrote and are no contacts."""

    wrote: int = Field(ge=0, description="How many, the refused ones included.")
    refused: int = Field(ge=0, description="Those of them whose newest message was refused since the start.")
    newest_refused: list[NodeIdHex] = Field(max_length=REFUSED_SHOWN)


class HistoryParams(Params):
    """A page of messages below one that is named by its id, or else by its time; without both the newest."""

    peer_node_id: NodeIdHex
    before_ts_ms: UnixMs | None = None
    before_id: MessageIdHex | None = None
    limit: int | None = None
    """Clamped to 1..500; 100 when absent."""


class History(Result):
    """One page, newest first; `has_more` says whether older messages exist beyond it."""

    messages: list[MessageRecord]
    has_more: bool
    lines: list[ConversationLine] = Field(
        default=[], description="What happened between and behind these messages, the last first."
    )


class SendParams(Params):
    """A text to a peer."""

    peer_node_id: NodeIdHex
    body: str
    expires_s: Annotated[int, Field(ge=1, le=EXPIRES_LIMIT_S)] = EXPIRES_S
    """How long to try, in lived time: while the machine is off it counts only if its clock can be believed."""
    receipt: bool = False
    """Ask for a signed receipt, `messages.proof`; it comes if the recipient's node gives any."""
    mailbox: bool | NodeIdHex = True
    """False: no mailbox keeps it. A node: it is also asked for the peer's bundle, which names the mailboxes that keep it."""


class Sent(Result):
    """The message is on disk and will be sent."""

    id: MessageIdHex
    timestamp_ms: int
    status: Status


class MarkReadParams(Params):
    """Marks all messages received from a peer up to one that is named by its id, or else by its time."""

    peer_node_id: NodeIdHex
    up_to_ts_ms: UnixMs
    """At or after this node's clock: all."""
    up_to_id: MessageIdHex | None = None


class Unread(Result):
    """How many messages are still unread."""

    unread_count: int


class ConversationParams(Params):
    """The peer whose conversation is meant; an unknown one counts as an empty conversation."""

    peer_node_id: NodeIdHex


class DeletedConversation(Result):
    """What `messages.delete_conversation` removed from this node; the peer keeps its copies."""

    deleted_messages: int
    deleted_conversation: bool


class DeletedAll(Result):
    """What `messages.delete_all` removed from this node; the peers keep their copies."""

    deleted_messages: int
    deleted_conversations: int


class SessionParams(Params):
    """The peer whose sessions are meant."""

    peer_node_id: NodeIdHex


class DirectionSession(Result):
    """The newest session of one direction."""

    age_s: int = Field(
        ge=0, description="In lived time; one of over a minute is replaced when there is a one-time bundle."
    )
    messages: int = Field(ge=0)
    one_time: bool = Field(
        description="Whether it stands on a one-time bundle, whose secrets are gone; else on a lasting one."
    )


class Session(Result):
    """The sessions with a peer; the two directions are independent."""

    peer_node_id: NodeIdHex
    state: SessionState
    sending: DirectionSession | None
    receiving: DirectionSession | None
    sending_text: str = Field(description="`sending` in words.")
    receiving_text: str = Field(description="`receiving` in words.")
    kept: int = Field(ge=0, description="Sessions of the peer of which messages may still come.")
    resets: int = Field(ge=0, description="How often what was unacknowledged was encrypted anew.")
    account_changes: int = Field(ge=0, description="How often the peer had another account than before.")
    mailboxes_text: str = Field(description="`mailboxes` by their names.")
    mailboxes: list[NodeIdHex] = Field(description="Where messages to the peer are left after 10 s without a route.")


class MessageReceived(Result):
    """A message came and is on disk."""

    kind: Literal["message_received"] = "message_received"
    message: MessageRecord
    conversation: ConversationSummary


class MessageStatus(Result):
    """A message sent from here reached a new status, or failed."""

    kind: Literal["message_status"] = "message_status"
    message_id: MessageIdHex
    peer_node_id: NodeIdHex
    new_status: Status
    at_ms: int


class PeerSeen(Result):
    """A peer's identity was learned, or with `x25519_known` false forgotten."""

    kind: Literal["peer_seen"] = "peer_seen"
    peer_node_id: NodeIdHex
    name: str
    x25519_known: bool
    via: Literal["direct", "routed"]


class HistoryCleared(Result):
    """Messages were deleted here; `peer_node_id` is null when those of all peers were."""

    kind: Literal["history_cleared"] = "history_cleared"
    peer_node_id: NodeIdHex | None
    scope: Literal["peer", "all"]
    deleted_messages: int


class SessionRestarted(Result):
    """What is unacknowledged is encrypted anew for a peer, or it has another account than before.

    Who has another account lost its messages and keys, or is somebody with its key file.
    """

    kind: Literal["session_restarted"] = "session_restarted"
    peer_node_id: NodeIdHex
    name: str
    reason: Restart
    at_ms: int


class HistoryShortened(Result):
    """The oldest messages of a conversation were deleted here, because of `messages.retention`."""

    kind: Literal["history_shortened"] = "history_shortened"
    peer_node_id: NodeIdHex
    deleted_messages: int
    up_to_position: int = Field(description="Messages up to it are gone, but those that wait to be sent.")


class ReceiptCame(Result):
    """A signed receipt of a message sent from here came, and holds; `messages.proof` returns it."""

    kind: Literal["receipt_came"] = "receipt_came"
    message_id: MessageIdHex
    peer_node_id: NodeIdHex


class ConnectionChanged(Result):
    """The peer of a conversation can be reached now, or no longer.

    A client in push mode, which does not know this, is told the status of the newest message again, and reads the
    conversations anew.
    """

    kind: Annotated[Literal["connection_changed"], InPushMode({"connection_changed": "message_status"})] = (
        "connection_changed"
    )
    peer_node_id: NodeIdHex
    is_connected: bool
    message_id: MessageIdHex = Field(description="The newest message.")
    new_status: Status
    at_ms: int


MessagesEvent = (
    MessageReceived
    | MessageStatus
    | ReceiptCame
    | PeerSeen
    | HistoryCleared
    | HistoryShortened
    | SessionRestarted
    | ConnectionChanged
)


def mailbox_column(wish: NodeId | bool) -> bytes | None:  # noqa: FBT001 - as it is in the params
    """Return how the table of messages holds the parameter `mailbox`."""
    if isinstance(wish, NodeId):
        return wish
    return None if wish else b""


def preview(body: str) -> str:
    """The first 80 characters on one line."""
    return " ".join(body.splitlines())[:PREVIEW_LIMIT]


def in_words(one: DirectionSession | None) -> str:
    """Say for people what `messages.session` says of one direction."""
    if one is None:
        return "no session"
    bundle = "a one-time bundle" if one.one_time else "a lasting bundle"
    return f"{one.messages} {'message' if one.messages == 1 else 'messages'} in {one.age_s} s, on {bundle}"
