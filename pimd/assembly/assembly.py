"""The features of one daemon: assembled at the start, and changed while it runs."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import BaseModel, ValidationError

from pimd.assembly.absent import explain_absent
from pimd.assembly.choice import (
    AssemblyError,
    Candidate,
    Choice,
    builtin_candidates,
    choose,
    installed_candidates,
    start_order,
    unknown_names,
)
from pimd.assembly.known import KnownFeature, known_features
from pimd.assembly.plugin_host import PluginHost
from pimd.assembly.secret_settings import secret_paths
from pimd.assembly.services import (
    FeaturePublisher,
    PluginDatagrams,
    PluginIdentity,
    PluginSender,
    ServicesView,
    channel_of,
)
from pimd.clock import Clock
from pimd.contract import (
    ASSEMBLY,
    CONFIG,
    KEYSTORE,
    LOG_RING,
    MESH,
    PUBLISH,
    CancellationToken,
    Config,
    DaemonPlugin,
    Feature,
    FeatureRow,
    LogRing,
    PluginContext,
)
from pimd.database import DatabaseError
from pimd.events import Subscription, Topic
from pimd.mesh.node import Node
from pimd.proto.identity import Identity
from pimd.rpc.core_methods import stream_methods
from pimd.rpc.registry import Method, Registry, method_of
from pimd.rpc.streams import Streams
from pimd.store.data_dir import DataDir
from pimd.store.keystore import Keystore

log = logging.getLogger("pimd.features")


@dataclass(frozen=True)
class FeatureChoice:
    """What the configuration says about features."""

    enabled: Sequence[str] | None = None
    disabled: Mapping[str, str] = field(default_factory=dict)
    """Name to the reason why it is off."""
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`[features.<name>]`, unvalidated."""


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


@dataclass
class _Running:
    """A started feature."""

    feature: Feature
    host: PluginHost
    cancel: CancellationToken
    methods: Sequence[Method]


class _NoPlugin(DaemonPlugin):
    """The plugin of a feature that declares methods only."""

    async def start(self, ctx: PluginContext) -> None:
        """Called by the host like any `start`; a feature of methods only has no state to set up."""


class Plan:
    """Which features are known and chosen before anything runs; making one imports the chosen ones.

    Raises `AssemblyError` when they cannot be assembled.
    """

    def __init__(
        self, choice: FeatureChoice, known: Mapping[str, KnownFeature], candidates: Sequence[Candidate]
    ) -> None:
        self.known = known
        for name, owners in _twice(candidates).items():
            log.warning("feature %s is brought by %s; the first is used", name, " and by ".join(owners))
        self.choices = choose(self.known, candidates, choice.enabled, choice.disabled)
        for doubt in unknown_names([one.name for one in self.choices], choice.disabled, choice.tables):
            log.warning("%s", doubt)
        loaded = {c.name: c.candidate.load() for c in self.choices if c.state == "chosen" and c.candidate is not None}
        if choice.enabled is None:
            self.choices = [_default(one, loaded) for one in self.choices]
        chosen = {one.name: loaded[one.name] for one in self.choices if one.state == "chosen"}
        absent = {one.name: f"{one.state}: {one.reason}" for one in self.choices if one.state != "chosen"}
        self.order = start_order(chosen, absent)
        self.tables = choice.tables
        for feature in self.order:
            self.settings_of(feature)

    @classmethod
    def of_this_build(cls, choice: FeatureChoice) -> Self:
        """Plan with the features of this build and of installed distributions."""
        known = known_features()
        return cls(choice, known, [*builtin_candidates(known), *installed_candidates()])

    def settings_of(self, feature: Feature) -> BaseModel:
        """Validate `[features.<name>]`; `AssemblyError` with one line for the first wrong key."""
        table = {key: value for key, value in self.tables.get(feature.name, {}).items() if key != "enabled"}
        try:
            return feature.settings.model_validate(table)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)[0]
            key = ("features", feature.name, *found["loc"])
            raise AssemblyError(f"{'.'.join(map(str, key))}: {found['msg']}", key) from None


def _default(one: Choice, loaded: Mapping[str, Feature]) -> Choice:
    if one.state == "chosen" and not loaded[one.name].default_enabled:
        return replace(one, state="disabled", reason="off by default; list it in [features] enabled")
    return one


def _twice(candidates: Sequence[Candidate]) -> dict[str, list[str]]:
    owners: dict[str, list[str]] = {}
    for candidate in candidates:
        owners.setdefault(candidate.name, []).append(candidate.origin)
    return {name: origins for name, origins in owners.items() if len(origins) > 1}


