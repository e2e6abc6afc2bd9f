"""End-to-end encrypted messages between people: the flagship feature, and the model for every other."""

from pimd.contract import CONFIG, KEYSTORE, MESH, PEER_DATA, PUBLISH, Arg, EventStream, Feature, Pairs, Provided, Verb
from pimd_features.messaging.errors import MessageBodyTooLarge, MessagePeerUnknown
from pimd_features.messaging.models import MessagesEvent, MessagingSettings
from pimd_features.messaging.plugin import STREAM, MessagingPlugin

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
                )
            ),
        ),
    ),
    provides=(Provided(PEER_DATA),),
    uses=(MESH, KEYSTORE, CONFIG, PUBLISH),
)
