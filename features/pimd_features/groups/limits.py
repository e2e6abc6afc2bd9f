"""What others can make this node hold for its groups."""

from pimd.contract import MIB, Limit, declare, declare_rate

MEMBERS = declare("members of a group", 64, "members", "an invitation is refused, and a record with more is dropped")
GROUPS = declare("groups of this node", 256, "groups", "creating and joining are refused; leave one first")
INVITATIONS = declare("invitations that wait for an answer", 64, "invitations", "the oldest is forgotten")
INVITATIONS_OF_PEER = declare(
    "invitations of one node that wait for an answer", 4, "invitations", "its oldest is forgotten"
)
RECORDS = declare("records of a group", 512, "records", "a further one is dropped; make a new group")
LOST_RECORDS = declare(
    "records of a group that lost remembered",
    64,
    "records",
    "the oldest is forgotten, and its group is asked about anew",
)
WAITING_OF_MEMBER = declare(
    "messages of one member that wait for its key or a record", 1024, "messages", "the message is dropped"
)
WAITING_OF_OTHERS = declare(
    "messages in a group of all who are no members here that wait for a record",
    64,
    "messages",
    "the newest of the one who has most is dropped",
)
"""A record that makes them members may be on its way."""
SAID = declare(
    "answers about groups remembered",
    10_000,
    "answers",
    "the oldest is forgotten, and may be given again before its time",
)
SENDER_KEYS = declare("sender keys kept of one member", 64, "keys", "the oldest is forgotten")
KEY_MESSAGES = declare(
    "messages under one sender key", 256, "messages", "the sender makes a new key; beyond is dropped"
)
PARENTS = declare("parents that a group message names", 8, "messages", "a message with more is dropped")
MEMBER_MESSAGES = declare("messages kept of one member of a group", 20_000, "messages", "its oldest is deleted")
MEMBER_BYTES = declare("bytes of messages kept of one member of a group", 32 * MIB, "bytes", "its oldest are deleted")
ANSWERS = declare_rate("questions about groups answered", 10, "questions", "dropped, not answered", burst=64)


class OverLimit(ValueError):  # noqa: N818 - says what is the matter
    """What came holds more than it may."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(f"over the limit: {limit.name}, {limit}")
        self.limit = limit
