"""What exists of a feature while it runs: plugin, guard, context, methods."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import BaseModel

from pimd import contract
from pimd.assembly.declaration import check_methods, methods_of
from pimd.assembly.declared import Declared
from pimd.assembly.guard import Guard
from pimd.assembly.imports import FeatureChoice
from pimd.assembly.plugin_host import PluginHost
from pimd.assembly.publisher import FeaturePublisher
from pimd.assembly.services import (
    FeatureClock,
    PluginIdentity,
    PluginSender,
    ServicesView,
    datagrams_of,
)
from pimd.assembly.threads import Threads
from pimd.assembly.timers import Timers
from pimd.assembly.verbs import verbs_of
from pimd.assembly.views import view
from pimd.clock import Clock
from pimd.contract import (
    ASSEMBLY,
    CONFIG,
    DEFAULT_ROUTE,
    KEYSTORE,
    LOG_RING,
    MESH,
    PUBLISH,
    CallLater,
    CancellationToken,
    Config,
    ControlSender,
    DaemonPlugin,
    DefaultRoute,
    EventStream,
    Every,
    IdentitySecrets,
    LogRing,
    Mesh,
    PeerDirectory,
    PeerIndex,
    PluginContext,
    Publish,
    RunBlocking,
    ServiceKey,
    Services,
    SpawnedTask,
)
from pimd.held import put_back
from pimd.mesh.node import Node
from pimd.proto.identity import Identity
from pimd.rpc.core_methods import stream_methods
from pimd.rpc.openrpc import describe, describe_stream
from pimd.rpc.registry import Described, Method
from pimd.rpc.streams import Streams
from pimd.store.data_dir import DataDir
from pimd.store.keystore import Keystore


@dataclass(frozen=True)
class Core:
    """The parts of the daemon that the services of features are made from."""

    node: Node
    keystore: Keystore
    identity: Identity
    data_dir: DataDir
    config: Config
    log_ring: LogRing
    clock: Clock
    cancel: CancellationToken
    watched: bool = True
    """Whether real time counts: features are imported in threads, and their steps are timed. Not so in a simulation."""
    default_route: DefaultRoute | None = None
    """None where no feature takes it."""
    choice: Callable[[], FeatureChoice] | None = None
    """Reads the configuration as it is now; `AssemblyError` when it does not load. None: that of the plan stays."""
    wrong_events_raise: bool = False
    """Whether publishing what its declared model refuses is an error; else it is dropped and counted."""


class _NoPlugin(DaemonPlugin):
    """The plugin of a feature that declares methods only."""

    async def start(self, ctx: PluginContext) -> None:
        """Called by the host like any `start`; a feature of methods only has no state to set up."""


@dataclass
class Built:
    """A feature that was constructed, from before its start until after its stop."""

    feature: Declared
    guard: Guard
    host: PluginHost
    context: PluginContext
    methods: Sequence[Method]
    verbs: Sequence[Mapping[str, Any]]
    """Terminal commands, as `rpc.discover` shows them."""
    events: Sequence[Callable[[], Described]]
    """Its streams, as `rpc.discover` shows them."""


def construct(  # noqa: PLR0913 - what a feature stands on
    core: Core,
    feature: Declared,
    guard: Guard,
    settings: BaseModel,
    *,
    assembly: contract.Assembly,
    streams: Streams,
    provided: Callable[[str], Mapping[str, object]],
    crashed: Callable[[str], None],
    is_builtin: bool,
) -> Built:
    """Construct the plugin and everything around it; raises what its code raises."""
    put_back()
    plugin = (feature.plugin or _NoPlugin)()
    if not isinstance(plugin, DaemonPlugin):
        raise TypeError(f"it makes {type(plugin).__name__}, no DaemonPlugin")  # its class has a __new__
    cancel = core.cancel.child()
    timers = Timers(guard)
    threads = Threads(feature.name, core.node.counts.bites, in_loop=not core.watched)
    publisher = FeaturePublisher(feature, streams, guard, raises=core.wrong_events_raise)
    own = _core_services(core, assembly, publisher, feature.uses)
    context = PluginContext(
        peers=view(PeerDirectory, core.keystore),
        control=view(ControlSender, PluginSender(feature, core.node, lambda: asyncio.sleep(0))),
        datagrams=datagrams_of(feature, core.node, guard),
        identity=view(IdentitySecrets, PluginIdentity(feature, core.identity)),
        data_dir=core.data_dir.plugin_dir(feature.name),
        cancel=cancel,
        clock=view(Clock, FeatureClock(timers)),
        settings=settings,
        log=logging.getLogger(f"pimd.features.{feature.name}"),
        services=view(Services, ServicesView(feature, own, provided)),
        spawn=lambda name, work: view(SpawnedTask, guard.spawn(name, work, crashed)),
        call_later=view(CallLater, timers.call_later),
        every=view(Every, timers.every),
        run_blocking=view(RunBlocking, threads.run),
        bites=core.node.counts.bites,
    )
    prefix = "" if is_builtin else f"{feature.name}_"
    methods = [_described(method, prefix) for method in methods_of(feature, plugin, lambda: context)]
    if not is_builtin:  # what was checked at the import may read otherwise by now
        check_methods(feature, methods)
    for stream in feature.events:
        methods += [
            _described(method, prefix) for method in stream_methods(feature.name, _guarded(stream, guard), streams)
        ]
    owned = [replace(method, calls=guard.calls) for method in methods]
    host = PluginHost(guard, plugin, cancel, timers, threads)
    events = [_described_stream(stream, feature.name, prefix) for stream in feature.events]
    return Built(feature, guard, host, context, owned, verbs_of(feature, owned), events)


def _described(method: Method, prefix: str) -> Method:
    """Describe a method while a model that cannot be described still fails this feature only."""
    if not prefix:
        return method  # a built-in one, which is described when somebody asks
    own = replace(method, schema_prefix=prefix)
    return replace(own, described=describe(own))


def _described_stream(stream: EventStream, feature: str, prefix: str) -> Callable[[], Described]:
    describe_it = partial(describe_stream, stream, feature, prefix)
    if not prefix:
        return describe_it
    described = describe_it()
    return lambda: described


def _core_services(
    core: Core, assembly: contract.Assembly, publish: Publish, uses: Sequence[ServiceKey[Any]]
) -> Mapping[str, object]:
    """Make a view of each core service that a feature uses, by the name of its key."""
    keystore = core.keystore
    makers: Mapping[ServiceKey[Any], Callable[[], object]] = {
        MESH: partial(view, Mesh, core.node.service),
        KEYSTORE: partial(view, contract.Keystore, keystore, index=view(PeerIndex, keystore.index)),
        CONFIG: partial(view, Config, core.config),
        DEFAULT_ROUTE: lambda: view(DefaultRoute, core.default_route),
        LOG_RING: partial(view, LogRing, core.log_ring),
        ASSEMBLY: partial(view, contract.Assembly, assembly),
        PUBLISH: partial(view, Publish, publish),
    }
    return {key.name: make() for key, make in makers.items() if key in uses}


def _guarded(stream: EventStream, guard: Guard) -> EventStream:
    """Wrap the functions of a stream: one that fails lets the event pass for nobody, and is counted."""

    def ask(what: str, function: Callable[..., bool] | None) -> Callable[..., bool] | None:
        if function is None:
            return None

        def asked(*args: Any) -> bool:
            outcome = guard.call(f"{what} of {stream.name}", lambda: bool(function(*args)))
            return outcome.ok and outcome.value is True

        return asked

    return replace(stream, accepts=ask("accepts", stream.accepts), remembers=ask("remembers", stream.remembers))
