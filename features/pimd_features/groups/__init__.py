"""Groups of people: messages to all members, without a server."""

from pimd.contract import CONFIG, KEYSTORE, MESH, PUBLISH, Arg, EventStream, Feature, Line, Table, Verb
from pimd_features.groups.errors import GroupMessageTooLarge, GroupRefused, GroupUnknown
from pimd_features.groups.models import GroupsEvent
from pimd_features.groups.plugin import STREAM, GroupsPlugin

_GROUP = Arg("group", help="its name, its id, or the start of its id")

FEATURE = Feature(
    name="groups",
    summary="Messages to groups of up to 64 people, without a server.",
    namespaces=("groups",),
    plugin=GroupsPlugin,
    events=(EventStream(STREAM, GroupsEvent),),
    errors=(GroupMessageTooLarge, GroupRefused, GroupUnknown),
    verbs=(
        Verb(
            ("group", "create"),
            "make a group of this node alone",
            "groups.create",
            args=(Arg("name"),),
            show=Line("made {name:name}, {group_id}; invite with: pim group invite {group_id} NAME"),
        ),
        Verb(
            ("group", "invite"),
            "ask a peer to join a group",
            "groups.invite",
            args=(
                _GROUP,
                Arg("node_id", kind="peer"),
                Arg("may_change", option="--may-change", help="it may invite and remove others, too"),
            ),
            show=Line("invited to {name:name}; it is a member once it said yes"),
        ),
        Verb(
            ("group", "join"),
            "say yes to an invitation",
            "groups.join",
            args=(_GROUP,),
            show=Line("said yes to {name:name}; `pim group list` shows when this node is a member"),
        ),
        Verb(
            ("group", "leave"),
            "leave a group, or decline an invitation",
            "groups.leave",
            args=(_GROUP,),
            show=Line("left {name:name}; what was written stays here"),
        ),
        Verb(
            ("group", "remove"),
            "take a member out of a group",
            "groups.remove",
            args=(_GROUP, Arg("node_id", kind="peer")),
            show=Line("removed from {name:name}; it reads nothing that is written from now on"),
        ),
        Verb(
            ("group", "list"),
            "list groups and invitations",
            "groups.list",
            show=Table(
                (
                    ("ID", "{group_id}"),
                    ("NAME", "{name:name}"),
                    ("STATE", "{state_text}"),
                    ("MEMBERS", "{people}"),
                    ("LAST", "{last_message}"),
                ),
                rows="groups",
                empty="no groups; make one with: pim group create NAME",
            ),
        ),
        Verb(
            ("group", "send"),
            "send a text to all members of a group",
            "groups.send",
            args=(_GROUP, Arg("body", help="what to say")),
            show=Line("on its way, id {id}; other members: {members}"),
        ),
        Verb(
            ("group", "history"),
            "show the messages of a group, newest first",
            "groups.history",
            args=(_GROUP, Arg("before", option="--before", help="a position"), Arg("limit", option="--limit")),
            show=Table(
                (
                    ("POSITION", "{position}"),
                    ("AT", "{timestamp_ms:moment}"),
                    ("FROM", "{sender_name:name}"),
                    ("TEXT", "{body}"),
                    ("STATE", "{state_text}"),
                ),
                rows="messages",
                empty="no messages",
            ),
        ),
        Verb(
            ("group", "retention"),
            "show or set how many days a group keeps messages here",
            "groups.retention",
            args=(
                _GROUP,
                Arg("days", help="delete what is older"),
                Arg("forever", option="--forever", help="keep all messages from now on"),
            ),
            show=Line("{in_words}; {deleted_messages} deleted now"),
        ),
        Verb(
            ("group", "delete"),
            "delete the messages of a group here, and a group that was left",
            "groups.delete_history",
            args=(_GROUP,),
            show=Line("messages deleted here: {deleted_messages}; the members keep theirs"),
        ),
    ),
    requires=("messaging",),
    uses=(MESH, KEYSTORE, CONFIG, PUBLISH),
)
