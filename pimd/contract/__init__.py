"""The plugin contract: everything a feature may rely on, and everything it must offer.

The daemon owns what a mesh needs to exist: identity, authenticated sessions, routing, identity broadcast and the peer
keystore. A plugin runs inside the daemon's event loop and uses those through the ports of `PluginContext`. It handles
the `PluginPayload`s of its own kinds, and reacts to changes of the peers.

RPC methods are no part of the plugin's interface. They are marked with `@rpc` and entered into the dispatcher when the
daemon is assembled, so that a daemon can be built without a feature.

A feature imports this package, `pimd.ids`, and nothing else of the daemon. What it may use of the layers below is
exported here.

Paragraphs that begin with "Called by" say who calls a member, when, and in which task; "Errors:" says what an error means. They
hold for all members of a class or module that say nothing else. All of it but `run_blocking` is in the thread of the event loop.

Called by anybody, at any time, in threads as well: the functions that say nothing else.

Errors: a function raises what it names, and then nothing was changed.

Read in this order: `feature`, `plugin`, `work`, `methods`, `verbs`, `mesh`, `services`, `peers`, `index`, `control`, `datagrams`,
`identity`, `one_way`, `text`.
"""

from pimd.addresses import TCP, Endpoint
from pimd.characters import folded, hidden, reads_as_id
from pimd.clock import Clock, TimerHandle
from pimd.contract.cancellation import CancellationToken
from pimd.contract.control import CONGESTION_MET, ControlSender, Sent
from pimd.contract.datagrams import DATAGRAM_MTU, DatagramReceiver, Datagrams
from pimd.contract.errors import (
    CallTimeout,
    ConfigSaveRejected,
    ConfigValidationFailed,
    InvalidParams,
    InvalidRequest,
    MethodNotFound,
    NotSupported,
    Overloaded,
    PeerNotFound,
    RateLimited,
    RpcVersionMismatch,
    StorageError,
    Unauthorized,
)
from pimd.contract.feature import EventStream, Feature, FeatureSettings
from pimd.contract.gateways import nearest_gateways
from pimd.contract.identity import IdentitySecrets, seal_for, signer_of
from pimd.contract.index import PeerIndex
from pimd.contract.mesh import (
    Broadcast,
    ClassTraffic,
    DialError,
    DialInfo,
    LinkDown,
    LinkInfo,
    LinkUp,
    Membership,
    Mesh,
    MeshEvent,
    OtherKey,
    OtherKeyError,
    PeerEntry,
    Problem,
    RouteFound,
    RouteInfo,
    RouteLost,
    SameKey,
    tcp_endpoint,
)
from pimd.contract.methods import NoParams, Params, Result, RpcError, RpcMark, after_answer, mark_of, rpc
from pimd.contract.models import (
    ClassRow,
    ConfigProblem,
    FeatureRow,
    FeatureState,
    LinkRow,
    LogRecord,
    MessageIdHex,
    NodeIdHex,
    PeerSummary,
    SubscriptionResult,
    Timestamp,
    X25519Hex,
    rfc3339,
)
from pimd.contract.one_way import OneWayRead, OneWayWritten, read_one_way, write_one_way
from pimd.contract.peers import Forgotten, PeerDirectory, PeerDirectoryEvent, PeerInfoSource, Seen
from pimd.contract.plugin import DaemonPlugin, PluginContext
from pimd.contract.services import (
    ASSEMBLY,
    CONFIG,
    CORE_KEYS,
    DISCOVERY,
    KEYSTORE,
    LOCAL_SOURCE,
    LOG_RING,
    MESH,
    PEER_DATA,
    PEER_SUMMARIES,
    PUBLISH,
    Assembly,
    BroadcastConfig,
    Config,
    ConfigText,
    DiscoveredNode,
    Discovery,
    Erased,
    KeyConflict,
    Keystore,
    KnownPeer,
    LogRing,
    PeerData,
    PeerSummaries,
    Provided,
    Publish,
    ServiceFailed,
    ServiceKey,
    Services,
)
from pimd.contract.text import NodeName, shown_name, visible
from pimd.contract.verbs import Arg, Line, Pairs, Table, Verb
from pimd.contract.work import CallLater, Every, RunBlocking, Spawn, SpawnedTask
from pimd.database import Connection, Database, DatabaseError, Migration, Row, SchemaTooNew
from pimd.events import Lagged, Subscription
from pimd.limits import KIB, MIB, Bites, Budget, Limit, RecentMap, RecentSet, TokenBucket, declare, declare_rate
from pimd.proto.ecies import EciesError
from pimd.proto.errors import PayloadTooLarge
from pimd.proto.frames import PluginPayload
from pimd.proto.member_announcement import MemberAnnouncement

