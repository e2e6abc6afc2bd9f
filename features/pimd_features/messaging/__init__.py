"""End-to-end encrypted messages between people: the flagship feature, and the model for every other."""

from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    PARCELS,
    PEER_DATA,
    PUBLISH,
    Arg,
    EventStream,
    Feature,
    Line,
    Pairs,
    Provided,
    Table,
    Verb,
)
from pimd_features.messaging.errors import MessageBodyTooLarge, MessagePeerUnknown
from pimd_features.messaging.models import STREAM, MessagesEvent, MessagingSettings
from pimd_features.messaging.plugin import MessagingPlugin

FEATURE = Feature(
    name="messaging",
    summary="End-to-end encrypted messages between people.",
    namespaces=("messages",),
    plugin=MessagingPlugin,
    events=(EventStream(STREAM, MessagesEvent),),
    errors=(MessageBodyTooLarge, MessagePeerUnknown),
    settings=MessagingSettings,
    verbs=(
        Verb(
            ("session",),
            "show how messages to and from a peer are encrypted",
            "messages.session",
            args=(Arg("peer_node_id", kind="peer"),),
            show=Pairs(
                (
                    ("state", "{state}"),
                    ("to the peer", "{sending_text}"),
                    ("from the peer", "{receiving_text}"),
                    ("resets", "{resets}"),
                    ("changes of account", "{account_changes}"),
                    ("mailboxes", "{mailboxes_text}"),
                )
            ),
        ),
        Verb(
            ("search",),
            "find messages with all these words, or words that begin so",
            "messages.search",
            args=(
                Arg("text", help="words; quote more than one"),
                Arg("peer_node_id", option="--with", kind="peer"),
                Arg("before_position", option="--before", help="go on behind the last one of the page before"),
                Arg("limit", option="--limit"),
            ),
            show=Table(
                (
                    ("POSITION", "{message.position}"),
                    ("WHEN", "{message.timestamp_ms:moment}"),
                    ("WITH", "{name:name}"),
                    ("", "{message.direction}"),
                    ("TEXT", "{excerpt}"),
                ),
                rows="found",
                empty="no message has all these words",
            ),
        ),
        Verb(
            ("retention",),
            "show or set how many days a conversation keeps messages",
            "messages.retention",
            args=(
                Arg("peer_node_id", kind="peer"),
                Arg("days", help="delete what is older"),
                Arg("forever", option="--forever", help="keep all messages from now on"),
            ),
            show=Line("{in_words}; {deleted_messages} deleted now"),
        ),
    ),
    provides=(Provided(PEER_DATA), Provided(PARCELS, "parcels")),
    uses=(MESH, KEYSTORE, CONFIG, PUBLISH),
)
