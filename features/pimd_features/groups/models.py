"""What `groups.*` takes, answers and announces."""

from typing import Annotated, Literal

from pydantic import Field

from pimd.contract import MessageIdHex, NodeIdHex, NodeName, Params, Result

PAGE = 100
MOST_DAYS = 3650
CURSOR_LIMIT = 200
PAGE_LIMIT = 500
PREVIEW_LIMIT = 80

GroupHex = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
"""A group id, 32 hexadecimal digits."""
HashHex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
State = Literal["invited", "joining", "joined", "left", "removed"]
Status = Literal["pending", "sent", "kept", "delivered", "failed"]
GroupField = Annotated[
    str,
    Field(min_length=1, max_length=200, description="The id of a group, at least 4 digits of its start, or its name."),
]


class GroupCreateParams(Params):
    """A new group."""

    name: Annotated[NodeName, Field(min_length=1, description="At most 64 bytes of UTF-8; it stays as it is.")]


class GroupParams(Params):
    """The group that is meant."""

    group: GroupField


class GroupMemberParams(Params):
    """A member of a group."""

    group: GroupField
    node_id: NodeIdHex


class GroupInviteParams(GroupMemberParams):
    """Whom to invite."""

    may_change: bool = Field(default=False, description="Whether the new member may invite and remove others, too.")


class GroupSendParams(Params):
    """A text to all members."""

    group: GroupField
    body: str


class GroupHistoryParams(Params):
    """A page of messages that came before a position; without it the newest."""

    group: GroupField
    before: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = PAGE


class GroupRetentionParams(GroupParams):
    """Which group; without `days` and `forever` nothing is changed."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = None
    """Delete messages that are older."""
    forever: bool = False
    """Keep all messages from now on."""


class GroupExportParams(GroupParams):
    """What to export, and where to go on."""

    cursor: Annotated[str, Field(max_length=CURSOR_LIMIT)] | None = None
    """Of the page before."""


class GroupMember(Result):
    """One member."""

    node_id: NodeIdHex
    name: str
    may_change: bool
    agrees: bool = Field(description="Whether the newest record that it named is one of this node's.")
    barred: bool = Field(
        description="Nothing is sent to it: a record removed it that lost to another one, and is made again."
    )


class GroupRow(Result):
    """A group, or an invitation to one."""

    group_id: GroupHex
    name: str
    state: State
    inviter: NodeIdHex | None
    members: list[GroupMember]
    invited: list[NodeIdHex] = Field(description="Who was invited by this node and did not answer.")
    may_change: bool
    record_number: int | None
    record_hash: HashHex | None
    members_agree: bool = Field(description="False while a member named another record with a number of this node's.")
    last_message: str | None = Field(max_length=PREVIEW_LIMIT)
    last_message_ts_ms: int | None
    state_text: str = Field(description="State, and whether the members disagree, in words.")
    people: int = Field(ge=0, description="How many members.")


class Groups(Result):
    """All groups of this node, by name."""

    groups: list[GroupRow]


class GroupRef(Result):
    """The group that was changed."""

    group_id: GroupHex
    name: str
    state: State


class GroupDelivery(Result):
    """How far a message came to one member."""

    node_id: NodeIdHex
    status: Status
    at_ms: int


class GroupMessageRow(Result):
    """One message, as this node shows it."""

    id: MessageIdHex
    position: int = Field(description="The place in this node's order of arrival; it orders all messages.")
    sender: NodeIdHex
    sender_name: str
    is_own: bool
    body: str
    timestamp_ms: int = Field(description="The sender's clock, but never later than the arrival; it orders nothing.")
    parents: list[MessageIdHex] = Field(description="The newest messages that its sender had.")
    missing_parents: int = Field(ge=0, description="How many of these are not here.")
    late: bool = Field(description="Whether a message came before that names it as its parent.")
    disagrees: bool = Field(description="Whether its sender held another record with the same number.")
    deliveries: list[GroupDelivery] = Field(description="Of an own message, by member.")
    state_text: str = Field(description="What is special about it, or how many have it.")


class GroupHistory(Result):
    """One page, newest first."""

    messages: list[GroupMessageRow]
    has_more: bool


class GroupSent(Result):
    """The message is on disk and will be sent to each member."""

    id: MessageIdHex
    position: int
    timestamp_ms: int
    members: int = Field(description="To how many it goes.")


class GroupRetention(Result):
    """How long a group keeps messages at this node."""

    days: int | None = Field(description="In lived time; null for all time.")
    in_words: str
    deleted_messages: int = Field(ge=0, description="Those that were older.")


class GroupDeleted(Result):
    """What `groups.delete_history` removed from this node; the members keep their copies."""

    deleted_messages: int
    deleted_group: bool = Field(description="Whether the group is not listed any more: this node is in it no more.")


class GroupExport(Result):
    """Lines of the file, without their ends."""

    lines: list[str]
    cursor: str | None = Field(description="For the next page; null behind the last one.")


class GroupInvited(Result):
    """A node asks this one to join a group."""

    kind: Literal["invited"] = "invited"
    group_id: GroupHex
    name: str
    inviter: NodeIdHex
    members: int


class GroupDeclined(Result):
    """A node that was invited does not want to join."""

    kind: Literal["declined"] = "declined"
    group_id: GroupHex
    node_id: NodeIdHex


class MembersChanged(Result):
    """Another record is the newest; `signer` made it."""

    kind: Literal["members_changed"] = "members_changed"
    group_id: GroupHex
    record_number: int
    added: list[NodeIdHex]
    removed: list[NodeIdHex]
    signer: NodeIdHex


class GroupStateChanged(Result):
    """This node joined a group, left it, or was removed."""

    kind: Literal["state_changed"] = "state_changed"
    group_id: GroupHex
    state: State


class MembersDisagree(Result):
    """A member holds another record than this node, with the same number."""

    kind: Literal["members_disagree"] = "members_disagree"
    group_id: GroupHex
    node_id: NodeIdHex
    record_number: int
    record_here: HashHex
    record_there: HashHex


class TwoRecords(Result):
    """One node signed two records behind the same one: it lies, or two copies of it run. The smaller hash stands."""

    kind: Literal["two_records"] = "two_records"
    group_id: GroupHex
    signer: NodeIdHex
    record_number: int


class GroupMessageReceived(Result):
    """A message came and is on disk."""

    kind: Literal["message_received"] = "message_received"
    group_id: GroupHex
    message: GroupMessageRow


class GroupMessageStatus(Result):
    """A message of this node reached a new status at one member."""

    kind: Literal["message_status"] = "message_status"
    group_id: GroupHex
    message_id: MessageIdHex
    node_id: NodeIdHex
    new_status: Status
    at_ms: int


class GroupHistoryDeleted(Result):
    """Messages of a group were deleted here, by the user or because of `groups.retention`."""

    kind: Literal["history_deleted"] = "history_deleted"
    group_id: GroupHex
    deleted_messages: int
    up_to_position: int = Field(
        description="Messages up to it are gone; with retention those stay that a member does not have yet."
    )


GroupsEvent = (
    GroupInvited
    | GroupDeclined
    | MembersChanged
    | GroupStateChanged
    | MembersDisagree
    | TwoRecords
    | GroupMessageReceived
    | GroupMessageStatus
    | GroupHistoryDeleted
)