__all__ = [
    "ASSEMBLY",
    "CONFIG",
    "CONGESTION_MET",
    "CORE_KEYS",
    "DATAGRAM_MTU",
    "DISCOVERY",
    "KEYSTORE",
    "KIB",
    "LOCAL_SOURCE",
    "LOG_RING",
    "MESH",
    "MIB",
    "PEER_DATA",
    "PEER_SUMMARIES",
    "PUBLISH",
    "TCP",
    "Arg",
    "Assembly",
    "Bites",
    "Broadcast",
    "BroadcastConfig",
    "Budget",
    "CallLater",
    "CallTimeout",
    "CancellationToken",
    "ClassRow",
    "ClassTraffic",
    "Clock",
    "Config",
    "ConfigProblem",
    "ConfigSaveRejected",
    "ConfigText",
    "ConfigValidationFailed",
    "Connection",
    "ControlSender",
    "DaemonPlugin",
    "Database",
    "DatabaseError",
    "DatagramReceiver",
    "Datagrams",
    "DialError",
    "DialInfo",
    "DiscoveredNode",
    "Discovery",
    "EciesError",
    "Endpoint",
    "Erased",
    "EventStream",
    "Every",
    "Feature",
    "FeatureRow",
    "FeatureSettings",
    "FeatureState",
    "Forgotten",
    "IdentitySecrets",
    "InvalidParams",
    "InvalidRequest",
    "KeyConflict",
    "Keystore",
    "KnownPeer",
    "Lagged",
    "Limit",
    "Line",
    "LinkDown",
    "LinkInfo",
    "LinkRow",
    "LinkUp",
    "LogRecord",
    "LogRing",
    "MemberAnnouncement",
    "Membership",
    "Mesh",
    "MeshEvent",
    "MessageIdHex",
    "MethodNotFound",
    "Migration",
    "NoParams",
    "NodeIdHex",
    "NodeName",
    "NotSupported",
    "OneWayRead",
    "OneWayWritten",
    "OtherKey",
    "OtherKeyError",
    "Overloaded",
    "Pairs",
    "Params",
    "PayloadTooLarge",
    "PeerData",
    "PeerDirectory",
    "PeerDirectoryEvent",
    "PeerEntry",
    "PeerIndex",
    "PeerInfoSource",
    "PeerNotFound",
    "PeerSummaries",
    "PeerSummary",
    "PluginContext",
    "PluginPayload",
    "Problem",
    "Provided",
    "Publish",
    "RateLimited",
    "RecentMap",
    "RecentSet",
    "Result",
    "RouteFound",
    "RouteInfo",
    "RouteLost",
    "Row",
    "RpcError",
    "RpcMark",
    "RpcVersionMismatch",
    "RunBlocking",
    "SameKey",
    "SchemaTooNew",
    "Seen",
    "Sent",
    "ServiceFailed",
    "ServiceKey",
    "Services",
    "Spawn",
    "SpawnedTask",
    "StorageError",
    "Subscription",
    "SubscriptionResult",
    "Table",
    "TimerHandle",
    "Timestamp",
    "TokenBucket",
    "Unauthorized",
    "Verb",
    "X25519Hex",
    "after_answer",
    "declare",
    "declare_rate",
    "folded",
    "hidden",
    "mark_of",
    "nearest_gateways",
    "read_one_way",
    "reads_as_id",
    "rfc3339",
    "rpc",
    "seal_for",
    "shown_name",
    "signer_of",
    "tcp_endpoint",
    "visible",
    "write_one_way",
]