class Assembly:
    """Starts, stops, enables and disables features; implements `contract.Assembly`."""

    def __init__(self, plan: Plan, registry: Registry, streams: Streams) -> None:
        self._plan = plan
        self._registry = registry
        self._streams = streams
        self._choices = {one.name: one for one in plan.choices}
        self._running: dict[str, _Running] = {}
        self._troubles: dict[str, tuple[str, str]] = {}
        """Name to state (failed or quarantined) and reason."""
        self._changes: Topic[FeatureRow] = Topic()
        self._turn = asyncio.Lock()
        self._core: Core | None = None

    # --- contract.Assembly

    def rows(self) -> list[FeatureRow]:
        """One row for every known feature, built or not."""
        return [self.row(name) for name in self._choices]

    def subscribe(self) -> Subscription[FeatureRow]:
        """Receive the new row of each feature whose state changes."""
        return self._changes.subscribe()

    def row(self, name: str) -> FeatureRow:
        """Return one feature's row; KeyError for an unknown name."""
        one = self._choices[name]
        running = self._running.get(name)
        state, reason = self._state_of(one)
        kinds = running.host.plugin.payload_kinds if running is not None else ()
        return FeatureRow(
            name=name,
            version=one.version,
            origin=one.origin,
            state=state,
            reason=reason,
            methods=self._registry.names_of(name),
            payload_kinds=list(kinds),
            events=[stream.name for stream in running.feature.events] if running is not None else [],
        )

    def running(self) -> list[str]:
        """Names of the running features in start order, without the quarantined ones."""
        return [name for name in self._running if name not in self._troubles]

    def secret_settings(self) -> list[tuple[str, ...]]:
        """Keys of secrets, of the features that were chosen or run; those of others are not imported."""
        known = {one.name: one for one in (*self._plan.order, *(running.feature for running in self._running.values()))}
        return [(name, *path) for name, feature in known.items() for path in secret_paths(feature.settings)]

    def explain_absent(self, method: str) -> dict[str, Any]:
        """Return `data` of the -32601 answer: feature, state and hint."""
        return explain_absent(method, self._plan.known, self.rows(), self._registry.names)

    def feature_of_module(self, module: str) -> str | None:
        """Return the running feature that a module belongs to."""
        for name, running in self._running.items():
            declared = (running.feature.plugin, *running.feature.methods)  # a feature need not have a plugin
            home = next((one.__module__ for one in declared if one is not None), "?")
            package = ".".join(home.split(".")[:2]) if home.startswith("pimd_features.") else home.split(".")[0]
            if module == package or module.startswith(package + "."):
                return name
        return None

    # --- life

    async def start(self, core: Core) -> None:
        """Start the chosen features in order; `AssemblyError` when one that is not optional fails."""
        self._core = core
        core.keystore.on_forgotten.append(self._forgotten)
        for feature in self._plan.order:
            try:
                await self._start(feature)
            except AssemblyError as error:
                if not feature.optional:
                    raise
                self._trouble(feature.name, "failed", str(error))
        self._warn_of_shared_kinds(core)

    async def stop(self) -> None:
        """Stop all features in reverse order of start."""
        for name in reversed(list(self._running)):
            await self._stop(name)

    async def enable(self, name: str) -> FeatureRow:
        """Start a feature that is off, failed or quarantined; `AssemblyError` says why it cannot start."""
        async with self._turn:
            one = self._choice(name)
            if one.candidate is None:
                raise AssemblyError(
                    f"this build was made without {name}; install one built with PIMD_FEATURES=...,{name}"
                )
            if name in self._running and name not in self._troubles:
                return self.row(name)
            feature = one.candidate.load()
            self._refuse_missing(feature)
            if name in self._running:
                self._refuse_dependents(name, "started anew")
                await self._stop(name)
            self._troubles.pop(name, None)
            self._choices[name] = replace(one, state="chosen", reason="enabled while running")
            try:
                await self._start(feature)
            except AssemblyError as error:
                self._trouble(name, "failed", str(error))
                raise
            return self._changed(name)

    async def disable(self, name: str) -> FeatureRow:
        """Stop a feature; `AssemblyError` while another running one requires it."""
        async with self._turn:
            one = self._choice(name)
            if one.candidate is None:
                return self.row(name)
            self._refuse_dependents(name, "disabled")
            await self._stop(name)
            self._troubles.pop(name, None)
            self._choices[name] = replace(one, state="disabled", reason="disabled while running")
            return self._changed(name)

    # --- inside

    def _choice(self, name: str) -> Choice:
        if name not in self._choices:
            raise AssemblyError(f"there is no feature {name!r}; features.list names those there are")
        return self._choices[name]

    def _state_of(self, one: Choice) -> tuple[str, str]:
        if one.name in self._troubles:
            return self._troubles[one.name]
        if one.name in self._running:
            return "running", one.reason
        return ("disabled", "not started yet") if one.state == "chosen" else (one.state, one.reason)

    def _refuse_missing(self, feature: Feature) -> None:
        missing = [required for required in feature.requires if required not in self.running()]
        if missing:
            raise AssemblyError(f"{feature.name} -> {missing[0]}: {feature.name} needs {missing[0]}; enable that first")

    def _refuse_dependents(self, name: str, what: str) -> None:
        for other, running in self._running.items():
            if name in running.feature.requires:
                raise AssemblyError(
                    f"{other} -> {name}: {name} cannot be {what} while {other} runs; disable {other} first"
                )

    async def _start(self, feature: Feature) -> None:
        if self._core is None:
            raise RuntimeError("the assembly was not started")
        core, name = self._core, feature.name
        self._check_namespaces(feature)
        settings = self._plan.settings_of(feature)
        plugin = (feature.plugin or _NoPlugin)()
        host = PluginHost(
            name,
            plugin,
            core.clock,
            core.node.counts,
            on_quarantine=lambda reason: self._trouble(name, "quarantined", reason),
            on_crash=lambda reason: self._trouble(name, "failed", reason),
        )
        cancel = core.cancel.child()
        context = self._context(core, feature, host, cancel, settings)
        methods = self._methods(feature, plugin, context)
        running = _Running(feature, host, cancel, methods)
        self._running[name] = running
        error = await host.start(context)
        if error is not None:
            foreseen = isinstance(error, DatabaseError | OSError)
            log.error("feature %s did not start: %s", name, error, exc_info=None if foreseen else error)
            await self._stop(name)
            raise AssemblyError(f"feature {name} did not start: {type(error).__name__}: {error}")
        if feature.plugin is not None:
            host.serve(core.node.payloads.register(name, plugin.payload_kinds))
        self._registry.add(methods)

    def _context(
        self, core: Core, feature: Feature, host: PluginHost, cancel: CancellationToken, settings: BaseModel
    ) -> PluginContext:
        own = {
            MESH.name: core.node.service,
            KEYSTORE.name: core.keystore,
            CONFIG.name: core.config,
            LOG_RING.name: core.log_ring,
            ASSEMBLY.name: self,
            PUBLISH.name: FeaturePublisher(feature, self._streams.publish),
        }
        return PluginContext(
            peers=core.keystore,
            control=PluginSender(feature, core.node, lambda: asyncio.sleep(0)),
            datagrams=PluginDatagrams(feature, core.node, host.guard),
            identity=PluginIdentity(feature, core.identity),
            data_dir=core.data_dir.plugin_dir(feature.name),
            cancel=cancel,
            clock=core.clock,
            settings=settings,
            log=logging.getLogger(f"pimd.features.{feature.name}"),
            services=ServicesView(feature, own, self._provided),
            spawn=host.spawn,
            bites=core.node.counts.bites,
        )

    def _methods(self, feature: Feature, plugin: DaemonPlugin, context: PluginContext) -> list[Method]:
        try:
            own = [method_of(getattr(plugin, f.__name__), feature.name) for f in feature.plugin_functions()]
            plain = [method_of(f, feature.name, lambda: context) for f in feature.methods]
        except (TypeError, NameError) as error:
            raise AssemblyError(f"feature {feature.name}: {error}") from error
        streams = [m for stream in feature.events for m in stream_methods(feature.name, stream, self._streams)]
        return [*own, *plain, *streams]

    def _check_namespaces(self, feature: Feature) -> None:
        start_order(
            {
                **{n: replace(r.feature, requires=()) for n, r in self._running.items()},
                feature.name: replace(feature, requires=()),
            },
            {},
        )

    async def _stop(self, name: str) -> None:
        running = self._running.get(name)
        if running is None or self._core is None:
            return
        self._registry.remove(name)
        running.cancel.cancel()
        await running.host.shutdown()
        self._core.node.payloads.unregister(name)
        self._core.node.datagrams.unregister(channel_of(name))
        self._running.pop(name, None)

    def _provided(self, key: str) -> Mapping[str, object]:
        found: dict[str, object] = {}
        for name, running in self._running.items():
            for offered in running.feature.provides:
                if offered.key.name == key and name not in self._troubles:
                    plugin = running.host.plugin
                    found[name] = getattr(plugin, offered.attribute) if offered.attribute else plugin
        return found

    async def _forgotten(self, peer: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            for running in tuple(self._running.values()):
                tasks.create_task(
                    running.host.forgotten(peer), name=f"{running.feature.name} is told of a forgotten peer"
                )

    def _trouble(self, name: str, state: str, reason: str) -> None:
        """Remove the methods of a feature that failed or is quarantined; the rest of the daemon runs on."""
        self._registry.remove(name)
        if name in self._running:
            self._running[name].host.quarantined = True
        self._troubles[name] = (state, reason)
        log.error("feature %s is %s: %s", name, state, reason)
        self._changed(name)

    def _changed(self, name: str) -> FeatureRow:
        row = self.row(name)
        self._changes.publish(row)
        return row

    def _warn_of_shared_kinds(self, core: Core) -> None:
        for kind, claimants in core.node.payloads.claims().items():
            if len(claimants) > 1:
                log.warning(
                    "payloads of kind %s are claimed by %s; %s gets them", kind, " and ".join(claimants), claimants[0]
                )
