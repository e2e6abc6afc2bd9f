"""End-to-end encrypted messages between people: the flagship feature, and the model for every other."""

from pimd.contract import CONFIG, KEYSTORE, MESH, PEER_DATA, PUBLISH, EventStream, Feature, Provided
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
    provides=(Provided(PEER_DATA),),
    uses=(MESH, KEYSTORE, CONFIG, PUBLISH),
)
