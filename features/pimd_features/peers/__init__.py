"""The peers this node knows, dials, labels, blocks and forgets."""

from pimd.contract import CONFIG, KEYSTORE, MESH, PEER_DATA, PEER_SUMMARIES, PUBLISH, EventStream, Feature, Provided
from pimd_features.peers.identities import block, export_identity, forget, get, import_identity, label, unblock
from pimd_features.peers.linking import add_static, discovered, list_peers, pair, remove
from pimd_features.peers.models import PeerChanged
from pimd_features.peers.plugin import STREAM, PeersPlugin

FEATURE = Feature(
    name="peers",
    summary="The peers this node knows, dials, labels, blocks and forgets.",
    namespaces=("peers",),
    plugin=PeersPlugin,
    methods=(
        list_peers,
        get,
        label,
        block,
        unblock,
        forget,
        add_static,
        remove,
        pair,
        discovered,
        import_identity,
        export_identity,
    ),
    events=(EventStream(STREAM, PeerChanged),),
    provides=(Provided(PEER_SUMMARIES, "rows"),),
    uses=(MESH, KEYSTORE, CONFIG, PUBLISH, PEER_DATA),
)
