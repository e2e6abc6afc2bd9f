"""The peers this node knows, dials, labels, blocks and forgets."""

from pimd.contract import (
    CONFIG,
    DISCOVERY,
    KEYSTORE,
    MESH,
    PEER_DATA,
    PEER_SUMMARIES,
    PUBLISH,
    EventStream,
    Feature,
    Provided,
)
from pimd_features.peers.accepting import accept
from pimd_features.peers.errors import (
    BroadcastIntervalTooSmall,
    ConnectFailed,
    InvalidPeerAddress,
    PeerAlreadyExists,
    PeerAmbiguous,
    PeerIdentityMismatch,
)
from pimd_features.peers.identities import block, export_identity, forget, get, import_identity, label, unblock
from pimd_features.peers.linking import add_static, configured, list_peers, remove
from pimd_features.peers.models import STREAM, PeersEvent
from pimd_features.peers.nearby import discovered
from pimd_features.peers.pairing import connect_dynamic, pair
from pimd_features.peers.plugin import PeersPlugin
from pimd_features.peers.resolving import count, resolve

FEATURE = Feature(
    name="peers",
    summary="The peers this node knows, dials, labels, blocks and forgets.",
    namespaces=("peers",),
    plugin=PeersPlugin,
    methods=(
        list_peers,
        count,
        resolve,
        get,
        label,
        block,
        unblock,
        forget,
        add_static,
        configured,
        remove,
        accept,
        pair,
        connect_dynamic,
        discovered,
        import_identity,
        export_identity,
    ),
    events=(EventStream(STREAM, PeersEvent),),
    errors=(
        BroadcastIntervalTooSmall,
        ConnectFailed,
        InvalidPeerAddress,
        PeerAlreadyExists,
        PeerAmbiguous,
        PeerIdentityMismatch,
    ),
    provides=(Provided(PEER_SUMMARIES, "rows"),),
    uses=(MESH, KEYSTORE, CONFIG, PUBLISH, PEER_DATA, DISCOVERY),
)
